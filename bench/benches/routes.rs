//! How long does it take to find the route of a path, of one and of 10,000?
//!
//! Seen from outside: the answer to a path without a route, and the health check, which is in front of all others. What
//! both take besides is the same for every number of routes.

use std::fmt::Write;

use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

use wagi_bench::{ask, gateway_of, in_repository};

fn routes(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("threads can be started");
    let _inside = runtime.enter();
    let module = in_repository("examples/hello.wat");
    let mut group = criterion.benchmark_group("routes");
    for count in [1, 10_000] {
        let mut entries = String::new();
        for number in 0..count {
            let (department, module) = (number / 100, &module);
            let route = format!("/shop/department-{department}/article-{number}/...");
            writeln!(entries, "[[module]]\nroute = \"{route}\"\nmodule = {module:?}").expect("a string takes it");
        }
        let file = std::env::temp_dir().join(format!("wagi-bench-{}-{count}.toml", std::process::id()));
        let gateway = runtime.block_on(gateway_of(&entries, &file)).expect("the entries are valid");
        std::fs::remove_file(file).expect("it was just written");
        group.bench_function(format!("none of {count}"), |bencher| {
            bencher.iter(|| ask(&gateway, "/shop/department-50/nothing/of/that/kind"));
        });
        group.bench_function(format!("health check, {count} beside"), |bencher| {
            bencher.iter(|| ask(&gateway, "/healthz"))
        });
        let last = format!("/shop/department-{}/article-{}/a/b", (count - 1) / 100, count - 1);
        group.bench_function(format!("last of {count}, guest included"), |bencher| {
            bencher.iter(|| ask(&gateway, &last))
        });
    }
    group.finish();
}

criterion_group!(benches, routes);
criterion_main!(benches);
