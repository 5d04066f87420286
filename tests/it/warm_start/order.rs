//! In which order a server with many routes that begin warm does what it has to do.

use std::fs;

use serde_json::Value;

use crate::support::admin::Administered;
use crate::support::at_leisure;
use crate::support::process::Wagi;
use crate::support::site::Site;

use crate::warm_start::{asked, guest};

/// The nice value of each thread of a server whose name begins so.
fn priorities(wagi: &Wagi, name: &str) -> Vec<i64> {
    let tasks = fs::read_dir(format!("/proc/{}/task", wagi.pid())).expect("/proc is there");
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let of_name = stats.filter(|stat| stat.contains(&format!(" ({name}")));
    // Behind the name, which stands in brackets, the nice value is the 17th field.
    let nice = of_name.map(|stat| stat.rsplit(") ").next()?.split(' ').nth(16)?.parse().ok());
    nice.map(|nice| nice.expect("a thread has a nice value")).collect()
}

#[test]
fn a_server_serves_before_its_snapshots_are_made_one_by_one_in_the_background() {
    const ROUTES: usize = 10;
    let mut site = Site::new();
    for route in 0..ROUTES {
        // Each is a program of its own.
        let module = guest("(call $checkpoint)", &format!("(drop (i32.const {route}))"));
        site = site.text_module(&format!("/{route}"), &module, "warm_start = true");
    }
    let served = Administered::start(site, &[]);
    // It has said that it serves. No snapshot is needed for an answer.
    for route in 0..ROUTES {
        assert_eq!(asked(&served.wagi, &format!("GET /{route} HTTP/1.1"), "").status, 200);
    }
    let states = || -> Vec<Value> {
        let status = served.json("/status");
        let routes = status["routes"].as_array().expect("routes").iter();
        let states = routes.map(|route| route["warm_start"]["state"].clone());
        states.filter(|state| !state.is_null()).collect()
    };
    assert!(states().iter().all(|state| ["making", "warm"].contains(&state.as_str().expect("a state"))));
    at_leisure(|| (states() == vec![Value::from("warm"); ROUTES]).then_some(()));
    // A snapshot is served before the line about it is written.
    served.wagi.logged(&["warm start: ready", &format!("route=\"/{}\"", ROUTES - 1)]);
    let log = served.wagi.log();
    let ready = log.lines().filter(|line| line.contains("warm start: ready"));
    let order: Vec<usize> =
        ready.filter_map(|line| line.split("route=\"/").nth(1)?.split('"').next()?.parse().ok()).collect();
    assert_eq!(order, (0..ROUTES).collect::<Vec<_>>(), "one after the other, in the order of the file: {log}");
    // It only says when: the others make them.
    assert_eq!(priorities(&served.wagi, "wagi-warm)"), [0]);
    let making = priorities(&served.wagi, "wagi-warm-comp)");
    assert!(!making.is_empty() && making.iter().all(|nice| *nice == 19), "{making:?}");
}
