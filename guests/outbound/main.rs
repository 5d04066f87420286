//! What does a guest see of the servers it calls?
//!
//! It goes through the crate that guests of WAGI are built with. The server whose URL is the query string is called with the
//! method and body of the request; below the path `/calls` the body lists requests, `METHOD URL`, one a line.

use anyhow::Context;
use bytes::Bytes;
use std::io::Read;
use wasi_experimental_http::Response;

fn main() -> anyhow::Result<()> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    println!("Content-Type: text/plain\n");
    if std::env::var("PATH_INFO").is_ok_and(|path| path == "/calls") {
        return list(std::str::from_utf8(&body)?);
    }
    let url = std::env::args().nth(1).context("the query string is to be a URL")?;
    let method = std::env::var("REQUEST_METHOD")?;
    // Twice: an answer is closed when it is dropped, and the crate panics if it cannot be.
    for _ in 0..2 {
        match request(&method, &url, body.clone()) {
            Ok(response) => describe(response)?,
            Err(error) => println!("refused: {error:?}"),
        }
    }
    Ok(())
}

fn request(method: &str, url: &str, body: Vec<u8>) -> anyhow::Result<Response> {
    let request = http::Request::builder().method(method).uri(url).header("X-Guest", "rust");
    wasi_experimental_http::request(request.body(Some(Bytes::from(body)))?)
}

fn describe(mut response: Response) -> anyhow::Result<()> {
    println!("status: {}", response.status_code);
    println!("x-long: {} bytes", response.header_get("X-Long".to_owned())?.len());
    println!("x-missing: {}", response.header_get("X-Missing".to_owned()).is_ok());
    println!("names: {}", response.headers_get_all()?.keys_len());
    println!("body: {}", String::from_utf8(response.body_read_all()?)?);
    Ok(())
}

/// Sends what is listed and says how it went. No answer is closed before the last has come.
fn list(calls: &str) -> anyhow::Result<()> {
    let mut open = Vec::new();
    for call in calls.lines() {
        let (method, url) = call.split_once(' ').context("a method and a URL")?;
        match request(method, url, Vec::new()) {
            Ok(response) => {
                println!("{call}: {}", response.status_code.as_u16());
                open.push(response);
            }
            Err(error) => println!("{call}: {error}"),
        }
    }
    for mut response in open {
        let missing = response.header_get("X-Missing".to_owned()).unwrap_or_else(|error| error.to_string());
        let all = response.headers_get_all().map_or_else(|error| error.to_string(), |all| all.len().to_string());
        let mut piece = [0; 3];
        let read = response.body_read(&mut piece)?;
        println!("missing: {missing}, headers: {all}, body: {}", String::from_utf8_lossy(&piece[..read]));
    }
    Ok(())
}
