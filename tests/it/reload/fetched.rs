//! Reloads of modules that are not files of the configuration: tags are looked up again, bytes are not fetched again.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::oci::{give, program, shelf};
use crate::support::bindle::Bindle;
use crate::support::guest::printing;
use crate::support::http1::Connection;
use crate::support::site::Site;
use crate::support::upstream::Upstream;

use super::reloaded;

#[test]
fn a_tag_is_looked_up_again_and_what_stays_is_not_fetched_again() {
    let content = Arc::new(Mutex::new(shelf(&program("one"))));
    let given = content.clone();
    let server = Upstream::start(move |received| give(&given.lock().unwrap(), received));
    let asked = |part: &str| server.received().iter().filter(|received| received.line.contains(part)).count();
    let reference = format!("oci:127.0.0.1:{}/app:1", server.port());
    // Without a home directory, the cache is a temporary one.
    let wagi = Site::new().module("/", Path::new(&reference), "").start(&[]);
    let mut connection = Connection::open(wagi.address());
    assert_eq!((asked("/blobs/"), connection.get("/").text()), (1, "one".to_owned()));
    let lookups = asked("/manifests/");
    wagi.signal("HUP");
    wagi.logged(&["reload: nothing has changed"]);
    assert_eq!(asked("/blobs/"), 1);
    assert!(asked("/manifests/") > lookups);
    *content.lock().unwrap() = shelf(&program("two"));
    let line = reloaded(&wagi, 2);
    assert!(line.contains("modules=1 compiled=1"), "{line}");
    assert_eq!((asked("/blobs/"), connection.get("/").text()), (2, "two".to_owned()));
}

#[test]
fn the_invoice_of_a_bindle_in_a_directory_is_read_again() {
    let text = |text: &str| printing(format!("Content-Type: text/plain\n\n{text}"));
    let bindle = Bindle::new().program("/...", text("one"), "", &[]);
    let invoice = bindle.home().join("invoice.toml");
    let parcel = bindle.parcel_file(text("two"));
    let other = Bindle::new().program("/...", text("two"), "", &[]);
    let wagi = bindle.start(&[]);
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/").text(), "one");
    wagi.signal("HUP");
    wagi.logged(&["reload: nothing has changed"]);
    let two = {
        let _command = other.command();
        fs::read_to_string(other.home().join("invoice.toml")).unwrap()
    };
    fs::write(parcel, text("two")).unwrap();
    fs::write(invoice, two).unwrap();
    reloaded(&wagi, 2);
    assert_eq!(connection.get("/").text(), "two");
}
