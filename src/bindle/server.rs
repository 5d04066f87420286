//! Where is a bindle on a bindle server?
//!
//! `BASE_i/NAME/VERSION` is the invoice, `BASE_i/NAME/VERSION@SHA-256` a parcel. After an error that may go away by
//! itself, such as a server that is just starting, the request is sent again for a few seconds.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::runtime::Handle;
use url::Url;

use crate::config::{BindleId, Diagnostic, Login, Sha256};

use crate::bindle::source::{BindleSource, InvoiceError};
use crate::net::authorization::basic;
use crate::net::client::{ClientError, ClientOptions, Fetch, FetchResponse, HttpClient};

/// How long to wait before each retry.
const RETRY_DELAYS: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_millis(800), Duration::from_millis(1800)];

/// A bindle server.
pub(crate) struct BindleServer {
    base: Url,
    http: HttpClient,
    login: HeaderMap,
    runtime: Handle,
}

/// Why a request to a bindle server fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("`{0}` is not the URL of a bindle server")]
    Url(String),
    #[error("the URL of the bindle server holds a name or a password")]
    LoginInUrl,
    #[error("the name for the bindle server holds a colon, or name or password a control character")]
    Login,
    #[error(transparent)]
    Http(#[from] ClientError),
    #[error("`{0}` is not there")]
    Missing(Url),
    #[error("`{0}` is yanked, or needs another login")]
    Forbidden(Url),
    #[error("`{0}` wants a login, and none was given")]
    LoginRequired(Url),
    #[error("`{0}` refuses the login")]
    LoginRejected(Url),
    #[error("`{url}` answers with the status {status}")]
    Status { url: Url, status: StatusCode },
}

impl ServerError {
    /// What the operator can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Url(_) => "write it like `https://bindle.example.com/v1/`, API version included",
            Self::LoginInUrl | Self::LoginRequired(_) => "give `--bindle-http-user` and `--bindle-http-password`",
            Self::Login | Self::LoginRejected(_) => "check `--bindle-http-user` and `--bindle-http-password`",
            Self::Missing(_) => "check name and version, and that the URL of the server includes the API version",
            Self::Forbidden(_) => "ask for another version, or log in as a user who may see it",
            Self::Http(_) | Self::Status { .. } => "check that the URL leads to a bindle server that is running",
        }
    }

    /// Whether a missing login, or one in the wrong place, is the cause.
    pub fn is_about_login(&self) -> bool {
        matches!(self, Self::LoginInUrl | Self::LoginRequired(_))
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Http(error) => error.is_transient(),
            Self::Status { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            _ => false,
        }
    }

    /// Whether the server is out of order, so that what it said before may be used. A server that rejects a request is not.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Http(error) => !error.is_rejection(),
            _ => self.is_transient(),
        }
    }

    /// The warning that something is served as the server has sent it before.
    pub fn stand_in(&self, served: String) -> Diagnostic {
        Diagnostic::warning(format!("serving {served} as it was when the bindle server last answered")).caused_by(self)
    }

    /// The problem with this message and cause.
    pub fn report(&self, message: String) -> Diagnostic {
        Diagnostic::error(message).caused_by(self).help(self.help())
    }
}

impl BindleServer {
    /// The server at the base URL `url`. Must be called within a tokio runtime; the other methods, outside of it.
    pub fn new(url: &str, login: Option<&Login>, insecure: bool) -> Result<Self, ServerError> {
        let mut headers = HeaderMap::new();
        if let Some(login) = login {
            headers.insert(AUTHORIZATION, basic(login).ok_or(ServerError::Login)?);
        }
        let base = base(url)?;
        let http = HttpClient::new(&ClientOptions { accept_any_certificate: insecure, ..ClientOptions::default() })?;
        Ok(Self { base, http, login: headers, runtime: Handle::current() })
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        self.base.as_str()
    }

    /// The URL of an invoice, and its first bytes, up to one more than `limit`.
    pub fn fetch_invoice(&self, id: &BindleId, limit: u64) -> Result<(Url, Vec<u8>), ServerError> {
        let limit = usize::try_from(limit.saturating_add(1)).unwrap_or(usize::MAX);
        let (url, fetch) = (self.url_below(&id.to_string()), Fetch::start());
        let bytes = self.with_retries(|| {
            let mut response = self.get(&url, "application/toml", fetch)?;
            let mut bytes = Vec::new();
            while let Some(chunk) = self.runtime.block_on(response.chunk())? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() >= limit {
                    bytes.truncate(limit);
                    break;
                }
            }
            Ok(bytes)
        })?;
        Ok((url, bytes))
    }

    /// Calls `attempt` until it succeeds, fails for good, or has failed too often.
    fn with_retries<T>(&self, attempt: impl Fn() -> Result<T, ServerError>) -> Result<T, ServerError> {
        for pause in RETRY_DELAYS {
            match attempt() {
                Err(error) if error.is_transient() => {
                    tracing::debug!(server = %self.base, %error, ?pause, "trying again");
                    thread::sleep(pause);
                }
                done => return done,
            }
        }
        attempt()
    }

    fn get(&self, url: &Url, accept: &'static str, fetch: Fetch) -> Result<FetchResponse, ServerError> {
        let mut headers = self.login.clone();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let response = self.runtime.block_on(self.http.get(url, &headers, fetch))?;
        let url = url.clone();
        match response.status {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND => Err(ServerError::Missing(url)),
            StatusCode::FORBIDDEN => Err(ServerError::Forbidden(url)),
            StatusCode::UNAUTHORIZED if self.login.is_empty() => Err(ServerError::LoginRequired(url)),
            StatusCode::UNAUTHORIZED => Err(ServerError::LoginRejected(url)),
            status => Err(ServerError::Status { url, status }),
        }
    }

    /// The URL of a path below `_i`. Each segment is encoded, so that a name leads nowhere else.
    fn url_below(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("_i").extend(path.split('/'));
        }
        url
    }
}

/// The base URL with a slash at its end.
fn base(text: &str) -> Result<Url, ServerError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let mut url = url.ok_or_else(|| ServerError::Url(text.to_owned()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ServerError::LoginInUrl);
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

impl BindleSource for BindleServer {
    fn server(&self) -> Option<&str> {
        Some(self.url())
    }

    fn invoice(&self, id: &BindleId, limit: u64) -> Result<(String, Vec<u8>), InvoiceError> {
        let fetched = self.fetch_invoice(id, limit);
        let failed = |cause: ServerError| {
            let error = Box::new(cause.report(format!("cannot fetch the invoice of bindle `{id}`")));
            let warning = Box::new(cause.stand_in(format!("bindle `{id}`")));
            if cause.is_outage() { InvoiceError::Outage { error, warning } } else { InvoiceError::Failed(error) }
        };
        fetched.map(|(url, bytes)| (url.into(), bytes)).map_err(failed)
    }

    fn parcel(&self, id: &BindleId, sha256: &Sha256, fetch: Fetch) -> io::Result<Box<dyn Read + '_>> {
        let url = self.url_below(&format!("{id}@{sha256}"));
        let response = self.with_retries(|| self.get(&url, "*/*", fetch)).map_err(|error| match error {
            ServerError::Missing(_) => io::Error::new(io::ErrorKind::NotFound, error),
            ServerError::Http(error) => error.into(),
            error => io::Error::other(error),
        })?;
        Ok(Box::new(response.into_reader(self.runtime.clone())))
    }
}
