//! How are bytes fetched from a server?
//!
//! Over HTTP/1.1, along redirects that lead nowhere less safe, each step with an end to its patience. What is sent on the way
//! is as much as a registry takes in. Used by those who know what is asked for: bindle servers and registries. Who asks
//! trusts no byte of an answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ExchangeError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use url::Url;

use crate::net::dial::{DialError, Dialer};
use crate::net::redirect;
use crate::net::redirect::{bare, is_of_server, is_same_server, shown};
use crate::net::roots::TrustError;
use crate::net::tls;
use crate::net::upload::Upload;

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// How long a server may take for the head of an answer, connecting included; with what is sent, by its size, more.
const HEAD: Duration = Duration::from_secs(30);

pub(crate) const SLOWEST_BYTES_PER_SECOND: u64 = 16 << 10;

/// How long it may take for the next piece of a body.
const PIECE: Duration = Duration::from_secs(15);

/// How much the head of an answer may have.
const LARGEST_HEAD: usize = 64 << 10;

/// How long a connection is kept for the next request. Servers rarely keep theirs much longer.
const IDLE: Duration = Duration::from_secs(15);

/// Whose certificates are believed.
#[derive(Debug, Default)]
pub(crate) struct ClientOptions {
    /// A PEM file of certificates that are believed besides the system's.
    pub roots: Option<PathBuf>,
    /// Whether any certificate is believed.
    pub accept_any_certificate: bool,
}

/// Fetches, and keeps connections for the next time. Needs a tokio runtime around it.
#[derive(Clone)]
pub(crate) struct HttpClient {
    pool: Client<Dialer, Upload>,
}

/// Why nothing could be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Setup(#[from] TrustError),
    #[error("cannot ask `{0}`: it is not the URL of a server")]
    NoServer(String),
    #[error("cannot reach `{url}`")]
    Dial { url: String, source: DialError },
    #[error("no answer from `{url}`")]
    Exchange { url: String, source: ExchangeError },
    #[error("no answer from `{url}` within {seconds} s")]
    NoHead { url: String, seconds: u64 },
    #[error("the answer of `{url}` breaks off")]
    Body { url: String, source: hyper::Error },
    #[error("the answer of `{url}` stalls for {} s", PIECE.as_secs())]
    NoPiece { url: String },
    #[error("the answer of `{url}` has more than {most} bytes")]
    TooLarge { url: String, most: u64 },
    #[error("`{url}` redirects to `{to}`, {why}")]
    Redirect { url: String, to: String, why: &'static str },
    #[error("more than {REDIRECTS} redirects, the last by `{0}`")]
    TooManyRedirects(String),
}

impl ClientError {
    /// Whether it may go away by itself within seconds.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dial { source, .. } => matches!(source, DialError::Connect(_)),
            Self::Exchange { .. } | Self::Body { .. } => true,
            // Waiting for what is slow has taken long enough already.
            _ => false,
        }
    }

    fn of_exchange(url: &Url, error: ExchangeError) -> Self {
        let url = shown(url);
        match std::error::Error::source(&error).and_then(|source| source.downcast_ref::<DialError>()) {
            Some(source) => Self::Dial { url, source: source.clone() },
            None => Self::Exchange { url, source: error },
        }
    }
}

impl HttpClient {
    pub fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        let tls =
            if options.accept_any_certificate { tls::insecure()? } else { tls::verified(options.roots.as_deref())? };
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(LARGEST_HEAD)
            .build(Dialer(Arc::new(tls).into()));
        Ok(Self { pool })
    }

    /// The answer to a GET, which may be any status; redirects are followed. What `headers` authorize is only for the
    /// host and port of `url`.
    pub async fn get(&self, url: &Url, headers: &HeaderMap) -> Result<Response, ClientError> {
        self.send(&Request { method: Method::GET, url, headers, body: &Upload::default }).await
    }

    /// The response to any request, the same way. The body, too, is only for the host and port of its URL.
    pub async fn send(&self, request: &Request<'_>) -> Result<Response, ClientError> {
        let (mut url, mut headers) = (request.url.clone(), request.headers.clone());
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("wagi/", env!("CARGO_PKG_VERSION"))));
        for _ in 0..=REDIRECTS {
            let answer = self.send_once(request, &url, &headers).await?;
            let Some(next) = redirect::next(&url, answer.status, &answer.headers)? else { return Ok(answer) };
            let (is_same, is_plain) = (is_same_server(&next, &url), request.sends_nothing());
            if !is_plain && !matches!(answer.status.as_u16(), 307 | 308) {
                // Others than these ask for a GET instead, which is not what was asked.
                return Ok(answer);
            }
            if !is_plain && !is_same {
                let why = "a server that what is sent is not for";
                return Err(ClientError::Redirect { url: shown(&url), to: shown(&next), why });
            }
            if !is_same {
                headers.remove(AUTHORIZATION);
            }
            url = next;
        }
        Err(ClientError::TooManyRedirects(shown(&url)))
    }

    async fn send_once(&self, request: &Request<'_>, url: &Url, headers: &HeaderMap) -> Result<Response, ClientError> {
        let uri = Some(url).filter(|url| is_of_server(url)).and_then(|url| bare(url).as_str().parse::<Uri>().ok());
        let body = (request.body)();
        let length = body.len();
        let mut message = http::Request::new(body);
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = uri.ok_or_else(|| ClientError::NoServer(shown(url)))?;
        *message.headers_mut() = headers.clone();
        if !request.sends_nothing() {
            // Some servers insist on it even where it is 0.
            message.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        let patience = HEAD + Duration::from_secs(length / SLOWEST_BYTES_PER_SECOND);
        let answer = timeout(patience, self.pool.request(message)).await;
        let answer = answer.map_err(|_| ClientError::NoHead { url: shown(url), seconds: patience.as_secs() })?;
        let (head, body) = answer.map_err(|error| ClientError::of_exchange(url, error))?.into_parts();
        Ok(Response { status: head.status, headers: head.headers, url: url.clone(), body })
    }
}

/// A request to a server.
pub(crate) struct Request<'r> {
    pub method: Method,
    pub url: &'r Url,
    pub headers: &'r HeaderMap,
    /// Makes what is sent, as often as it has to be.
    pub body: &'r dyn Fn() -> Upload,
}

impl Request<'_> {
    fn sends_nothing(&self) -> bool {
        [Method::GET, Method::HEAD].contains(&self.method)
    }
}

/// The response of a server.
pub(crate) struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Where it is from, after all redirects.
    pub url: Url,
    body: Incoming,
}

impl Response {
    /// The next piece of the body; none at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let next = async {
            loop {
                match self.body.frame().await.transpose()?.map(hyper::body::Frame::into_data) {
                    None => return Ok(None),
                    Some(Ok(piece)) if !piece.is_empty() => return Ok(Some(piece)),
                    // Trailers say nothing that matters.
                    Some(_) => {}
                }
            }
        };
        let next = timeout(PIECE, next).await.map_err(|_| ClientError::NoPiece { url: shown(&self.url) })?;
        next.map_err(|source| ClientError::Body { url: shown(&self.url), source })
    }

    /// The whole body, which may have `most` bytes.
    pub async fn bytes(&mut self, most: u64) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if (bytes.len() + piece.len()) as u64 > most {
                return Err(ClientError::TooLarge { url: shown(&self.url), most });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}
