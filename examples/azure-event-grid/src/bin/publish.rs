//! What does a program do that publishes events to a topic of Azure Event Grid?
//!
//! `POST /SUBJECT` publishes the body, a JSON value, as the data of one event. The key of the topic goes with it.
//! <https://learn.microsoft.com/azure/event-grid/post-to-custom-topic>

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher, Hasher};
use std::time::SystemTime;

use anyhow::Context;
use azure_event_grid::{body, print, print_text, variable};
use bytes::Bytes;
use serde_json::{Value, json};

const EVENT_TYPE: &str = "Wagi.Example.Published";

fn main() -> anyhow::Result<()> {
    if variable("REQUEST_METHOD") != "POST" {
        return Ok(print_text(405, "POST the data of an event, a JSON value")?);
    }
    let Ok(data) = serde_json::from_slice::<Value>(&body()?) else {
        return Ok(print_text(400, "the body is not JSON")?);
    };
    let subject = variable("PATH_INFO");
    let event = json!([{
        "id": unique(),
        "eventType": EVENT_TYPE,
        "subject": if subject.is_empty() { "/" } else { &subject },
        "eventTime": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        "dataVersion": "1.0",
        "data": data,
    }]);
    let url = env::var("EVENT_GRID_TOPIC_URL").context("`EVENT_GRID_TOPIC_URL` is not set")?;
    let key = env::var("EVENT_GRID_TOPIC_KEY").context("`EVENT_GRID_TOPIC_KEY` is not set")?;
    let request = http::Request::post(url)
        .header("aeg-sas-key", key)
        .header("Content-Type", "application/json")
        .body(Some(Bytes::from(event.to_string())))?;
    let mut response = wasi_experimental_http::request(request).context("the topic cannot be called")?;
    let status = response.status_code.as_u16();
    match status {
        200 => print_text(202, "published")?,
        // What the topic says when it refuses an event goes on to the client.
        _ => print(status, "application/json", &response.body_read_all()?)?,
    }
    Ok(())
}

/// An id that no other event has.
fn unique() -> String {
    // Each state has keys of its own, which are random.
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
