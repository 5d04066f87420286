//! Which request do the variables of a web server describe (RFC 3875 §4.1)? Called by the parent.
//!
//! The target is what the client sent, REQUEST_URI. The module is at SCRIPT_NAME, so that it sees the SCRIPT_NAME and PATH_INFO of the
//! web server. Variables of the web server about its own files are ignored.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use wagi::RoutePattern;
use wagi::server::{ClientIdentity, Peer, RemoteAddress, RequestScheme, StatedIdentity};

use crate::cli::commands::cgi::standard_input::{InputLength, StandardInput};

/// Fields that the web server has dealt with, and those whose variables have other names.
const NOT_FIELDS: [&str; 10] = [
    "HTTP_CONNECTION",
    "HTTP_CONTENT_LENGTH",
    "HTTP_CONTENT_TYPE",
    "HTTP_EXPECT",
    "HTTP_KEEP_ALIVE",
    "HTTP_PROXY",
    "HTTP_PROXY_CONNECTION",
    "HTTP_TE",
    "HTTP_TRANSFER_ENCODING",
    "HTTP_UPGRADE",
];

/// What a path cannot hold as it is.
const PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// The environment of the process.
pub(super) struct CgiVariables<'a>(&'a [(OsString, OsString)]);

/// Why the variables make no request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    #[error(
        "there is no REQUEST_METHOD in the environment: `wagi cgi` is started by a web server; for a server write `wagi FILE.wasm`"
    )]
    NotUnderCgi,
    #[error("{0} is malformed")]
    Malformed(&'static str),
}

impl<'a> CgiVariables<'a> {
    pub fn new(variables: &'a [(OsString, OsString)]) -> Self {
        Self(variables)
    }

    /// The request, with standard input as its body.
    pub fn request(&self) -> Result<Request<StandardInput>, RequestError> {
        let head = self.head()?;
        let length = self.input_length()?;
        Ok(head.map(|()| StandardInput::spawn(length)))
    }

    fn head(&self) -> Result<Request<()>, RequestError> {
        let method = self.value("REQUEST_METHOD").ok_or(RequestError::NotUnderCgi)?;
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(method).or(malformed("REQUEST_METHOD"))?;
        *request.uri_mut() = self.target()?;
        *request.version_mut() = match self.text("SERVER_PROTOCOL") {
            Some("HTTP/1.0") => Version::HTTP_10,
            Some("HTTP/2" | "HTTP/2.0") => Version::HTTP_2,
            Some("HTTP/3" | "HTTP/3.0") => Version::HTTP_3,
            _ => Version::HTTP_11,
        };
        self.add_fields(&mut request)?;
        request.extensions_mut().insert(self.peer());
        if let Some(identity) = self.identity() {
            request.extensions_mut().insert(ClientIdentity::Stated(Arc::new(identity)));
        }
        Ok(request)
    }

    /// Where the module is, so that the rest of `path` is the PATH_INFO of the web server.
    pub fn route(&self, path: &str) -> RoutePattern {
        let script = self.value("SCRIPT_NAME").unwrap_or_default();
        let script = script.strip_suffix(b"/").unwrap_or(script);
        // The target is encoded, SCRIPT_NAME is not: a place in the target is looked for that says the same.
        let places = path.char_indices().filter(|(_, letter)| *letter == '/').map(|(at, _)| at).chain([path.len()]);
        let mut prefixes = places.filter_map(|at| path.get(..at));
        let is_script = |prefix: &&str| percent_decode_str(prefix).eq(script.iter().copied());
        RoutePattern::new([prefixes.find(is_script).unwrap_or_default(), "/..."].concat())
    }

    fn value(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_bytes()).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.value(name)?).ok()
    }

    /// REQUEST_URI, which is what the client sent; else what RFC 3875 has of it.
    fn target(&self) -> Result<Uri, RequestError> {
        if let Some(target) = self.value("REQUEST_URI") {
            return Uri::try_from(target).or(malformed("REQUEST_URI"));
        }
        let path =
            [self.value("SCRIPT_NAME").unwrap_or_default(), self.value("PATH_INFO").unwrap_or_default()].concat();
        let path = percent_encode(&path, PATH).to_string();
        let path = if path.is_empty() { b"/".to_vec() } else { path.into_bytes() };
        let query = self.value("QUERY_STRING").map(|query| [b"?", query].concat()).unwrap_or_default();
        Uri::try_from([path, query].concat()).or(malformed("SCRIPT_NAME, PATH_INFO or QUERY_STRING"))
    }

    /// How much of standard input is the body. Apache passes on a body in chunks without its length.
    fn input_length(&self) -> Result<InputLength, RequestError> {
        match self.text("CONTENT_LENGTH") {
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(InputLength::Known).or(malformed("CONTENT_LENGTH"))
            }
            Some(_) => malformed("CONTENT_LENGTH"),
            None if self.value("HTTP_TRANSFER_ENCODING").is_some() => Ok(InputLength::Unknown),
            None => Ok(InputLength::Known(0)),
        }
    }

    fn add_fields(&self, request: &mut Request<()>) -> Result<(), RequestError> {
        for (variable, value) in self.0 {
            let Some(variable) = variable.to_str().filter(|name| !NOT_FIELDS.contains(name)) else { continue };
            let Some(name) = variable.strip_prefix("HTTP_") else { continue };
            let name = HeaderName::try_from(name.replace('_', "-")).or(malformed("the name of a header field"))?;
            request.headers_mut().insert(name, field_value(value.as_bytes())?);
        }
        // lighttpd says 0 for each request without a body.
        let is_bodiless = [Method::GET, Method::HEAD].contains(request.method());
        let length = self.value("CONTENT_LENGTH").filter(|length| *length != b"0" || !is_bodiless);
        for (name, value) in [(CONTENT_TYPE, self.value("CONTENT_TYPE")), (CONTENT_LENGTH, length)] {
            if let Some(value) = value {
                request.headers_mut().insert(name, field_value(value)?);
            }
        }
        if !request.headers().contains_key(HOST)
            && let Some(host) = self.own_host()
        {
            request.headers_mut().insert(HOST, field_value(host.as_bytes())?);
        }
        Ok(())
    }

    /// The name and the port of the web server, for a client that names no host.
    fn own_host(&self) -> Option<String> {
        let name = self.text("SERVER_NAME")?;
        let name = if name.parse::<Ipv6Addr>().is_ok() { format!("[{name}]") } else { name.to_owned() };
        let port = self.text("SERVER_PORT").and_then(|port| port.parse::<u16>().ok());
        Some(port.map_or_else(|| name.clone(), |port| format!("{name}:{port}")))
    }

    /// The client, as the web server has it.
    fn peer(&self) -> Peer {
        let address = |name: &str, port: &str| {
            let ip: IpAddr = self.text(name)?.trim_matches(['[', ']']).parse().ok()?;
            Some(SocketAddr::new(ip.to_canonical(), self.text(port).and_then(|port| port.parse().ok()).unwrap_or(0)))
        };
        let mut peer = Peer::new(address("REMOTE_ADDR", "REMOTE_PORT").map_or(RemoteAddress::Unix, RemoteAddress::Ip));
        peer.local = address("SERVER_ADDR", "SERVER_PORT");
        let is_secure = match self.text("HTTPS") {
            Some(https) => !https.eq_ignore_ascii_case("off"),
            None => self.text("REQUEST_SCHEME").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        };
        peer.scheme = Some(if is_secure { RequestScheme::Https } else { RequestScheme::Http });
        peer
    }

    /// The user, if the web server has authenticated one.
    fn identity(&self) -> Option<StatedIdentity> {
        let text = |name: &str| self.text(name).map(str::to_owned);
        let (user, verify) = (text("REMOTE_USER"), text("SSL_CLIENT_VERIFY"));
        (user.is_some() || verify.is_some()).then(|| StatedIdentity {
            auth_type: text("AUTH_TYPE").unwrap_or_default(),
            user: user.unwrap_or_default(),
            verify,
            subject: text("SSL_CLIENT_S_DN"),
        })
    }
}

fn malformed<T>(what: &'static str) -> Result<T, RequestError> {
    Err(RequestError::Malformed(what))
}

fn field_value(value: &[u8]) -> Result<HeaderValue, RequestError> {
    HeaderValue::from_bytes(value).or(malformed("the value of a header field"))
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::cgi::request::*;

    const GET: (&str, &str) = ("REQUEST_METHOD", "GET");

    fn owned(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }

    #[test]
    fn a_user_that_the_web_server_has_authenticated_is_the_client() {
        let identity = |variables: &[(&str, &str)]| {
            let variables = owned(variables);
            let request = CgiVariables::new(&variables).head().expect("a request");
            request.extensions().get::<ClientIdentity>().cloned()
        };
        assert_eq!(identity(&[GET, ("REMOTE_USER", "")]), None);
        assert_eq!(
            identity(&[GET, ("REMOTE_USER", "ada"), ("AUTH_TYPE", "Basic")]),
            Some(ClientIdentity::Stated(Arc::new(StatedIdentity {
                auth_type: "Basic".to_owned(),
                user: "ada".to_owned(),
                verify: None,
                subject: None,
            })))
        );
    }

    #[test]
    fn the_target_is_what_the_client_sent_if_the_web_server_says_it() {
        for (variables, target) in [
            (&[GET, ("REQUEST_URI", "/a%20b?-s"), ("SCRIPT_NAME", "/x")][..], "/a%20b?-s"),
            (&[GET, ("SCRIPT_NAME", "/x"), ("PATH_INFO", "/a b?"), ("QUERY_STRING", "-c+x")], "/x/a%20b%3F?-c+x"),
            (&[GET, ("SCRIPT_NAME", "/é")], "/%C3%A9"),
            (&[GET], "/"),
        ] {
            let variables = owned(variables);
            assert_eq!(CgiVariables::new(&variables).head().expect("a request").uri(), target);
        }
    }

    #[test]
    fn what_makes_no_request_is_refused() {
        for (variables, error) in [
            (&[][..], RequestError::NotUnderCgi),
            (&[("REQUEST_METHOD", "")], RequestError::NotUnderCgi),
            (&[("REQUEST_METHOD", "G T")], RequestError::Malformed("REQUEST_METHOD")),
            (&[GET, ("REQUEST_URI", "/a b")], RequestError::Malformed("REQUEST_URI")),
            (&[GET, ("HTTP_A\u{e9}", "x")], RequestError::Malformed("the name of a header field")),
            (&[GET, ("HTTP_A", "x\ny")], RequestError::Malformed("the value of a header field")),
        ] {
            let variables = owned(variables);
            assert_eq!(CgiVariables::new(&variables).head().expect_err("no request"), error);
        }
        for (length, expected) in [
            ("", Ok(InputLength::Known(0))),
            ("0", Ok(InputLength::Known(0))),
            ("12", Ok(InputLength::Known(12))),
            ("-1", malformed("CONTENT_LENGTH")),
            ("+1", malformed("CONTENT_LENGTH")),
            ("99999999999999999999", malformed("CONTENT_LENGTH")),
        ] {
            let variables = owned(&[("CONTENT_LENGTH", length)]);
            assert_eq!(CgiVariables::new(&variables).input_length(), expected, "{length}");
        }
        let variables = owned(&[("HTTP_TRANSFER_ENCODING", "chunked")]);
        assert_eq!(CgiVariables::new(&variables).input_length(), Ok(InputLength::Unknown));
    }

    #[test]
    fn the_module_is_at_script_name() {
        for (script, path, route) in [
            ("", "/x", "/..."),
            ("/", "/x", "/..."),
            ("/app", "/app", "/app/..."),
            ("/app", "/app/x/y", "/app/..."),
            ("/cgi-bin/app.cgi", "/cgi-bin/app.cgi/x", "/cgi-bin/app.cgi/..."),
            ("/a b", "/a%20b/c", "/a%20b/..."),
            // The web server has rewritten the path.
            ("/app.cgi", "/x/y", "/..."),
            ("/app", "/apple", "/..."),
        ] {
            let variables = owned(&[("SCRIPT_NAME", script)]);
            assert_eq!(CgiVariables::new(&variables).route(path).as_str(), route, "{script} {path}");
        }
    }

    #[test]
    fn fields_are_those_of_the_client_and_the_peer_is_the_word_of_the_web_server() {
        let variables = owned(&[
            ("REQUEST_METHOD", "POST"),
            ("HTTP_X_A", "1"),
            ("HTTP_PROXY", "evil"),
            ("HTTP_TRANSFER_ENCODING", "chunked"),
            ("CONTENT_TYPE", "text/plain"),
            ("SERVER_NAME", "2001:db8::1"),
            ("SERVER_PORT", "8080"),
            ("REMOTE_ADDR", "192.0.2.1"),
            ("REMOTE_PORT", "4711"),
            ("HTTPS", "on"),
        ]);
        let request = CgiVariables::new(&variables).head().expect("a request");
        let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "host", "x-a"]);
        assert_eq!(request.headers().get(HOST).map(HeaderValue::as_bytes), Some(&b"[2001:db8::1]:8080"[..]));
        let peer = request.extensions().get::<Peer>().expect("a peer");
        assert_eq!(peer.remote, RemoteAddress::Ip("192.0.2.1:4711".parse().expect("an address")));
        assert_eq!(peer.scheme, Some(RequestScheme::Https));
    }
}
