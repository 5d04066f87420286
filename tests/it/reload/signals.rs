//! SIGHUP, SIGUSR1 and SIGUSR2.

use std::process::Stdio;

use crate::support::http1::Connection;
use crate::support::process::{Ending, gather};
use crate::support::site::Site;
use crate::support::{at_leisure, guest, process};

use super::{configure, file, generation, manifest, of_site, serve};

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
    at_leisure(|| (wagi.log().matches("reload: nothing has changed").count() == 2).then_some(()));
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
    assert!(line.contains("reload refused: 1 error; generation 1 goes on serving"), "{line}");
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

#[test]
fn a_signal_while_the_server_starts_is_kept_for_afterwards() {
    let site = of_site("one", "");
    site.write();
    let mut command = process::command(site.path());
    command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Ending(command.spawn().expect("wagi can be started"));
    // As soon as it says something, it catches signals.
    let status = format!("/proc/{}/status", child.0.id());
    at_leisure(|| {
        let caught = std::fs::read_to_string(&status).ok()?;
        let mask = caught.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim().to_owned();
        (u64::from_str_radix(&mask, 16).ok()? & 1 != 0).then_some(())
    });
    ["HUP", "USR1", "HUP"].into_iter().for_each(|name| child.signal(name));
    let log = gather(child.0.stderr.take().expect("stderr is piped"), "");
    at_leisure(|| log.lock().unwrap().contains("nothing has changed").then_some(()));
}

#[test]
fn sigusr1_and_a_reload_open_the_log_files_again() {
    let site = Site::new().module("/...", &guest::probe(), "");
    let wagi = site.start(&["--log-dir", "logs"]);
    let mut connection = Connection::open(wagi.address());
    let path = walk(&file(&wagi, "logs"));
    for signal in ["USR1", "HUP"] {
        let (before, after) = (format!("before-{signal}"), format!("after-{signal}"));
        connection.get(&format!("/log?{before}"));
        at_leisure(|| std::fs::read_to_string(&path).ok()?.contains(&before).then_some(()));
        let moved = path.with_extension(signal);
        std::fs::rename(&path, &moved).expect("it is there");
        wagi.signal(signal);
        at_leisure(|| path.exists().then_some(()));
        connection.get(&format!("/log?{after}"));
        at_leisure(|| std::fs::read_to_string(&path).ok()?.contains(&after).then_some(()));
        assert!(!std::fs::read_to_string(&moved).expect("it was moved").contains(&after));
    }
    assert!(!wagi.log().contains("reloaded"), "{}", wagi.log());
}

/// The file with the standard error of the only route.
fn walk(logs: &std::path::Path) -> std::path::PathBuf {
    let directories = std::fs::read_dir(logs).expect("a directory").map(|entry| entry.expect("an entry").path());
    directories.map(|path| path.join("module.stderr")).find(|path| path.is_file()).expect("one route")
}
