//! How are documents created, read and found?

use std::env;
use std::time::SystemTime;

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::signature::Signed;

/// What stands in a segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The version of the protocol that is spoken here.
const VERSION: &str = "2018-12-31";

const JSON: &str = "application/json";

/// A container of a Cosmos DB account, whose documents are distributed by their `id`.
pub struct Database {
    /// Scheme, host and port.
    origin: String,
    key: Vec<u8>,
    database: String,
    container: String,
}

/// What comes back, be it good or bad.
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub body: Vec<u8>,
}

/// A request in the making.
struct Call<'a> {
    method: &'a str,
    /// What is made, read or listed: `dbs`, `colls` or `docs`.
    kind: &'a str,
    /// What it is done to: what is signed, and the path.
    link: String,
    /// Whether the kind follows the link in the path: something in it is made or listed.
    is_inside: bool,
    headers: Vec<(&'a str, String)>,
    body: Vec<u8>,
}

impl Database {
    pub fn from_environment() -> anyhow::Result<Self> {
        let variable = |name: &str| env::var(name).with_context(|| format!("`{name}` is not set"));
        Ok(Self {
            origin: variable("COSMOS_URL")?.trim_end_matches('/').to_owned(),
            key: STANDARD.decode(variable("COSMOS_KEY")?).context("`COSMOS_KEY` is not Base64")?,
            database: variable("COSMOS_DATABASE")?,
            container: variable("COSMOS_CONTAINER")?,
        })
    }

    /// Creates a document.
    pub fn create(&self, document: &[u8]) -> anyhow::Result<Answer> {
        let parsed: Option<Value> = serde_json::from_slice(document).ok();
        let Some(id) = parsed.as_ref().and_then(|document| document["id"].as_str()) else {
            return Ok(Answer::text(400, "the document has to be a JSON object with an `id`, a text\n"));
        };
        let headers = vec![("Content-Type", JSON.to_owned()), of_partition(id)];
        let (link, body) = (self.container(), document.to_vec());
        self.send(Call { method: "POST", kind: "docs", link, is_inside: true, headers, body })
    }

    /// A document.
    pub fn read(&self, id: &str) -> anyhow::Result<Answer> {
        let link = format!("{}/docs/{id}", self.container());
        let headers = vec![of_partition(id)];
        self.send(Call { method: "GET", kind: "docs", link, is_inside: false, headers, body: vec![] })
    }

    /// The documents of an author, as a list.
    pub fn by_author(&self, author: &str) -> anyhow::Result<Answer> {
        // What a client says is a parameter, and never part of the statement.
        let query = json!({
            "query": "SELECT c.id, c.author, c.text FROM c WHERE c.author = @author",
            "parameters": [{ "name": "@author", "value": author }],
        });
        let headers = vec![
            ("Content-Type", "application/query+json".to_owned()),
            ("x-ms-documentdb-isquery", "True".to_owned()),
            ("x-ms-documentdb-query-enablecrosspartition", "True".to_owned()),
        ];
        let body = query.to_string().into_bytes();
        let call = Call { method: "POST", kind: "docs", link: self.container(), is_inside: true, headers, body };
        let answer = self.send(call)?;
        if answer.status != 200 {
            return Ok(answer);
        }
        let mut found: Value = serde_json::from_slice(&answer.body).context("the list is not JSON")?;
        let documents = found["Documents"].take();
        Ok(Answer { status: 200, kind: JSON.into(), body: format!("{documents}\n").into_bytes() })
    }

    /// Makes the database and the container, if they are not there.
    pub fn make_container(&self) -> anyhow::Result<Answer> {
        let database = json!({ "id": self.database });
        let container =
            json!({ "id": self.container, "partitionKey": { "paths": ["/id"], "kind": "Hash", "version": 2 } });
        for (kind, link, body) in
            [("dbs", String::new(), database), ("colls", format!("dbs/{}", self.database), container)]
        {
            let (headers, body) = (vec![("Content-Type", JSON.to_owned())], body.to_string().into_bytes());
            let made = self.send(Call { method: "POST", kind, link, is_inside: true, headers, body })?;
            // 409: it is there.
            if !matches!(made.status, 201 | 409) {
                return Ok(made);
            }
        }
        Ok(Answer::text(201, "ready\n"))
    }

    fn container(&self) -> String {
        format!("dbs/{}/colls/{}", self.database, self.container)
    }

    fn send(&self, call: Call) -> anyhow::Result<Answer> {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let signed = Signed { method: call.method, kind: call.kind, link: &call.link, date: &date };
        let segments = call.link.split('/').chain(call.is_inside.then_some(call.kind)).filter(|part| !part.is_empty());
        let path: String = segments.map(|part| format!("/{}", utf8_percent_encode(part, SEGMENT))).collect();
        let mut request = http::Request::builder()
            .method(call.method)
            .uri(format!("{}{path}", self.origin))
            .header("Authorization", signed.authorization(&self.key)?)
            .header("x-ms-date", date)
            .header("x-ms-version", VERSION)
            .header("Accept", JSON);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let request = request.body(Some(Bytes::from(call.body)))?;
        let mut response = wasi_experimental_http::request(request).context("the database cannot be called")?;
        Ok(Answer {
            status: response.status_code.as_u16(),
            kind: response.header_get("Content-Type".into()).unwrap_or_else(|_| JSON.into()),
            body: response.body_read_all()?,
        })
    }
}

impl Answer {
    pub fn text(status: u16, text: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8".into(), body: text.into() }
    }
}

/// In which partition a document is: the value of the partition key, as JSON.
fn of_partition(id: &str) -> (&'static str, String) {
    // The value of a header is ASCII.
    let quoted: String = json!([id]).to_string().chars().map(escaped).collect();
    ("x-ms-documentdb-partitionkey", quoted)
}

fn escaped(character: char) -> String {
    match character.is_ascii() {
        true => character.to_string(),
        false => character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    }
}
