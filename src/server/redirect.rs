//! What does a plain port answer, if clients are to use HTTPS? With `redirect_https`: the same URL with `https`. Only a
//! request that has come to a trusted proxy over HTTPS is served: its client uses HTTPS already.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};

use crate::config::{ForwardedFields, TrustedProxies};
use crate::proxy::read_forwarded;
use crate::server::RequestBody;
use crate::server::service::HttpService;

/// The port of `https` URLs without one.
const DEFAULT_PORT: u16 = 443;

/// A service that sends every client to the same URL with `https`.
#[derive(Clone, Copy, Debug)]
pub(super) struct RedirectToHttps {
    /// The port that serves HTTPS.
    pub(super) port: u16,
}

impl RedirectToHttps {
    fn respond(self, head: &Parts) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        match self.location(head) {
            Some(location) => {
                *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
                response.headers_mut().insert(LOCATION, location);
            }
            None => *response.status_mut() = StatusCode::BAD_REQUEST,
        }
        response
    }

    /// The URL that the client should have used. `None` if the request names no host, or if what it names is not certainly one:
    /// clients are sent to the host that they have reached, and to no other.
    fn location(self, head: &Parts) -> Option<HeaderValue> {
        let mut fields = head.headers.get_all(HOST).iter();
        let (field, second) = (fields.next(), fields.next());
        let authority = match head.uri.authority() {
            Some(authority) => authority.as_str(),
            None => field?.to_str().ok()?,
        };
        let name = host_name(authority).filter(|_| second.is_none())?;
        let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if head.method == Method::CONNECT || !path.starts_with('/') {
            return None;
        }
        let url = match self.port {
            DEFAULT_PORT => format!("https://{name}{path}"),
            port => format!("https://{name}:{port}{path}"),
        };
        HeaderValue::try_from(url).ok()
    }
}

/// The name or address in an authority, without the port.
fn host_name(authority: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]:".contains(&byte);
    if !authority.bytes().all(is_plain) {
        return None;
    }
    let parsed: Authority = authority.parse().ok()?;
    let length = parsed.host().len();
    // RFC 3986 §3.2.2: brackets are for addresses of IPv6 only.
    let is_address = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    let (name, port) = authority.split_at_checked(length)?;
    let is_name = match name.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(is_address),
        None => !name.is_empty() && !name.contains(['[', ']', ':']),
    };
    let is_port = port.is_empty() || port == ":" || parsed.port_u16().is_some();
    (is_name && is_port).then_some(name)
}

impl tower_service::Service<Request<RequestBody>> for RedirectToHttps {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (head, _) = request.into_parts();
        ready(Ok(self.respond(&head)))
    }
}

/// A service for a trusted proxy on a plain port: requests that clients made over HTTPS are served, others are redirected.
#[derive(Clone, Debug)]
pub(super) struct RedirectUnlessForwarded<S> {
    pub(super) redirect: RedirectToHttps,
    pub(super) service: S,
    pub(super) proxies: TrustedProxies,
    pub(super) fields: ForwardedFields,
}

impl<S: HttpService> tower_service::Service<Request<RequestBody>> for RedirectUnlessForwarded<S> {
    type Response = Response<Either<Full<Bytes>, <S as HttpService>::ResponseBody>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let forwarded = read_forwarded(request.headers(), self.fields, &self.proxies);
        if forwarded.https != Some(true) {
            let (head, _) = request.into_parts();
            let response = self.redirect.respond(&head).map(Either::Left);
            return Box::pin(ready(Ok(response)));
        }
        let response = self.service.call(request);
        Box::pin(async move { Ok(response.await?.map(Either::Right)) })
    }
}

#[cfg(test)]
mod tests {
    use crate::server::redirect::*;

    fn location(port: u16, target: &str, hosts: &[&str]) -> Option<String> {
        let mut request = Request::get(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let location = RedirectToHttps { port }.location(&head)?;
        Some(location.to_str().expect("text").to_owned())
    }

    #[test]
    fn the_url_is_the_same_but_for_its_scheme_and_port() {
        for (port, target, host, expected) in [
            (443, "/", "example.com", "https://example.com/"),
            (443, "/a%20b?c=d&e", "example.com:80", "https://example.com/a%20b?c=d&e"),
            (8443, "/", "example.com:8080", "https://example.com:8443/"),
            (443, "//evil.example/", "example.com", "https://example.com//evil.example/"),
            (8443, "/", "[::1]:8080", "https://[::1]:8443/"),
            (443, "/", "192.0.2.1", "https://192.0.2.1/"),
            (443, "http://a.example:80/x", "a.example", "https://a.example/x"),
            (443, "/", "example.com:", "https://example.com/"),
        ] {
            assert_eq!(location(port, target, &[host]).as_deref(), Some(expected), "{target} {host}");
        }
    }

    #[test]
    fn a_client_that_names_no_certain_host_is_sent_nowhere() {
        for host in [
            "",
            "evil@good",
            "good/evil",
            "a b",
            "a,b",
            "[::1",
            "[a]",
            "::1",
            "a:99999",
            "a:b",
            "a\\b",
            "a#b",
            "a?b",
            ":80",
            "%61",
        ] {
            assert_eq!(location(443, "/", &[host]), None, "{host:?}");
        }
        assert_eq!(location(443, "/", &[]), None);
        assert_eq!(location(443, "/", &["a", "b"]), None);
        assert_eq!(location(443, "*", &["a"]), None);
    }
}
