//! Why does a request fail, and which status does the client get?
//!
//! The client gets only the status. The reason goes to the log.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::StatusCode;

use crate::cgi::{BadRequest, HeadError};
use crate::observe::RequestEnd;
use crate::runtime::{Ending, TrapReport};
use crate::server::BodyError;

/// Why a request does not get the response of its guest.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no route matches")]
    NoRoute,
    #[error("the method is not served")]
    MethodNotServed,
    #[error("the target of the request is not a path")]
    NoPath,
    #[error("the request has several Host fields")]
    SeveralHosts,
    #[error("the host of the request is not valid")]
    InvalidHost,
    #[error("the request has several Content-Type fields")]
    SeveralContentTypes,
    #[error("the transfer coding of the request is not chunked alone")]
    TransferCoding,
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    #[error("the request body is longer than {limit} bytes")]
    BodyTooLarge { limit: u64 },
    #[error("the client stopped sending the request body")]
    BodyTimeout,
    #[error("the client waits for 100 (Continue), which is not sent over HTTP/2")]
    ContinueNotSent,
    #[error("the request body cannot be read: {0}")]
    BodyUnreadable(String),
    #[error("all places are taken, and the queue is full or did not move in time")]
    Busy,
    #[error("too many files are being sent")]
    TooManyFiles,
    #[error("the module of the route is still being compiled")]
    Starting,
    #[error("operations on files of the module's volumes hang")]
    VolumesHang,
    #[error("the client takes the response too slowly")]
    ReadTooSlowly,
    #[error("the guest exited with code {0}")]
    Exited(i32),
    #[error("the guest trapped: {}", .0.reason)]
    Trapped(TrapReport),
    #[error("the guest gave no complete answer: {0}")]
    NoResponse(String),
    #[error("the body of the answer is not as long as the guest said")]
    WrongLength,
    #[error("the guest began its answer twice")]
    SecondHead,
    #[error("the guest could not be started: {0}")]
    NotStarted(String),
    #[error("the memory for bodies of unknown length is full")]
    BodyBuffersFull,
    #[error("the guest used up its CPU time")]
    CpuTime,
    #[error("the guest printed more than the limit on answers allows")]
    OutputLimit,
    #[error("the guest's answer has no valid head: {0}")]
    Head(#[from] HeadError),
    #[error("the guest printed no complete head within {}", humantime::format_duration(*.0))]
    HeadTimeout(Duration),
    #[error("the guest printed nothing for {}", humantime::format_duration(*.0))]
    OutputTimeout(Duration),
    #[error("an operator has ended the request")]
    Cancelled,
    #[error("the file cannot be read: {0}")]
    FileUnreadable(io::Error),
}

impl Failure {
    /// The status for the client, if no head has been sent yet.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::MethodNotServed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoPath | Self::SeveralHosts | Self::InvalidHost | Self::SeveralContentTypes => {
                StatusCode::BAD_REQUEST
            }
            Self::BadRequest(_) | Self::BodyUnreadable(_) => StatusCode::BAD_REQUEST,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            // The second is met only after the head.
            Self::BodyTimeout | Self::ReadTooSlowly => StatusCode::REQUEST_TIMEOUT,
            Self::ContinueNotSent => StatusCode::EXPECTATION_FAILED,
            Self::Busy | Self::BodyBuffersFull | Self::VolumesHang | Self::TooManyFiles | Self::Starting => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::CpuTime | Self::HeadTimeout(_) | Self::OutputTimeout(_) | Self::Cancelled => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Exited(_) | Self::Trapped(_) | Self::NoResponse(_) | Self::NotStarted(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::OutputLimit | Self::Head(_) | Self::WrongLength | Self::SecondHead | Self::FileUnreadable(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// How the request ends.
    pub fn end(&self) -> RequestEnd {
        match self {
            Self::Exited(_) => RequestEnd::Exit,
            Self::Trapped(_) => RequestEnd::Trap,
            Self::NoResponse(_) | Self::WrongLength | Self::SecondHead => RequestEnd::NotAnswered,
            Self::NotStarted(_) => RequestEnd::NotStarted,
            Self::CpuTime | Self::HeadTimeout(_) | Self::OutputTimeout(_) => RequestEnd::Timeout,
            Self::OutputLimit => RequestEnd::OutputLimit,
            Self::Head(_) => RequestEnd::BadHead,
            Self::ReadTooSlowly => RequestEnd::ClientGone,
            Self::FileUnreadable(_) => RequestEnd::Static,
            Self::Cancelled => RequestEnd::Cancelled,
            Self::BodyTimeout | Self::ContinueNotSent | Self::BodyUnreadable(_) => RequestEnd::BadBody,
            Self::NoRoute
            | Self::MethodNotServed
            | Self::NoPath
            | Self::SeveralHosts
            | Self::InvalidHost
            | Self::SeveralContentTypes
            | Self::TransferCoding
            | Self::BadRequest(_)
            | Self::BodyTooLarge { .. } => RequestEnd::None,
            Self::Busy | Self::BodyBuffersFull | Self::VolumesHang | Self::TooManyFiles => RequestEnd::Busy,
            Self::Starting => RequestEnd::Starting,
        }
    }

    /// On what a guest has trapped.
    pub fn trap(&self) -> Option<Box<TrapReport>> {
        match self {
            Self::Trapped(report) => Some(Box::new(report.clone())),
            _ => None,
        }
    }

    /// The failure behind the ending of a guest; `None` if the guest succeeded.
    pub fn from_ending(ending: Ending) -> Option<Self> {
        Some(match ending {
            Ending::Succeeded => return None,
            Ending::Exited(code) => Self::Exited(code),
            Ending::Trapped(report) => Self::Trapped(report),
            Ending::NoResponse(reason) => Self::NoResponse(reason),
            Ending::NotStarted(reason) => Self::NotStarted(reason),
            Ending::CpuTimeUsedUp => Self::CpuTime,
            Ending::OutputLimitReached => Self::OutputLimit,
            Ending::PoolExhausted => Self::Busy,
            Ending::VolumesHang => Self::VolumesHang,
            Ending::InputFailed(error) => Self::from_body_error(&error),
        })
    }

    /// The failure behind an error of the request body.
    pub fn from_body_error(error: &(dyn StdError + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let wrapped = error.downcast_ref::<io::Error>();
            let timed_out = matches!(error.downcast_ref(), Some(BodyError::TimedOut))
                || wrapped.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
            if timed_out {
                return Self::BodyTimeout;
            }
            if matches!(error.downcast_ref(), Some(BodyError::ContinueNotSent)) {
                return Self::ContinueNotSent;
            }
            if let Some(&Self::BodyTooLarge { limit }) = error.downcast_ref() {
                return Self::BodyTooLarge { limit };
            }
            // `io::Error::source` skips the wrapped error.
            let inside = wrapped.and_then(io::Error::get_ref).map(|inside| inside as &(dyn StdError + 'static));
            cause = inside.or_else(|| error.source());
        }
        Self::BodyUnreadable(error.to_string())
    }
}
