//! What does a program do that keeps its documents in Azure Cosmos DB?
//!
//! `PUT /` makes the container. `POST /` creates a document from a JSON object, `GET /ID` reads it, `GET /?author=NAME` finds the documents with this author. What the
//! database says when it refuses something goes on to the client.

mod database;
mod signature;

use std::env;
use std::io::{self, Read, Write};

use percent_encoding::percent_decode_str;

use database::{Answer, Database};

fn main() -> anyhow::Result<()> {
    let database = Database::from_environment()?;
    let path = env::var("PATH_INFO").unwrap_or_default();
    let id = path.trim_start_matches('/');
    let answer = match (env::var("REQUEST_METHOD")?.as_str(), id) {
        ("PUT", "") => database.make_container()?,
        ("POST", "") => database.create(&body()?)?,
        ("GET" | "HEAD", "") => match author() {
            Some(author) => database.by_author(&author)?,
            None => Answer::text(400, "name an author: ?author=NAME\n"),
        },
        ("GET" | "HEAD", id) => database.read(id)?,
        _ => Answer::text(405, "PUT the container, POST a document, or GET one or those of an author\n"),
    };
    print(&answer)?;
    Ok(())
}

/// The author in the query.
fn author() -> Option<String> {
    let query = env::var("QUERY_STRING").ok()?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("author="))?.replace('+', " ");
    Some(percent_decode_str(&value).decode_utf8_lossy().into_owned())
}

fn body() -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    Ok(body)
}

fn print(answer: &Answer) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "Status: {}\nContent-Type: {}\n\n", answer.status, answer.kind)?;
    out.write_all(&answer.body)
}
