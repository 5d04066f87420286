//! Which requests lead to the response, and what is sent next when one redirects?
//!
//! `Client::send` runs [`follow`] within the time of the call. It sends one hop after the other, and asks `policy` about each before it
//! does.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use url::Url;

use crate::net::redirect::{Redirect, location};
use crate::net::url::has_user;
use crate::outbound::error::Error;
use crate::outbound::policy::{Destination, uri};
use crate::outbound::pool::{CallContext, CallRequestBody};
use crate::outbound::request::{CallRequest, check_method, remove_restricted};
use crate::outbound::response;
use crate::outbound::response::CallResponse;

/// Meant for the server that the guest called, and for no other one.
const SECRETS: [HeaderName; 4] =
    [header::AUTHORIZATION, header::COOKIE, HeaderName::from_static("cookie2"), header::PROXY_AUTHORIZATION];

/// What describes a body, and is removed with it.
const BODY_METADATA: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION];

/// Sends the request, and whatever redirects make of it, until there is a response that does not redirect.
pub(super) async fn follow(context: &CallContext, request: CallRequest) -> Result<CallResponse, Error> {
    let mut hop = Hop::first(request);
    for _ in 0..=context.limits.redirects {
        context.policy.check_host(&hop.url)?;
        let response = context.request(hop.to_request()?).await?;
        response::check_headers(response.headers(), &context.limits)?;
        match hop.next(response.status(), response.headers())? {
            Some(next) => hop = next,
            None => return response::collect(response, &context.limits, &context.memory).await,
        }
    }
    Err(Error::TooManyRedirects(context.limits.redirects))
}

/// A request on its way from one redirect to the next.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub url: Url,
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Hop {
    /// The first: removes the headers that are not the guest's to set.
    pub fn first(request: CallRequest) -> Self {
        let CallRequest { destination: Destination(url), method, mut headers, body } = request;
        headers.remove(header::CONTENT_LENGTH);
        remove_restricted(&mut headers);
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        Self { url, method, headers, body }
    }

    /// What goes to the library, which adds Host and, where there is a body, Content-Length.
    pub fn to_request(&self) -> Result<http::Request<CallRequestBody>, Error> {
        check_method(&self.method)?;
        let mut request =
            http::Request::new(Full::new(self.body.clone()).map_err(|never| match never {}).boxed_unsync());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri(&self.url)?;
        request.headers_mut().clone_from(&self.headers);
        // RFC 9110 §8.6: methods that usually come with a body say that there is none. Some servers insist.
        if self.body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&self.method) {
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    /// The request that a redirect leads to; `None` if the guest gets the response itself. It also gets a redirect whose
    /// Location is missing or not a URL.
    pub fn next(&self, status: StatusCode, headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let Some(redirect) = Redirect::from_status(status) else { return Ok(None) };
        let Some(url) = location(&self.url, headers).filter(Url::has_host) else { return Ok(None) };
        if has_user(&url) {
            return Err(Error::Redirect);
        }
        let mut next = Self { url, ..self.clone() };
        if redirect == Redirect::AsGet {
            next.become_get();
        }
        if next.url.origin() != self.url.origin() {
            remove(&mut next.headers, &SECRETS);
        }
        Ok(Some(next))
    }

    /// Turns the request into a GET without a body. WAGI 0.8's client did so for every method but GET and HEAD, and browsers do
    /// so for POST.
    fn become_get(&mut self) {
        if self.method != Method::HEAD {
            self.method = Method::GET;
        }
        self.body = Bytes::new();
        remove(&mut self.headers, &BODY_METADATA);
    }
}

fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use crate::outbound::hop::*;

    fn post() -> Hop {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "content-type", "x-mine"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let url = Url::parse("https://a.example/dir/page?q").expect("a URL");
        Hop { url, method: Method::POST, headers, body: Bytes::from_static(b"body") }
    }

    fn answered(status: u16, location: &str) -> Result<Option<Hop>, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_str(location).expect("a value"));
        post().next(StatusCode::from_u16(status).expect("a status"), &headers)
    }

    #[test]
    fn statuses_decide_about_method_and_body() {
        for (status, method, body) in
            [(301, "GET", ""), (302, "GET", ""), (303, "GET", ""), (307, "POST", "body"), (308, "POST", "body")]
        {
            let hop = answered(status, "/there").expect("no error").expect("a redirect");
            assert_eq!((hop.method.as_str(), &hop.body[..]), (method, body.as_bytes()), "{status}");
            assert_eq!(hop.headers.contains_key("content-type"), !body.is_empty(), "{status}");
            assert_eq!(hop.headers["x-mine"], "v");
        }
        for status in [200, 201, 300, 304, 305, 306, 400] {
            assert!(answered(status, "/there").expect("no error").is_none(), "{status}");
        }
    }

    #[test]
    fn locations_are_relative_to_the_page_and_secrets_stay_with_its_origin() {
        for (location, url, keeps_secrets) in [
            ("/x", "https://a.example/x", true),
            ("x", "https://a.example/dir/x", true),
            ("?z", "https://a.example/dir/page?z", true),
            ("https://a.example:443/", "https://a.example/", true),
            ("http://a.example/", "http://a.example/", false),
            ("https://a.example:444/", "https://a.example:444/", false),
            ("//b.example/x", "https://b.example/x", false),
            ("\\\\b.example\\x", "https://b.example/x", false),
            ("https://sub.a.example/", "https://sub.a.example/", false),
        ] {
            let hop = answered(302, location).expect("no error").expect("a redirect");
            assert_eq!(hop.url.as_str(), url, "{location}");
            for name in ["authorization", "cookie"] {
                assert_eq!(hop.headers.contains_key(name), keeps_secrets, "{location}: {name}");
            }
        }
    }

    #[test]
    fn locations_that_lead_nowhere_are_answers_and_users_are_refused() {
        for location in ["http://", "mailto:me@a.example", "https://a b/"] {
            assert!(answered(302, location).expect("no error").is_none(), "{location}");
        }
        let headers = HeaderMap::new();
        assert!(post().next(StatusCode::FOUND, &headers).expect("no error").is_none());
        assert!(matches!(answered(302, "https://user@a.example/"), Err(Error::Redirect)));
    }
}
