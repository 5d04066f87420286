//! What does a program do that keeps its files in Azure Blob Storage?
//!
//! `PUT /NAME` stores the body, `GET /NAME` brings it back, `GET /` lists the names. What the storage says when it refuses
//! something goes on to the client.

mod signature;
mod storage;

use std::env;
use std::io::{self, Read, Write};

use storage::{Answer, Storage};

fn main() -> anyhow::Result<()> {
    let storage = Storage::from_environment()?;
    let path = env::var("PATH_INFO").unwrap_or_default();
    let name = path.trim_start_matches('/');
    let answer = match (env::var("REQUEST_METHOD")?.as_str(), name) {
        ("GET" | "HEAD", "") => storage.names()?,
        ("GET" | "HEAD", name) => storage.read(name)?,
        ("PUT", name) if !name.is_empty() => storage.store(name, &kind(), body()?)?,
        _ => Answer::text(405, "GET a list or a blob, or PUT a blob\n"),
    };
    print(&answer)?;
    Ok(())
}

/// What the client says the body is.
fn kind() -> String {
    env::var("CONTENT_TYPE").ok().filter(|kind| !kind.is_empty()).unwrap_or_else(|| "application/octet-stream".into())
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
