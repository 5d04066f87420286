//! The example that keeps its files in Azure Blob Storage, against Azurite, the emulator of those who make the storage.

use crate::readme::curl_lines_answer_as_printed;
use crate::support::example::{self, Emulator};
use crate::support::http1::Connection;
use crate::support::process::Wagi;

fn azurite() -> Emulator {
    let arguments = ["--inMemoryPersistence", "--disableTelemetry", "--silent", "--blobPort", "0"];
    Emulator::start("azurite-blob", &arguments, "azurite", "listens on http://127.0.0.1:")
}

/// The example, but for the emulator's port and more changes.
fn example(azurite: &Emulator, changes: &[(&str, &str)]) -> Wagi {
    let port = format!("http://127.0.0.1:{}/", azurite.port);
    let changes = [&[("http://127.0.0.1:10000/", &*port)], changes].concat();
    example::start("azure-blob", &[("azure-blob", "azure-blob")], &changes)
}

fn put(connection: &mut Connection, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
    let length = body.len();
    connection.send(format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    ));
    connection.send(body);
    let answer = connection.answer();
    (answer.status, answer.text())
}

#[test]
#[ignore = "needs azurite-blob; WAGI_GUESTS_DIR: azure"]
fn blobs_are_stored_listed_and_read() {
    let azurite = azurite();
    let wagi = example(&azurite, &[]);
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/blobs/").status, 404, "there is no container yet");
    let bytes: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    let stored = (201, "stored\n".to_owned());
    assert_eq!(put(&mut connection, "/blobs/a%20b/%C3%A9.bin", "x/y", &bytes), stored);
    assert_eq!(put(&mut connection, "/blobs/empty", "text/plain", b""), stored);
    assert_eq!(connection.get("/blobs/").text(), "a b/é.bin\nempty\n");
    let read = connection.get("/blobs/a%20b/%C3%A9.bin");
    assert_eq!((read.status, read.header("content-type")), (200, Some("x/y")));
    assert!(read.body == bytes, "the blob comes back changed");
    assert_eq!(connection.get("/blobs/empty").body, b"");
    let missing = connection.get("/blobs/other");
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("<Code>BlobNotFound</Code>"), "{}", missing.text());
}

#[test]
#[ignore = "needs azurite-blob; WAGI_GUESTS_DIR: azure"]
fn the_readme_of_the_example_answers_as_printed() {
    let azurite = azurite();
    let wagi = example(&azurite, &[]);
    curl_lines_answer_as_printed(&example::text("azure-blob", "README.md"), &wagi);
}

#[test]
#[ignore = "needs azurite-blob; WAGI_GUESTS_DIR: azure"]
fn what_the_storage_says_of_a_wrong_key_reaches_the_caller() {
    let azurite = azurite();
    let wagi = example(&azurite, &[("Eby8vdM02", "Eby8vdM03")]);
    let mut connection = Connection::open(wagi.address());
    let (status, text) = put(&mut connection, "/blobs/name", "text/plain", b"text");
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("<Code>AuthorizationFailure</Code>"), "{text}");
    assert_eq!(connection.get("/blobs/").status, 403);
}

#[test]
#[ignore = "needs azurite-blob; WAGI_GUESTS_DIR: azure"]
fn a_storage_that_may_not_be_called_is_not() {
    let azurite = azurite();
    let wagi = example(&azurite, &[("allowed_hosts = [\"http://127.0.0.1\"]", "")]);
    assert_eq!(Connection::open(wagi.address()).get("/blobs/name").status, 500);
    wagi.logged(&["the storage cannot be called"]);
}
