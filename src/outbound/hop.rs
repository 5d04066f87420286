//! Where does an answer send the caller?
//!
//! `exchange` asks for each answer, and asks `policy` about where that leads before it goes there.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use url::Url;

use crate::outbound::Error;
use crate::outbound::call::Hop;
use crate::outbound::policy;

/// Meant for whom the guest called, and for nobody that one names.
const SECRETS: [HeaderName; 4] =
    [header::AUTHORIZATION, header::COOKIE, HeaderName::from_static("cookie2"), header::PROXY_AUTHORIZATION];

/// What describes a body, and goes with it.
const ABOUT_THE_BODY: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION];

/// The request that `hop`'s answer asks for; none if the answer is what the guest gets. One whose Location is missing
/// or no URL is, too.
pub(super) fn next(hop: &Hop, status: StatusCode, headers: &HeaderMap) -> Result<Option<Hop>, Error> {
    let keeps_body = match status.as_u16() {
        301..=303 => false,
        307 | 308 => true,
        _ => return Ok(None),
    };
    let Some(url) = location(hop, headers) else { return Ok(None) };
    if policy::has_user(&url) {
        return Err(Error::Redirect);
    }
    let mut next = Hop { url, ..hop.clone() };
    if !keeps_body {
        become_get(&mut next);
    }
    if next.url.origin() != hop.url.origin() {
        remove(&mut next.headers, &SECRETS);
    }
    Ok(Some(next))
}

fn location(hop: &Hop, headers: &HeaderMap) -> Option<Url> {
    let location = std::str::from_utf8(headers.get(header::LOCATION)?.as_bytes()).ok()?;
    hop.url.join(location).ok().filter(Url::has_host)
}

/// What WAGI's client made of every method but these two, and browsers make of POST.
fn become_get(hop: &mut Hop) {
    if hop.method != Method::HEAD {
        hop.method = Method::GET;
    }
    hop.body = Bytes::new();
    remove(&mut hop.headers, &ABOUT_THE_BODY);
}

fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::outbound::redirect::*;

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
        next(&post(), StatusCode::from_u16(status).expect("a status"), &headers)
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
        assert!(next(&post(), StatusCode::FOUND, &headers).expect("no error").is_none());
        assert!(matches!(answered(302, "https://user@a.example/"), Err(Error::Redirect)));
    }
}
