//! The example with Azure Event Grid, against a fixture that was written from its public documentation: a topic, and a subscription.

use std::sync::{Arc, Mutex};

use crate::readme::curl_lines_answer_as_printed;
use crate::support::example;
use crate::support::http1::{Answer, Connection};
use crate::support::process::Wagi;
use crate::support::upstream::{Received, Upstream, reply};

/// The example, but for the port of the topic.
fn example(port: u16) -> Wagi {
    let programs = [("receive", "event-grid-receive"), ("publish", "event-grid-publish")];
    let url = format!("http://127.0.0.1:{port}/");
    example::start("azure-event-grid", &programs, &[("http://127.0.0.1:9000/", &url)])
}

const SUBSCRIPTION: &str = "/events?code=for-trying-only";

/// Sends events to the web hook of a subscription, as Event Grid does.
fn deliver(wagi: &Wagi, kind: &str, events: &str) -> Answer {
    let mut connection = Connection::open(wagi.address());
    let length = events.len();
    connection.send(format!(
        "POST {SUBSCRIPTION} HTTP/1.1\r\nHost: localhost\r\naeg-event-type: {kind}\r\nContent-Type: application/json; charset=utf-8\r\n\
         Content-Length: {length}\r\n\r\n{events}"
    ));
    connection.answer()
}

/// The topic: checks the key and the fields that each event must have, and keeps the events.
fn topic(received: &Received, kept: &Mutex<Vec<String>>) -> Vec<u8> {
    if received.line != "POST /api/events?api-version=2018-01-01" {
        return reply("404 Not Found", "", "");
    }
    if received.header("aeg-sas-key") != Some("for-trying-only") {
        return reply("401 Unauthorized", "", "");
    }
    let events: Vec<serde_json::Value> = serde_json::from_slice(&received.body).expect("a list");
    let has_all = |event: &serde_json::Value| {
        ["id", "subject", "eventType", "eventTime", "dataVersion"].iter().all(|name| event[name].is_string())
    };
    if !events.iter().all(has_all) {
        return reply("400 Bad Request", "", "");
    }
    kept.lock().unwrap().push(String::from_utf8(received.body.clone()).expect("UTF-8"));
    reply("200 OK", "", "")
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: azure"]
fn what_is_published_to_a_topic_comes_to_its_subscription() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let for_topic = kept.clone();
    let fixture = Upstream::start(move |received| topic(received, &for_topic));
    let wagi = example(fixture.port());
    let validation = r#"[{"id": "2d1781af", "topic": "/subscriptions/x", "subject": "", "data": {"validationCode":
        "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": "https://rp-eastus2.eventgrid.azure.net/eventsubscriptions/x"},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "eventTime": "2018-01-25T22:12:19.4556811Z",
        "metadataVersion": "1", "dataVersion": "1"}]"#;
    let validated = deliver(&wagi, "SubscriptionValidation", validation);
    assert_eq!((validated.status, validated.header("content-type")), (200, Some("application/json")));
    assert_eq!(validated.text(), r#"{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}"#);

    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.post("/publish/orders/7", r#"{"total": 12}"#).status, 202);
    let published = kept.lock().unwrap().remove(0);
    // An event comes again if its sender has seen no 200.
    for _ in 0..2 {
        assert_eq!(deliver(&wagi, "Notification", &published).text(), "1 events\n");
    }
    let list = connection.get(SUBSCRIPTION).text();
    assert_eq!(list.lines().count(), 1, "{list}");
    for part in [r#""subject":"/orders/7""#, r#""data":{"total":12}"#, r#""eventType":"Wagi.Example.Published""#] {
        assert!(list.contains(part), "{part}: {list}");
    }
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: azure"]
fn a_subscription_of_cloud_events_is_allowed_and_their_events_are_taken() {
    let wagi = example(1);
    let mut connection = Connection::open(wagi.address());
    connection.send(format!(
        "OPTIONS {SUBSCRIPTION} HTTP/1.1\r\nHost: localhost\r\nWebHook-Request-Origin: eventgrid.azure.net\r\n\r\n"
    ));
    let allowed = connection.answer();
    assert_eq!((allowed.status, allowed.header("webhook-allowed-origin")), (200, Some("eventgrid.azure.net")));
    assert_eq!(allowed.header("webhook-allowed-rate"), Some("120"));
    let event = r#"{"specversion": "1.0", "id": "7", "type": "Order", "source": "/shop", "data": {}}"#;
    assert_eq!(deliver(&wagi, "Notification", event).text(), "1 events\n");
    assert!(connection.get(SUBSCRIPTION).text().contains(r#""source":"/shop""#));
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: azure"]
fn an_id_is_kept_once_and_every_event_without_one() {
    let wagi = example(1);
    let events =
        r#"[{"id": "a", "n": 1}, {"id": "a", "n": 2}, {"n": 3}, {"n": 4}, {"id": 7, "n": 5}, {"id": "7", "n": 6}]"#;
    for _ in 0..2 {
        assert_eq!(deliver(&wagi, "Notification", events).text(), "6 events\n");
    }
    let list = Connection::open(wagi.address()).get(SUBSCRIPTION).text();
    let numbers: Vec<_> = list.lines().filter_map(|line| line.split_once("\"n\":")?.1.strip_suffix('}')).collect();
    assert_eq!(numbers, ["1", "3", "4", "5", "6", "3", "4"], "{list}");
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: azure"]
fn nothing_is_taken_and_nothing_is_published_without_the_secrets() {
    let fixture = Upstream::start(|_| reply("401 Unauthorized", "", r#"{"error": {"code": "Unauthorized"}}"#));
    let wagi = example(fixture.port());
    let mut connection = Connection::open(wagi.address());
    for path in ["/events", "/events?code=", "/events?code=for-trying", "/events?x=1&code=no"] {
        assert_eq!(connection.post(path, "[]").status, 403, "{path}");
    }
    assert_eq!(connection.post(SUBSCRIPTION, "no JSON").status, 400);
    let refused = connection.post("/publish/x", "{}");
    assert_eq!((refused.status, refused.text().as_str()), (401, r#"{"error": {"code": "Unauthorized"}}"#));
}

#[test]
#[ignore = "needs curl; WAGI_GUESTS_DIR: azure"]
fn the_commands_of_its_readme_answer_as_printed() {
    curl_lines_answer_as_printed(&example::text("azure-event-grid", "README.md"), &example(1));
}
