//! Where is a bindle on a bindle server?
//!
//! `BASE_i/NAME/VERSION` is the invoice, `BASE_i/NAME/VERSION@SHA-256` a parcel. What may go away by itself, such as a
//! server that is just starting, is tried again for a few seconds. Asked by `bindle` and `module`.

use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::runtime::Handle;
use url::Url;

use crate::config::{BindleId, Diagnostic, Login, Sha256};

use crate::bindle::Source;
use crate::net::authorization::basic;
use crate::net::client::{ClientError, ClientOptions, HttpClient, Response};

/// How long is waited before each time something is tried again.
const PAUSES: [Duration; 3] = [Duration::from_millis(300), Duration::from_millis(800), Duration::from_millis(1800)];

/// How long a parcel may take, and what is added to that by its size.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_PER_SECOND: u64 = 16 << 10;

/// A bindle server.
pub(crate) struct Server {
    base: Url,
    http: HttpClient,
    login: HeaderMap,
    runtime: Handle,
}

/// Why a server does not give what it is asked for.
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
    #[error("`{0}` is yanked, or not for us")]
    Forbidden(Url),
    #[error("`{0}` wants a login, and none was given")]
    LoginWanted(Url),
    #[error("`{0}` refuses the login")]
    LoginRefused(Url),
    #[error("`{url}` answers with the status {status}")]
    Status { url: Url, status: StatusCode },
}

impl ServerError {
    /// What the operator can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Url(_) => "write it like `https://bindle.example.com/v1/`, API version included",
            Self::LoginInUrl | Self::LoginWanted(_) => "give `--bindle-http-user` and `--bindle-http-password`",
            Self::Login | Self::LoginRefused(_) => "check `--bindle-http-user` and `--bindle-http-password`",
            Self::Missing(_) => "check name and version, and that the URL of the server includes the API version",
            Self::Forbidden(_) => "ask for another version, or log in as somebody who may see it",
            Self::Http(_) | Self::Status { .. } => "check that the URL leads to a bindle server that is running",
        }
    }

    /// Whether a login is what is wrong.
    pub fn is_about_login(&self) -> bool {
        matches!(self, Self::LoginInUrl | Self::LoginWanted(_))
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Http(error) => error.is_transient(),
            Self::Status { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            _ => false,
        }
    }

    /// As a problem with what `message` speaks of.
    pub fn report(&self, message: String) -> Diagnostic {
        Diagnostic::error(message).caused_by(self).help(self.help())
    }
}

impl Server {
    /// The server at the base URL `url`. Must be called within a tokio runtime, and asked outside of it.
    pub fn new(url: &str, login: Option<&Login>, insecure: bool) -> Result<Self, ServerError> {
        let mut headers = HeaderMap::new();
        if let Some(login) = login {
            headers.insert(AUTHORIZATION, basic(login).ok_or(ServerError::Login)?);
        }
        let base = base(url)?;
        let http = HttpClient::new(&ClientOptions { accept_any_certificate: insecure, ..ClientOptions::default() })?;
        Ok(Self { base, http, login: headers, runtime: Handle::current() })
    }

    /// The invoice, as far as the first `most` bytes and one more, and where it is.
    pub fn fetch_invoice(&self, id: &BindleId, most: u64) -> Result<(Url, Vec<u8>), ServerError> {
        let most = usize::try_from(most.saturating_add(1)).unwrap_or(usize::MAX);
        let url = self.url(&id.to_string());
        let bytes = self.patiently(|| {
            let mut answer = self.ask(&url, "application/toml")?;
            let mut bytes = Vec::new();
            while let Some(piece) = self.runtime.block_on(answer.chunk())? {
                bytes.extend_from_slice(&piece);
                if bytes.len() >= most {
                    bytes.truncate(most);
                    break;
                }
            }
            Ok(bytes)
        })?;
        Ok((url, bytes))
    }

    /// Does something again until it works, or fails for good.
    fn patiently<T>(&self, attempt: impl Fn() -> Result<T, ServerError>) -> Result<T, ServerError> {
        for pause in PAUSES {
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

    fn ask(&self, url: &Url, accept: &'static str) -> Result<Response, ServerError> {
        let mut headers = self.login.clone();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let answer = self.runtime.block_on(self.http.get(url, &headers))?;
        let url = url.clone();
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_FOUND => Err(ServerError::Missing(url)),
            StatusCode::FORBIDDEN => Err(ServerError::Forbidden(url)),
            StatusCode::UNAUTHORIZED if self.login.is_empty() => Err(ServerError::LoginWanted(url)),
            StatusCode::UNAUTHORIZED => Err(ServerError::LoginRefused(url)),
            status => Err(ServerError::Status { url, status }),
        }
    }

    /// Where something of this server is. Each segment is encoded, so that a name leads nowhere else.
    fn url(&self, path: &str) -> Url {
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

impl Source for Server {
    fn invoice(&self, id: &BindleId, most: u64) -> Result<(String, Vec<u8>), Box<Diagnostic>> {
        let fetched = self.fetch_invoice(id, most);
        let failed = |error: ServerError| Box::new(error.report(format!("cannot fetch the invoice of bindle `{id}`")));
        fetched.map(|(url, bytes)| (url.into(), bytes)).map_err(failed)
    }

    fn parcel(&self, id: &BindleId, sha256: &Sha256) -> io::Result<Box<dyn Read + '_>> {
        let url = self.url(&format!("{id}@{sha256}"));
        let answer = self.patiently(|| self.ask(&url, "*/*")).map_err(|error| match error {
            ServerError::Missing(_) => io::Error::new(io::ErrorKind::NotFound, error),
            error => io::Error::other(error),
        })?;
        Ok(Box::new(Body { answer, piece: Bytes::new(), runtime: &self.runtime, begun: Instant::now(), arrived: 0 }))
    }
}

/// The body of an answer, to be read outside of the runtime.
struct Body<'s> {
    answer: Response,
    piece: Bytes,
    runtime: &'s Handle,
    begun: Instant,
    arrived: u64,
}

impl Body<'_> {
    /// Whether it comes in slower than is worth waiting for, all in all.
    fn is_too_slow(&self) -> bool {
        self.begun.elapsed() > PATIENCE + Duration::from_secs(self.arrived / SLOWEST_BYTES_PER_SECOND)
    }
}

impl Read for Body<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            if self.is_too_slow() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it arrives too slowly"));
            }
            match self.runtime.block_on(self.answer.chunk()).map_err(io::Error::other)? {
                Some(piece) => {
                    self.arrived = self.arrived.saturating_add(piece.len() as u64);
                    self.piece = piece;
                }
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.piece.len());
        self.piece.copy_to_slice(into.get_mut(..length).unwrap_or_default());
        Ok(length)
    }
}
