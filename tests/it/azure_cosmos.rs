//! The example that keeps documents in Azure Cosmos DB: against an emulator, which does not check signatures, and against a fixture
//! that does nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::readme::curl_lines_answer_as_printed;
use crate::support::example::{self, Emulator};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::upstream::{Received, Upstream, reply};

fn emulator() -> Emulator {
    let arguments = ["--host", "127.0.0.1", "--port", "0", "--no-ssl"];
    Emulator::start("cosmosdb-server", &arguments, "@vercel/cosmosdb-server", "connections at 127.0.0.1:")
}

/// The example, but for the port of the database.
fn example(port: u16) -> Wagi {
    let url = format!("http://127.0.0.1:{port}");
    example::start("azure-cosmos", &[("azure-cosmos", "azure-cosmos")], &[("http://127.0.0.1:8081", &url)])
}

#[test]
#[ignore = "needs cosmosdb-server; WAGI_GUESTS_DIR: azure"]
fn documents_are_created_read_and_found() {
    let emulator = emulator();
    let wagi = example(emulator.port);
    let mut connection = Connection::open(wagi.address());
    connection.send("PUT /documents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(connection.answer().text(), "ready\n");
    for document in [
        r#"{"id": "first", "author": "Ann", "text": "remember the milk"}"#,
        r#"{"id": "é ሴ", "author": "Bob's \"b\" OR 1=1"}"#,
    ] {
        let created = connection.post("/documents", document);
        assert_eq!(created.status, 201, "{}", created.text());
    }
    assert_eq!(connection.post("/documents", r#"{"id": "first"}"#).status, 409, "it is there");
    assert_eq!(connection.post("/documents", "{}").status, 400);
    let read = connection.get("/documents/first").text();
    assert!(read.contains(r#""text":"remember the milk""#), "{read}");
    assert!(connection.get("/documents/%C3%A9%20%E1%88%B4").text().contains("OR 1=1"));
    let found = connection.get("/documents?author=Ann").text();
    assert_eq!(found, "[{\"author\":\"Ann\",\"id\":\"first\",\"text\":\"remember the milk\"}]\n");
    assert!(connection.get("/documents?author=Bob%27s+%22b%22+OR+1%3D1").text().contains("\"é ሴ\""));
    assert_eq!(connection.get("/documents?author=x%27+OR+1%3D1").text(), "[]\n");
}

#[test]
#[ignore = "needs cosmosdb-server and curl; WAGI_GUESTS_DIR: azure"]
fn the_commands_of_its_readme_answer_as_printed() {
    let emulator = emulator();
    curl_lines_answer_as_printed(&example::text("azure-cosmos", "README.md"), &example(emulator.port));
}

/// The key of the example.
const KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";

/// HMAC-SHA256 (RFC 2104), of a key of 64 bytes.
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let padded = |byte: u8| key.iter().map(|key| key ^ byte).collect::<Vec<_>>();
    let inner = Sha256::new_with_prefix(padded(0x36)).chain_update(text).finalize();
    Sha256::new_with_prefix(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

/// The fixture: what the documentation says of the signature, and nothing else of the database.
fn checked(received: &Received) -> Vec<u8> {
    let (method, path) = received.line.split_once(' ').expect("a request line");
    let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
    // A resource has a name behind each kind. Without one, the request is about those in the resource above.
    let kind = segments[(segments.len() - 1) / 2 * 2];
    let link = segments[..segments.len() / 2 * 2].join("/");
    let date = received.header("x-ms-date").expect("a date").to_lowercase();
    let text = format!("{}\n{kind}\n{link}\n{date}\n\n", method.to_lowercase());
    let signature = STANDARD.encode(hmac(&STANDARD.decode(KEY).expect("Base64"), &text));
    let expected = format!("type=master&ver=1.0&sig={signature}");
    let decoded = percent_encoding::percent_decode_str(received.header("authorization").expect("a signature"));
    match decoded.decode_utf8_lossy() == expected && received.header("x-ms-version") == Some("2018-12-31") {
        true => reply("201 Created", "Content-Type: application/json\r\n", "{}"),
        false => reply("401 Unauthorized", "", format!("{text:?}")),
    }
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: azure"]
fn each_request_is_signed_as_the_documentation_has_it() {
    let fixture = Upstream::start(checked);
    let wagi = example(fixture.port());
    let mut connection = Connection::open(wagi.address());
    connection.send("PUT /documents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(connection.answer().status, 201);
    assert_eq!(connection.post("/documents", r#"{"id": "a"}"#).status, 201);
    assert_eq!(connection.get("/documents/a").status, 201);
    assert_eq!(connection.get("/documents?author=Ann").status, 201);
    let lines: Vec<_> = fixture.received().into_iter().map(|received| received.line).collect();
    let documents = "/dbs/wagi/colls/notes/docs";
    let (post, get) = (format!("POST {documents}"), format!("GET {documents}/a"));
    assert_eq!(lines, ["POST /dbs", "POST /dbs/wagi/colls", &post, &get, &post]);
}
