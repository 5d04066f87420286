//! How long does the gateway take from a request to its whole answer, sockets aside?
//!
//! Routing, CGI, the start of a fresh instance, the guest, the answer and the log line.

use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

use wagi::config::Source;
use wagi_bench::{ask, gateway, in_repository};

fn invocation(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("threads can be started");
    let _inside = runtime.enter();
    let guests = [
        ("text", "examples/hello.wat"),
        ("c", "target/guests/bench-c.wasm"),
        ("rust", "target/guests/bench-rust.wasm"),
        ("go", "target/guests/bench-go.wasm"),
    ];
    let mut group = criterion.benchmark_group("invocation");
    for (language, module) in guests {
        let module = in_repository(module);
        if !module.exists() {
            eprintln!("invocation/{language}: not built, see bench/setup.sh");
            continue;
        }
        let gateway = runtime.block_on(gateway(Source::Module(module))).expect("the program can be served");
        if language == "go" {
            // It computes for longer than what is polled in place.
            group.bench_function(language, |bencher| {
                bencher.iter(|| runtime.block_on(wagi_bench::answer_of(&gateway, "/")))
            });
        } else {
            group.bench_function(language, |bencher| bencher.iter(|| ask(&gateway, "/")));
        }
    }
    group.finish();
}

criterion_group!(benches, invocation);
criterion_main!(benches);
