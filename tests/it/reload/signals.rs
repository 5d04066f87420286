//! SIGHUP, SIGUSR1 and SIGUSR2.

use crate::support::http1::Connection;

use super::{configure, generation, manifest, serve};

#[test]
fn sighup_puts_the_new_configuration_in_force_for_open_connections_too() {
    let wagi = serve("one", "");
    let mut connection = Connection::open(wagi.address());
    assert_eq!(generation(&mut connection), "one");
    configure(&wagi, &manifest("two", ""));
    wagi.signal("HUP");
    let line = wagi.logged(&["reloaded generation=2"]);
    assert!(line.contains("reloaded generation=2 routes=1 modules=1 compiled=0 took="), "{line}");
    assert_eq!(generation(&mut connection), "two");
}

#[test]
fn a_reload_without_a_difference_changes_nothing() {
    let wagi = serve("one", "");
    wagi.signal("HUP");
    wagi.logged(&["INFO", "reload: nothing has changed"]);
    // A comment and another order of keys are no difference.
    configure(&wagi, &format!("# as before\n\n{}", manifest("one", "")));
    wagi.signal("HUP");
    crate::support::eventually(|| (wagi.log().matches("reload: nothing has changed").count() == 2).then_some(()));
    configure(&wagi, &manifest("two", ""));
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=2"]);
}

#[test]
fn a_configuration_with_errors_is_refused_and_the_old_one_goes_on() {
    let wagi = serve("one", "");
    let mut connection = Connection::open(wagi.address());
    configure(&wagi, &manifest("two", "volumes = { '/a' = 'no/such' }\nmemory = 1"));
    wagi.signal("HUP");
    let line = wagi.logged(&["reload refused"]);
    assert!(line.contains("reload refused: 1 errors; generation 1 goes on serving"), "{line}");
    wagi.logged(&["ERROR", "directory `no/such` does not exist", "file=\"modules.toml\"", "line=4", "column=20"]);
    assert_eq!(generation(&mut connection), "one");
    configure(&wagi, &manifest("three", ""));
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=2"]);
    assert_eq!(generation(&mut connection), "three");
}

#[test]
fn other_signals_end_nothing() {
    let wagi = serve("one", "");
    wagi.signal("USR1");
    wagi.signal("USR2");
    wagi.logged(&["SIGUSR2 has no effect"]);
    wagi.signal("HUP");
    wagi.logged(&["reload: nothing has changed"]);
    assert_eq!(generation(&mut Connection::open(wagi.address())), "one");
}
