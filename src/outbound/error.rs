//! What can go wrong with a guest's call, and which code does the guest get?
//!
//! The imports of `wasi_experimental_http` return [`Error::code`]; the text is for the log, not for the guest.

use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use http::Method;
use tokio_rustls::rustls;

use crate::net::connect::ConnectError;
use crate::net::connect::policy::AddressDenial;

/// Why a call, or the use of its response, failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No open response has this handle.
    #[error("no open response has this handle")]
    InvalidHandle,
    /// The guest exports no memory.
    #[error("the guest exports no memory named `memory`")]
    MemoryNotFound,
    /// A range for output lies outside the guest's memory.
    #[error("an output range lies outside the guest's memory")]
    MemoryAccess,
    /// The guest's buffer is too small, or a range for input lies outside its memory.
    #[error("a buffer is too small, or an input range lies outside the guest's memory")]
    BufferTooSmall,
    /// The response has no such header.
    #[error("the response has no such header")]
    HeaderNotFound,
    /// Text that is not UTF-8.
    #[error("not valid UTF-8")]
    NotUtf8,
    /// The guest may not call this host.
    #[error("`allowed_hosts` does not name `{0}`")]
    HostNotAllowed(String),
    /// The host may be called, but not at this address.
    #[error("`{host}` is at {address}, which `allowed_hosts` does not open")]
    AddressNotAllowed {
        /// The host as the URL has it.
        host: String,
        /// The address.
        address: IpAddr,
    },
    /// The server itself listens there, which no list opens.
    #[error("`{host}` is at {address}, where this server itself listens")]
    OwnAddress {
        /// The host as the URL has it.
        host: String,
        /// The address.
        address: IpAddr,
    },
    /// Not a method.
    #[error("not an HTTP method")]
    InvalidMethod,
    /// The text of the request headers cannot be read.
    #[error("request headers are not lines of `name:value`")]
    InvalidHeaders,
    /// Not a URL with a host, or one with a user name in it.
    #[error("not a URL with a host and without a user name")]
    InvalidUrl,
    /// Only http and https are spoken.
    #[error("the scheme `{0}` is neither `http` nor `https`")]
    Scheme(String),
    /// CONNECT asks for a tunnel.
    #[error("tunnels are not offered: the method is CONNECT")]
    Tunnel,
    /// TRACE echoes what only the server should see, and PRI belongs to HTTP/2.
    #[error("the method {0} is not sent")]
    MethodNotSent(Method),
    /// A body with a method that has none, without its length: it would not be sent.
    #[error("a request with the method {0} has a body without a Content-Length")]
    UnexpectedBody(Method),
    /// A name could not be resolved.
    #[error("cannot resolve `{host}`")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        source: Arc<io::Error>,
    },
    /// No connection, or no TLS on it.
    #[error("cannot connect to `{host}`")]
    Connect {
        /// The host as the URL has it.
        host: String,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The server does not speak HTTP as it should, or broke off.
    #[error("the exchange failed")]
    Exchange(#[source] Arc<dyn StdError + Send + Sync>),
    /// The server sends interim responses (1xx), and no response.
    #[error("more than {0} interim responses")]
    TooManyInterim(usize),
    /// The redirects do not end.
    #[error("more than {0} redirects")]
    TooManyRedirects(usize),
    /// A redirect to a URL that cannot be called.
    #[error("redirected to a URL with a user name")]
    Redirect,
    /// The call has reached its limit of time.
    #[error("the call took too long")]
    TimedOut,
    /// The body of the response is too long.
    #[error("the body of the response is longer than {0} bytes")]
    TooLarge(usize),
    /// The headers of the response are too long.
    #[error("the headers of the response are longer than {0} bytes")]
    HeadersTooLarge(usize),
    /// The headers of the response are no plain text.
    #[error("the response headers are not UTF-8 or hold control characters")]
    HeadersNotText,
    /// All guests together hold too many responses.
    #[error("there is no room for another response")]
    NoRoom,
    /// The server ended the call.
    #[error("the call was stopped")]
    Stopped,
    /// The run holds as many responses as it may.
    #[error("too many responses are open")]
    TooManyOpen,
    /// The run has made as many calls as it may.
    #[error("more than {0} calls")]
    TooManyCalls(u32),
    /// The run has sent and received its limit of bytes.
    #[error("more than {0} bytes were sent and received")]
    ByteLimit(u64),
    /// The server was silent for too long.
    #[error("the other side was silent for too long")]
    IdleTimedOut,
}

/// The kind of an error, for guests that learn more than a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The guest may not call the host.
    Denied,
    /// The guest may call the host, but not at this address.
    DeniedAddress,
    /// The request is not valid.
    Malformed,
    /// The method is not sent.
    MethodNotSent,
    /// The request has a body that its method does not have.
    UnexpectedBody,
    /// There is no such name.
    UnknownName,
    /// The name was not resolved within the time.
    ResolveTimedOut,
    /// No server listens at the address.
    ConnectionRefused,
    /// The connection was not made within the time.
    ConnectTimedOut,
    /// There is no route to the address.
    Unreachable,
    /// The TLS handshake failed.
    Tls,
    /// The certificate is not trusted.
    Certificate,
    /// The response did not come within the time.
    TimedOut,
    /// The headers of the response are too long.
    HeadersTooLarge,
    /// The body is too long.
    TooLarge,
    /// The run has too many calls or responses open.
    Busy,
    /// The connection broke off, or what came over it was not HTTP.
    Broken,
}

/// What came of a call, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// There is a response, whatever its status.
    Ok,
    /// The guest may not call this server.
    Denied,
    /// The guest has asked for something that is not sent.
    Invalid,
    /// A limit of the run, or of all runs, is reached.
    Busy,
    /// No connection could be made.
    NotConnected,
    /// The time was up.
    TimedOut,
    /// The server broke off, or responded with something that is not passed on.
    Failed,
    /// The guest ended before there was a response.
    Cancelled,
}

impl CallResult {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Denied,
        Self::Invalid,
        Self::Busy,
        Self::NotConnected,
        Self::TimedOut,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Busy => "busy",
            Self::NotConnected => "not-connected",
            Self::TimedOut => "timeout",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the call got as far as to another server, or tried to.
    pub const fn was_sent(self) -> bool {
        matches!(self, Self::Ok | Self::NotConnected | Self::TimedOut | Self::Failed)
    }
}

impl From<ErrorKind> for CallResult {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Denied | ErrorKind::DeniedAddress => Self::Denied,
            ErrorKind::Malformed | ErrorKind::MethodNotSent | ErrorKind::UnexpectedBody => Self::Invalid,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::UnknownName | ErrorKind::ConnectionRefused | ErrorKind::Unreachable => Self::NotConnected,
            ErrorKind::Tls | ErrorKind::Certificate => Self::NotConnected,
            ErrorKind::ResolveTimedOut | ErrorKind::ConnectTimedOut | ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::HeadersTooLarge | ErrorKind::TooLarge | ErrorKind::Broken => Self::Failed,
        }
    }
}

impl Error {
    /// Whether the operator did not allow the call.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::HostNotAllowed(_) | Self::AddressNotAllowed { .. } | Self::OwnAddress { .. })
    }

    /// The code of `wasi_experimental_http`.
    pub fn code(&self) -> u32 {
        match self {
            Self::InvalidHandle => 1,
            Self::MemoryNotFound => 2,
            Self::MemoryAccess => 3,
            Self::BufferTooSmall => 4,
            Self::HeaderNotFound => 5,
            Self::NotUtf8 => 6,
            Self::HostNotAllowed(_) | Self::AddressNotAllowed { .. } | Self::OwnAddress { .. } => 7,
            Self::InvalidMethod => 8,
            Self::InvalidHeaders => 9,
            Self::InvalidUrl => 10,
            Self::Scheme(_) | Self::Tunnel | Self::Resolve { .. } | Self::Connect { .. } | Self::Exchange(_) => 11,
            Self::TooManyRedirects(_) | Self::Redirect | Self::TimedOut => 11,
            Self::TooLarge(_) | Self::HeadersTooLarge(_) => 11,
            Self::HeadersNotText | Self::NoRoom | Self::Stopped => 12,
            Self::TooManyOpen | Self::TooManyCalls(_) => 13,
            Self::ByteLimit(_) | Self::IdleTimedOut | Self::TooManyInterim(_) => 11,
            Self::MethodNotSent(_) | Self::UnexpectedBody(_) => 11,
        }
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::HostNotAllowed(_) => ErrorKind::Denied,
            Self::AddressNotAllowed { .. } | Self::OwnAddress { .. } => ErrorKind::DeniedAddress,
            Self::InvalidMethod | Self::InvalidHeaders | Self::InvalidUrl | Self::NotUtf8 => ErrorKind::Malformed,
            Self::Scheme(_) | Self::Tunnel | Self::Redirect | Self::TooManyRedirects(_) => ErrorKind::Malformed,
            Self::MethodNotSent(_) => ErrorKind::MethodNotSent,
            Self::UnexpectedBody(_) => ErrorKind::UnexpectedBody,
            Self::Resolve { source, .. } if source.kind() == io::ErrorKind::TimedOut => ErrorKind::ResolveTimedOut,
            Self::Resolve { .. } => ErrorKind::UnknownName,
            Self::Connect { source, .. } => kind_of_connecting(source),
            Self::TimedOut | Self::IdleTimedOut => ErrorKind::TimedOut,
            Self::HeadersTooLarge(_) | Self::HeadersNotText => ErrorKind::HeadersTooLarge,
            Self::TooLarge(_) | Self::ByteLimit(_) => ErrorKind::TooLarge,
            Self::NoRoom | Self::TooManyOpen | Self::TooManyCalls(_) => ErrorKind::Busy,
            Self::Exchange(_) | Self::TooManyInterim(_) | Self::Stopped | Self::InvalidHandle => ErrorKind::Broken,
            Self::MemoryNotFound | Self::MemoryAccess | Self::BufferTooSmall | Self::HeaderNotFound => {
                ErrorKind::Broken
            }
        }
    }

    /// The error behind a failed exchange. Ours, from the connector or the body, come back from inside the library's.
    pub(super) fn from_exchange(error: impl StdError + Send + Sync + 'static) -> Self {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(own) = inner.downcast_ref::<Self>() {
                return own.clone();
            }
            if let Some(error) = inner.downcast_ref::<ConnectError>() {
                return error.clone().into();
            }
            cause = inner.source();
        }
        Self::Exchange(Arc::new(error))
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NoHost => Self::InvalidUrl,
            ConnectError::HostDenied(host) => Self::HostNotAllowed(host),
            ConnectError::AddressDenied { host, address, denial } => match denial {
                AddressDenial::NotAllowed => Self::AddressNotAllowed { host, address },
                AddressDenial::OwnAddress => Self::OwnAddress { host, address },
            },
            ConnectError::Resolve { host, source } => Self::Resolve { host, source },
            ConnectError::Connect { host, source } | ConnectError::Tls { host, source } => {
                Self::Connect { host, source }
            }
        }
    }
}

fn kind_of_connecting(error: &io::Error) -> ErrorKind {
    match error.get_ref().and_then(|inside| inside.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => ErrorKind::Certificate,
        Some(_) => ErrorKind::Tls,
        None => match error.kind() {
            io::ErrorKind::ConnectionRefused => ErrorKind::ConnectionRefused,
            io::ErrorKind::TimedOut => ErrorKind::ConnectTimedOut,
            io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
                ErrorKind::Broken
            }
            _ => ErrorKind::Unreachable,
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::outbound::error::*;

    #[derive(Debug, thiserror::Error)]
    #[error("a foreign error")]
    struct Foreign(#[source] Box<dyn StdError + Send + Sync>);

    #[test]
    fn own_errors_are_found_within_foreign_ones() {
        let own = Error::HostNotAllowed("example.com".to_owned());
        let nested = Foreign(Box::new(Foreign(Box::new(own))));
        assert_eq!(Error::from_exchange(nested).code(), 7);
        let connect = ConnectError::AddressDenied {
            host: "a".to_owned(),
            address: [127, 0, 0, 1].into(),
            denial: AddressDenial::NotAllowed,
        };
        assert_eq!(Error::from_exchange(Foreign(Box::new(connect))).kind(), ErrorKind::DeniedAddress);
        assert_eq!(Error::from_exchange(io::Error::other("broken")).code(), 11);
    }
}
