//! What a service manager is told: sd_notify(3).

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::LONG;
use crate::support::process::{self, Wagi};

use super::{manifest, of_site};

/// A socket for messages.
struct Manager(UnixDatagram);

impl Manager {
    /// The next message that is not about the watchdog.
    fn next(&self) -> String {
        loop {
            let message = self.any();
            if message != "WATCHDOG=1\n" {
                return message;
            }
        }
    }

    fn any(&self) -> String {
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).expect("a message in time");
        String::from_utf8_lossy(&message[..length]).into_owned()
    }
}

#[test]
fn the_service_manager_learns_of_the_start_reloads_the_end_and_that_the_server_lives() {
    let site = of_site("one", "");
    site.write();
    let path = site.path().join("notify.sock");
    let manager = Manager(UnixDatagram::bind(&path).expect("a socket"));
    manager.0.set_read_timeout(Some(LONG)).expect("a timeout");
    let mut command = process::command(site.path());
    command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]).env("NOTIFY_SOCKET", &path);
    command.env("WATCHDOG_USEC", Duration::from_millis(200).as_micros().to_string());
    let mut wagi = Wagi::spawn(&mut command);
    let ready = manager.next();
    assert_eq!(ready, format!("READY=1\nSTATUS=serving on {}, generation 1\n", wagi.url()));
    for _ in 0..3 {
        assert_eq!(manager.any(), "WATCHDOG=1\n");
    }
    for (toml, status) in [
        (manifest("two", ""), "generation 2\n"),
        (manifest("two", ""), "generation 2\n"),
        ("[[module".to_owned(), "generation 2; the last reload was refused\n"),
    ] {
        std::fs::write(site.path().join("modules.toml"), toml).expect("a file can be written");
        wagi.signal("HUP");
        let reloading = manager.next();
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|rest| rest.split_once('\n'));
        assert!(time.is_some_and(|(time, _)| time.parse::<u64>().is_ok_and(|time| time > 0)), "{reloading}");
        let ready = manager.next();
        assert!(ready.starts_with("READY=1\nSTATUS=serving on ") && ready.ends_with(status), "{ready}");
    }
    wagi.signal("TERM");
    assert!(manager.next().starts_with("STOPPING=1\n"));
    assert_eq!(wagi.ended().code(), Some(0));
}
