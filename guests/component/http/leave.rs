//! How does the probe leave a body that is late, and what does it do instead?

use std::thread::sleep;
use std::time::Duration;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use wasip2::io::poll::poll;

use crate::answer::Answer;
use crate::{body_of, call, spin};

/// `HOW,WHAT,WHEN,URL`. Looks at the body as HOW says (`poll`: together with a timer of 50 ms; `read`: without waiting; `drop`: as
/// `poll`, then drops it), `before` or `behind` its head, and then does WHAT for ever: `sleep`, `spin` or `call` the URL.
pub fn body(request: &IncomingRequest, out: ResponseOutparam, query: &str) {
    let parts: Vec<&str> = query.splitn(4, ',').collect();
    let [how, what, when, url] = parts[..] else { panic!("four parts") };
    let begun = if when == "behind" {
        let mut answer = Answer::begin(out, 200, &[]);
        answer.write(b"begun\n");
        Some(answer)
    } else {
        std::mem::forget(out);
        None
    };
    let body = body_of(request);
    let stream = body.stream().expect("the stream is asked for once");
    if how == "read" {
        let _ = stream.read(1);
    } else {
        let (late, soon) = (stream.subscribe(), subscribe_duration(50_000_000));
        poll(&[&late, &soon]);
    }
    let left = (how != "drop").then_some((stream, body));
    match what {
        "sleep" => sleep(Duration::from_secs(600)),
        "spin" => spin(Duration::ZERO),
        "call" => drop(call::several(&format!("1,{url}"))),
        _ => panic!("sleep, spin or call"),
    }
    drop((left, begun));
}
