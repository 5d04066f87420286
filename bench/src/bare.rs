//! How fast is the HTTP library with nothing behind it? The limit for everything that is built on it.
//!
//! Answers every request with the bytes of the hello programs, except those for `/echo`, which get their body back.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use crate::servers::HELLO;

type Answer = Response<Either<Full<Bytes>, Incoming>>;

/// Serves both ports until the process is ended.
pub fn serve(http1: SocketAddr, http2: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let first = TcpListener::bind(http1).await.with_context(|| format!("cannot listen on {http1}"))?;
        let second = TcpListener::bind(http2).await.with_context(|| format!("cannot listen on {http2}"))?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = second.accept().await {
                tokio::spawn(speak_http2(stream));
            }
        });
        while let Ok((stream, _)) = first.accept().await {
            tokio::spawn(speak_http1(stream));
        }
        Ok(())
    })
}

async fn speak_http1(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let builder = hyper::server::conn::http1::Builder::new();
    let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn speak_http2(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    let is_echo = request.uri().path() == "/echo";
    let body = match is_echo {
        true => Either::Right(request.into_body()),
        false => Either::Left(Full::new(Bytes::from_static(HELLO.as_bytes()))),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
