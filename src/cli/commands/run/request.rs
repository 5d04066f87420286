//! Which request does the command line describe? Called by the parent.
//!
//! The one that curl would send to a server on this machine: with Host, Accept and User-Agent, unless the operator has other
//! values for them, and with the type of a form for a body that is given on the command line.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use wagi::server::{Peer, RequestScheme};

use crate::cli::files;

/// What a target cannot hold as it is.
const TARGET: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'|').add(b'}').add(b'\\').add(b'^');

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const ANY: HeaderValue = HeaderValue::from_static("*/*");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("wagi/", env!("CARGO_PKG_VERSION")));

/// The client of the request: this machine, without a port of its own.
const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A request, as the operator has written it.
pub struct RequestSpec {
    pub target: String,
    pub method: Option<Method>,
    pub fields: Vec<(HeaderName, HeaderValue)>,
    pub body: BodySource,
}

/// Where the request body is from.
pub enum BodySource {
    Empty,
    Text(Vec<u8>),
    File(PathBuf),
    StandardInput,
}

impl BodySource {
    /// A text, or `@` and the name of a file.
    pub fn from_argument(argument: OsString) -> Self {
        let bytes = argument.into_vec();
        match bytes.strip_prefix(b"@") {
            Some(name) => Self::File(OsString::from_vec(name.to_vec()).into()),
            None => Self::Text(bytes),
        }
    }
}

/// Where a request goes.
struct RequestTarget {
    uri: Uri,
    /// The host, if the operator has written a URL.
    host: Option<String>,
    scheme: Option<RequestScheme>,
}

/// A request, read and checked, to be sent once or often.
pub(super) struct PreparedRequest {
    head: Request<()>,
    /// The body; `None` if it is standard input.
    pub body: Option<Bytes>,
}

impl RequestSpec {
    /// Reads the body, and makes the request, which is for `host` unless the operator names another.
    pub(super) fn prepare(&self, host: &str) -> anyhow::Result<PreparedRequest> {
        let body = match &self.body {
            BodySource::Empty => Some(Bytes::new()),
            BodySource::Text(text) => Some(Bytes::copy_from_slice(text)),
            BodySource::File(path) => Some(files::read(path)?.into()),
            BodySource::StandardInput => None,
        };
        let RequestTarget { uri, host: own_host, scheme } = self.target()?;
        let has_body = !matches!(self.body, BodySource::Empty);
        let mut head = Request::new(());
        *head.uri_mut() = uri;
        *head.method_mut() = self.method.clone().unwrap_or(if has_body { Method::POST } else { Method::GET });
        let host = own_host.as_deref().unwrap_or(host);
        *head.headers_mut() = self.fields(host, body.as_ref().filter(|_| has_body))?;
        let mut peer = Peer::new(CLIENT);
        peer.scheme = scheme;
        head.extensions_mut().insert(peer);
        Ok(PreparedRequest { head, body })
    }

    fn target(&self) -> anyhow::Result<RequestTarget> {
        let text = utf8_percent_encode(&self.target, TARGET).to_string();
        let no_path = || format!("`{}` is not a path: write one such as `/hello?name=ada`", self.target);
        let is_scheme = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        };
        if !text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
            let path = if text.starts_with('/') { text } else { format!("/{text}") };
            return Ok(RequestTarget { uri: path.parse().with_context(no_path)?, host: None, scheme: None });
        }
        let url: Uri = text.parse().with_context(no_path)?;
        let scheme = match url.scheme_str() {
            Some("http") => RequestScheme::Http,
            Some("https") => RequestScheme::Https,
            _ => bail!(no_path()),
        };
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let host = url.authority().map(ToString::to_string);
        Ok(RequestTarget { uri: path.parse().with_context(no_path)?, host, scheme: Some(scheme) })
    }

    fn fields(&self, host: &str, body: Option<&Bytes>) -> anyhow::Result<HeaderMap> {
        let mut fields = HeaderMap::new();
        for (name, value) in &self.fields {
            fields.append(name.clone(), value.clone());
        }
        let host = HeaderValue::try_from(host).context("the name of the host cannot be sent")?;
        let mut defaults = vec![(HOST, host), (USER_AGENT, AGENT), (ACCEPT, ANY)];
        if let Some(body) = body {
            defaults.extend([(CONTENT_TYPE, FORM), (CONTENT_LENGTH, body.len().into())]);
        }
        for (name, value) in defaults {
            fields.entry(name).or_insert(value);
        }
        Ok(fields)
    }
}

impl PreparedRequest {
    /// The request without its body.
    pub fn head(&self) -> Request<()> {
        self.head.clone()
    }

    /// Method and target, for people.
    pub fn shown(&self) -> String {
        format!("{} {}", self.head.method(), self.head.uri())
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::run::request::*;

    fn prepared(target: &str, body: BodySource) -> PreparedRequest {
        let fields = vec![(ACCEPT, HeaderValue::from_static("text/html"))];
        let spec = RequestSpec { target: target.to_owned(), method: None, fields, body };
        spec.prepare("localhost:3000").expect("a request")
    }

    #[test]
    fn a_target_is_a_path_or_a_url() {
        for (target, uri, host) in [
            ("/", "/", "localhost:3000"),
            ("a?b=c", "/a?b=c", "localhost:3000"),
            ("/a b/ö%20?{x}", "/a%20b/%C3%B6%20?%7Bx%7D", "localhost:3000"),
            ("/login?next=http://other.example/", "/login?next=http://other.example/", "localhost:3000"),
            ("http://example.com:81/x?y", "/x?y", "example.com:81"),
            ("https://example.com", "/", "example.com"),
        ] {
            let head = prepared(target, BodySource::Empty).head();
            assert_eq!((head.uri().to_string().as_str(), head.method()), (uri, &Method::GET), "{target}");
            assert_eq!(head.headers().get(HOST).map(HeaderValue::as_bytes), Some(host.as_bytes()), "{target}");
            assert!(!head.headers().contains_key(CONTENT_LENGTH), "{target}");
            let peer = head.extensions().get::<Peer>().expect("a client");
            let scheme = match target.split_once("://") {
                Some(("https", _)) => Some(RequestScheme::Https),
                Some(("http", _)) => Some(RequestScheme::Http),
                _ => None,
            };
            assert_eq!(peer.scheme, scheme, "{target}");
        }
        let spec =
            RequestSpec { target: "ftp://h/".to_owned(), method: None, fields: Vec::new(), body: BodySource::Empty };
        assert!(spec.prepare("h").is_err());
    }

    #[test]
    fn a_body_makes_a_post_of_a_form_and_own_fields_stay() {
        let request = prepared("/", BodySource::from_argument("a=b".into()));
        let (head, body) = (request.head(), request.body.expect("a body"));
        assert_eq!((head.method(), &body[..]), (&Method::POST, &b"a=b"[..]));
        assert_eq!(head.headers().get(CONTENT_LENGTH), Some(&HeaderValue::from_static("3")));
        assert_eq!(head.headers().get(CONTENT_TYPE), Some(&FORM));
        assert_eq!(head.headers().get(ACCEPT), Some(&HeaderValue::from_static("text/html")));
        assert!(matches!(BodySource::from_argument("@x".into()), BodySource::File(path) if path.ends_with("x")));
    }
}
