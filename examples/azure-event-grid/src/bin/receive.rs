//! What does a program do that takes events of Azure Event Grid?
//!
//! Event Grid sends events only to a URL that has answered a handshake. For its own schema that is a POST with an event of the type
//! `SubscriptionValidationEvent`, whose code comes back in the response. For CloudEvents it is OPTIONS
//! with the origin of the sender. Events are kept in a file of the volume, a line each, and `GET` lists them.
//! <https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema>

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use azure_event_grid::{body, print, print_text, variable};
use serde_json::{Value, json};

const FILE: &str = "/data/events";

const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";

fn main() -> anyhow::Result<()> {
    if !is_allowed() {
        return Ok(print_text(403, "the URL of the subscription has another code")?);
    }
    match variable("REQUEST_METHOD").as_str() {
        "GET" => print(200, "text/plain; charset=utf-8", &fs::read(FILE).unwrap_or_default())?,
        "OPTIONS" => allow_sender()?,
        "POST" => take()?,
        _ => print_text(405, "GET the events, or POST some")?,
    }
    Ok(())
}

/// The URL of the subscription ends in `?code=...`, which only Event Grid and the operator know.
fn is_allowed() -> bool {
    let code = variable("EVENT_GRID_CODE");
    !code.is_empty() && variable("QUERY_STRING").split('&').any(|pair| pair.strip_prefix("code=") == Some(&code))
}

/// The handshake of CloudEvents: who may send, and how often a minute.
fn allow_sender() -> std::io::Result<()> {
    let origin = variable("HTTP_WEBHOOK_REQUEST_ORIGIN");
    if origin.is_empty() || !origin.chars().all(|c| c.is_ascii_alphanumeric() || "-.:/".contains(c)) {
        return print_text(400, "`WebHook-Request-Origin` is missing");
    }
    println!("Status: 200\nWebHook-Allowed-Origin: {origin}\nWebHook-Allowed-Rate: 120\nContent-Type: text/plain\n");
    Ok(())
}

fn take() -> anyhow::Result<()> {
    let Ok(parsed) = serde_json::from_slice::<Value>(&body()?) else {
        return Ok(print_text(400, "the body is not JSON")?);
    };
    let events = match parsed {
        Value::Array(events) => events,
        // One event of CloudEvents comes by itself.
        event => vec![event],
    };
    if let Some(code) = events.iter().find(|event| event["eventType"] == VALIDATION) {
        let answer = json!({ "validationResponse": code["data"]["validationCode"] });
        return Ok(print(200, "application/json", answer.to_string().as_bytes())?);
    }
    keep(&events)?;
    Ok(print_text(200, &format!("{} events", events.len()))?)
}

/// Adds each event as a line. Event Grid sends an event again if it gets no 200, so the same id is kept once.
fn keep(events: &[Value]) -> std::io::Result<()> {
    let kept = if Path::new(FILE).exists() { fs::read_to_string(FILE)? } else { String::new() };
    let kept = kept.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut ids: HashSet<String> = kept.map(|event| event["id"].to_string()).collect();
    let mut file = OpenOptions::new().append(true).create(true).open(FILE)?;
    for event in events {
        // One without an id cannot be known again.
        if event["id"].is_null() || ids.insert(event["id"].to_string()) {
            writeln!(file, "{event}")?;
        }
    }
    file.sync_all()
}
