//! Why does a request to a registry or a bindle server fail?

use std::io;

use hyper_util::client::legacy::Error as ExchangeError;
use url::Url;

use crate::net::connect::ConnectError;
use crate::net::redirect::RedirectError;
use crate::net::tls::ClientTlsError;
use crate::net::url::redacted;

/// Why a request has no response, or one that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Setup(#[from] ClientTlsError),
    #[error("cannot ask `{0}`: it is not the URL of a server")]
    NoServer(String),
    #[error("cannot reach `{url}`")]
    Connect { url: String, source: ConnectError },
    #[error("no response from `{url}`")]
    Exchange { url: String, source: ExchangeError },
    #[error("no response from `{url}` within {seconds} s")]
    HeadTimedOut { url: String, seconds: u64 },
    #[error("the response of `{url}` breaks off")]
    Body { url: String, source: hyper::Error },
    #[error("the response of `{url}` stalls for {seconds} s")]
    BodyStalled { url: String, seconds: u64 },
    #[error("the response of `{url}` has not arrived in full within {seconds} s")]
    TooSlow { url: String, seconds: u64 },
    #[error("`{url}` sends more than {limit} interim responses")]
    TooManyInterim { url: String, limit: usize },
    #[error("the response of `{url}` has more than {limit} bytes")]
    TooLarge { url: String, limit: u64 },
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    #[error("more than {limit} redirects, the last by `{url}`")]
    TooManyRedirects { url: String, limit: usize },
}

impl ClientError {
    /// Whether it may go away by itself within seconds.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { source, .. } => source.is_transient(),
            Self::Exchange { .. } | Self::Body { .. } => true,
            // Waiting for what is slow has taken long enough already.
            _ => false,
        }
    }

    fn is_timeout(&self) -> bool {
        matches!(self, Self::HeadTimedOut { .. } | Self::BodyStalled { .. } | Self::TooSlow { .. })
    }

    /// Whether wagi rejects what the server sent or where it led: such a server is not down.
    pub fn is_rejection(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::Redirect(_) | Self::TooManyRedirects { .. } => true,
            Self::Connect { source, .. } => matches!(source, ConnectError::AddressDenied { .. }),
            _ => false,
        }
    }

    /// The error of the connector, if that is why the exchange failed.
    pub(in crate::net) fn from_exchange(url: &Url, error: ExchangeError) -> Self {
        let url = redacted(url);
        match std::error::Error::source(&error).and_then(|source| source.downcast_ref::<ConnectError>()) {
            Some(source) => Self::Connect { url, source: source.clone() },
            None => Self::Exchange { url, source: error },
        }
    }
}

/// Of the kind `TimedOut` if another try would take just as long.
impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        let kind = if error.is_timeout() { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
        Self::new(kind, error)
    }
}
