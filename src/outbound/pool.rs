//! Which requests lead to the answer?
//!
//! `Client::send` runs [`follow`] within the time of the call. Each hop is checked like the first one.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::outbound::call::Hop;
use crate::outbound::dial::Dialer;
use crate::outbound::{Calls, Error, Limits, Request, Response, redirect, response};

/// Connections kept for the next call, per scheme, host and port; as many as could be of use to a module's guests.
const IDLE_PER_HOST: usize = 64;

/// For how long they are kept. Servers rarely keep theirs much longer.
const IDLE_TIME: Duration = Duration::from_secs(15);

/// When a silent HTTP/2 connection is asked whether it is still there.
const PING_AFTER: Duration = Duration::from_secs(10);

/// The connections of one script, and how HTTP is spoken on them.
pub(super) type Pool = HttpClient<Dialer, Upload>;

/// The body of a request: all of it, or as it comes.
pub(super) type Upload = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

pub(super) fn pool(dialer: Dialer, limits: &Limits) -> Pool {
    HttpClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIME)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .timer(TokioTimer::new())
        // What HTTP/1 buffers is how long a header block may be. The library wants at least 8 KiB.
        .http1_max_buf_size(limits.headers.max(8 * 1024))
        .http2_max_header_list_size(u32::try_from(limits.headers).unwrap_or(u32::MAX))
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_AFTER)
        .build(dialer)
}

/// Sends the request, and whatever redirects make of it, until there is an answer that is none.
pub(super) async fn follow(calls: &Arc<Calls>, request: Request) -> Result<Response, Error> {
    let mut hop = Hop::first(request);
    for _ in 0..=calls.limits.redirects {
        calls.policy.admits_host(&hop.url)?;
        let answer = calls.pool.request(hop.to_request()?).await.map_err(Error::of_exchange)?;
        response::check_headers(answer.headers(), &calls.limits)?;
        match redirect::next(&hop, answer.status(), answer.headers())? {
            Some(next) => hop = next,
            None => return response::collect(answer, &calls.limits, &calls.room).await,
        }
    }
    Err(Error::TooManyRedirects(calls.limits.redirects))
}
