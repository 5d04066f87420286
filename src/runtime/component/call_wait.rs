//! Does a guest wait for a server that it calls?
//!
//! It does only when its request is complete. Before that, the server waits for the guest, which may be passing on what its
//! client sends.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::runtime::component::other_wait::OtherWait;
use crate::runtime::instance::stdio::Stdio;

/// A call to a server that the guest may wait for.
pub(in crate::runtime::component) struct CallWait {
    stdio: Arc<Stdio>,
    state: Mutex<CallState>,
}

#[derive(Default)]
struct CallState {
    /// Whether the request is complete.
    sent: bool,
    /// Whether the guest waits for the response, or for more of it.
    awaited: bool,
    wait: Option<OtherWait>,
}

impl CallWait {
    /// `None` for a guest whose request has no body.
    pub fn begin(stdio: &Arc<Stdio>) -> Option<Arc<Self>> {
        stdio.has_request_body.then(|| Arc::new(Self { stdio: stdio.clone(), state: Mutex::default() }))
    }

    fn update(&self, change: impl FnOnce(&mut CallState)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        if !(state.sent && state.awaited) {
            state.wait = None;
        } else if state.wait.is_none() {
            state.wait = OtherWait::begin(&self.stdio);
        }
    }

    /// Waits for the response.
    pub async fn response<T>(call: Option<Arc<Self>>, response: impl Future<Output = T>) -> T {
        let _awaited = call.map(Awaited::begin);
        response.await
    }
}

/// A wait for a response, until dropped.
struct Awaited(Arc<CallWait>);

impl Awaited {
    fn begin(call: Arc<CallWait>) -> Self {
        call.update(|state| state.awaited = true);
        Self(call)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.update(|state| state.awaited = false);
    }
}

/// Which body of a call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::component) enum Side {
    Request,
    Response,
}

/// A body of a call.
pub(in crate::runtime::component) struct CallWaitBody {
    body: WasiBody,
    call: Arc<CallWait>,
    side: Side,
}

impl CallWaitBody {
    pub fn new(body: WasiBody, call: Arc<CallWait>, side: Side) -> Self {
        let body = Self { body, call, side };
        if body.side == Side::Request && body.body.is_end_stream() {
            body.record_end();
        }
        body
    }

    fn record_end(&self) {
        self.call.update(|state| match self.side {
            Side::Request => state.sent = true,
            Side::Response => state.awaited = false,
        });
    }
}

impl Body for CallWaitBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match self.side {
            Side::Response => self.call.update(|state| state.awaited = polled.is_pending()),
            Side::Request
                if self.body.is_end_stream() || !matches!(polled, Poll::Pending | Poll::Ready(Some(Ok(_)))) =>
            {
                self.record_end();
            }
            Side::Request => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for CallWaitBody {
    fn drop(&mut self) {
        self.record_end();
    }
}
