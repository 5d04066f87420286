//! Registries that list what refers to a module page by page.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::{BUNDLE, INDEX, Place, attach, by_key, check, content, is, site};
use crate::oci::{Shelf, digest, give, manifest, shelf};
use crate::support::upstream::{Received, Upstream, reply};

/// The descriptors of signatures, and a shelf on which they are.
fn listed(names: &[&str]) -> (Shelf, Vec<Value>) {
    let mut shelf = shelf(&content());
    attach(&mut shelf, Place::Tagged, names);
    let tag = digest(&manifest(&content())).replace("sha256:", "manifests/sha256-");
    let (_, index) = shelf.remove(&tag).expect("an index");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    (shelf, index["manifests"].as_array().expect("a list").clone())
}

/// The results of a scanner: they are no bundles.
fn scans(count: usize) -> Vec<Value> {
    let scan = |number: usize| json!({ "digest": digest(&number.to_string()), "size": 1, "artifactType": "text/scan" });
    (0..count).map(scan).collect()
}

/// The path of the first page, with its query.
fn first() -> String {
    let subject = digest(&manifest(&content()));
    format!("/v2/app/referrers/{subject}?artifactType={}", BUNDLE.replace('+', "%2B"))
}

/// The number of the page that is asked for, from 0.
fn page_number(received: &Received) -> Option<usize> {
    let path = received.line.strip_prefix("GET ")?;
    match path.strip_prefix("/v2/app/referrers/")?.split_once("?last=") {
        Some((_, number)) => number.parse().ok(),
        None => (path == first()).then_some(0),
    }
}

/// A registry with pages. `link` is the header of each, by the number of the next page; the last one has none.
fn paged(shelf: Shelf, pages: Vec<Vec<Value>>, link: impl Fn(usize) -> String + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |received| {
        let Some(number) = page_number(received) else { return give(&shelf, received) };
        let Some(page) = pages.get(number) else { return reply("404 Not Found", "", "") };
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": page }).to_string();
        let link = if number + 1 < pages.len() { link(number + 1) } else { String::new() };
        reply("200 OK", &format!("Content-Type: {INDEX}\r\n{link}"), index)
    })
}

/// A link as registries write it: from the root of the server.
fn to_page(number: usize) -> String {
    format!("Link: </v2/app/referrers/x?last={number}>; rel=\"next\"\r\n")
}

fn asked_pages(server: &Upstream) -> Vec<usize> {
    server.received().iter().filter_map(page_number).collect()
}

#[test]
#[ignore = "needs npm"]
fn a_signature_on_a_later_page_is_found() {
    let (shelf, signatures) = listed(&["foreign-key.json", "key.json"]);
    let pages = vec![scans(40), vec![signatures[0].clone()], scans(2), vec![signatures[1].clone()]];
    let relative = |number: usize| format!("Link: <?last={number}>; rel=next\r\n");
    for links in [to_page as fn(usize) -> String, relative] {
        let server = paged(shelf.clone(), pages.clone(), links);
        is("the fourth page", &check(&site(&server, &by_key("cosign.pub"))), Ok(()));
        assert_eq!(asked_pages(&server), [0, 1, 2, 3]);
    }
    // Also if the server is named in full.
    let port = Arc::new(OnceLock::new());
    let own = Arc::clone(&port);
    let whole = move |number: usize| {
        let port = own.get().expect("it has started");
        format!("Link: <x>; rel=first, <http://127.0.0.1:{port}/v2/app/referrers/x?last={number}>; rel=\"next\"\r\n")
    };
    let server = paged(shelf, pages, whole);
    port.set(server.port()).expect("once");
    is("in full", &check(&site(&server, &by_key("cosign.pub"))), Ok(()));
}

#[test]
#[ignore = "needs npm"]
fn pages_have_an_end_and_what_is_not_read_is_said() {
    let (shelf, signatures) = listed(&["key.json"]);
    let endless = |with: &Value| vec![vec![with.clone()]; 1_000];
    let server = paged(shelf.clone(), endless(&scans(1)[0]), to_page);
    let found = check(&site(&server, &by_key("cosign.pub")));
    is("endless", &found, Err("the list of what refers to it has more pages than are read"));
    assert_eq!(asked_pages(&server), (0..16).collect::<Vec<_>>());
    // A right signature is enough, whatever comes after it.
    let server = paged(shelf.clone(), endless(&signatures[0]), to_page);
    is("signed", &check(&site(&server, &by_key("cosign.pub"))), Ok(()));
    let pages = vec![scans(1), vec![signatures[0].clone()]];
    let server = paged(shelf, pages, |_| to_page(7));
    let found = check(&site(&server, &by_key("cosign.pub")));
    is("a page that is not there", &found, Err("has a page that is not there"));
}

#[test]
#[ignore = "needs npm"]
fn no_page_leads_to_another_server() {
    let elsewhere = Upstream::start(|_| reply("200 OK", "", "{\"manifests\":[]}"));
    let (shelf, signatures) = listed(&["key.json"]);
    let port = elsewhere.port();
    for link in [format!("http://127.0.0.1:{port}/x"), format!("//localhost:{port}/x"), "ftp://127.0.0.1/x".to_owned()]
    {
        let pages = vec![scans(1), vec![signatures[0].clone()]];
        let line = format!("Link: <{link}>; rel=\"next\"\r\n");
        let server = paged(shelf.clone(), pages, move |_| line.clone());
        let found = check(&site(&server, &by_key("cosign.pub")));
        is(&link, &found, Err("the list of what refers to it goes on at another server"));
    }
    assert!(elsewhere.received().is_empty());
}
