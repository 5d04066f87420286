//! What does a guest see of the server whose URL is the query string?
//!
//! It is called with the method and body of the request, through the crate that guests of WAGI are built with.

use anyhow::Context;
use bytes::Bytes;
use std::io::Read;

fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("the query string is to be a URL")?;
    let method = std::env::var("REQUEST_METHOD")?;
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    println!("Content-Type: text/plain\n");
    // Twice: an answer is closed when it is dropped, and the crate panics if it cannot be.
    for _ in 0..2 {
        let request = http::Request::builder().method(method.as_str()).uri(&url).header("X-Guest", "rust");
        match wasi_experimental_http::request(request.body(Some(Bytes::from(body.clone())))?) {
            Ok(response) => describe(response)?,
            Err(error) => println!("refused: {error:?}"),
        }
    }
    Ok(())
}

fn describe(mut response: wasi_experimental_http::Response) -> anyhow::Result<()> {
    println!("status: {}", response.status_code);
    println!("x-long: {} bytes", response.header_get("X-Long".to_owned())?.len());
    println!("x-missing: {}", response.header_get("X-Missing".to_owned()).is_ok());
    println!("names: {}", response.headers_get_all()?.keys_len());
    println!("body: {}", String::from_utf8(response.body_read_all()?)?);
    Ok(())
}
