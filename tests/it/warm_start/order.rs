//! In which order a server with many routes that begin warm does what it has to do.

use serde_json::Value;

use crate::support::admin::Administered;
use crate::support::at_leisure;
use crate::support::site::Site;
use crate::support::usage::priorities;

use crate::warm_start::{asked, guest};

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
    let made = priorities(served.wagi.pid(), "wagi-warm)");
    assert_eq!(made, [19], "one thread makes them, of the lowest priority");
    let compiling = priorities(served.wagi.pid(), "wagi-warm-comp)");
    assert!(!compiling.is_empty() && compiling.iter().all(|nice| *nice == 19), "{compiling:?}");
}
