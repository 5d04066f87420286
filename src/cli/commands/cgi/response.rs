//! How is a response printed for a web server (RFC 3875 §6)? Called by the parent.

use std::io::{self, Stdout, Write};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use wagi::ResponseBody;
use wagi::config::ConnectionLimits;

/// Where a response is printed.
pub(super) struct ResponsePrinter<W> {
    /// `None` while a thread writes to it.
    output: Option<W>,
    /// How long the web server may take nothing.
    send_timeout: Duration,
}

impl ResponsePrinter<Stdout> {
    /// Prints to standard output.
    pub fn new() -> Self {
        Self { output: Some(io::stdout()), send_timeout: ConnectionLimits::default().send_timeout }
    }
}

impl<W: Write + Send + 'static> ResponsePrinter<W> {
    /// Prints head and body, each piece as it comes. A response that is cut is an error: CGI has no other sign for it.
    pub async fn print(mut self, response: Response<ResponseBody>) -> anyhow::Result<()> {
        let (parts, mut body) = response.into_parts();
        let mut head = status_line(parts.status);
        // A field `status` of a component would be taken for the status of CGI.
        let is_own =
            |name: &HeaderName| [CONNECTION.as_str(), TRANSFER_ENCODING.as_str(), "status"].contains(&name.as_str());
        for (name, value) in parts.headers.iter().filter(|(name, _)| !is_own(name)) {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        // A server of HTTP takes the length from the body.
        if let Some(length) = body.size_hint().exact().filter(|length| *length > 0)
            && !parts.headers.contains_key(CONTENT_LENGTH)
        {
            head.extend(format!("content-length: {length}\r\n").into_bytes());
        }
        head.extend(b"\r\n");
        self.write(head.into()).await?;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.context("the response is cut")?.into_data() {
                self.write(data).await?;
            }
        }
        Ok(())
    }

    /// Prints the response to a request that the server of HTTP would refuse.
    pub async fn print_bad_request(mut self) -> anyhow::Result<()> {
        self.write([status_line(StatusCode::BAD_REQUEST), b"\r\n".to_vec()].concat().into()).await
    }

    /// Writes on a thread that may block, so that the wait has an end.
    async fn write(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        let mut output = self.output.take().context("the web server has left")?;
        let written = spawn_blocking(move || output.write_all(&bytes).and_then(|()| output.flush()).map(|()| output));
        let written = timeout(self.send_timeout, written).await.context("the web server takes nothing")?;
        self.output = Some(written.context("the thread that writes has ended")?.context("the web server has left")?);
        Ok(())
    }
}

fn status_line(status: StatusCode) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or("Unknown");
    format!("Status: {} {reason}\r\n", status.as_str()).into_bytes()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use crate::cli::commands::cgi::response::*;

    #[tokio::test]
    async fn a_web_server_that_takes_nothing_is_not_waited_for() {
        let (output, _web_server) = UnixStream::pair().expect("two sockets");
        let mut printer = ResponsePrinter { output: Some(output), send_timeout: Duration::from_millis(20) };
        // More than a socket holds.
        let error = printer.write(vec![b'x'; 16 << 20].into()).await.expect_err("nothing is taken");
        assert_eq!(error.to_string(), "the web server takes nothing");
        assert!(printer.write(Bytes::from_static(b"more")).await.is_err());
    }
}
