//! How is a response printed for a web server (RFC 3875 §6)? Called by the parent.

use std::io::{self, Write};

use anyhow::Context;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{Response, StatusCode};
use http_body_util::BodyExt;

use wagi::ResponseBody;

/// Prints head and body, each piece as it comes. A response that is cut is an error: CGI has no other sign for it.
pub(super) async fn print(response: Response<ResponseBody>) -> anyhow::Result<()> {
    let (parts, mut body) = response.into_parts();
    let mut head = status_line(parts.status);
    for (name, value) in parts.headers.iter().filter(|(name, _)| **name != CONNECTION && **name != TRANSFER_ENCODING) {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    write(&head)?;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.context("the response is cut")?.into_data() {
            write(&data)?;
        }
    }
    Ok(())
}

/// Prints the response to a request that the server of HTTP would refuse.
pub(super) fn print_bad_request() -> anyhow::Result<()> {
    write(&[status_line(StatusCode::BAD_REQUEST), b"\r\n".to_vec()].concat())
}

fn status_line(status: StatusCode) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or("Unknown");
    format!("Status: {} {reason}\r\n", status.as_str()).into_bytes()
}

fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(bytes).and_then(|()| output.flush()).context("the web server has left")
}
