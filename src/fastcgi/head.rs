//! Which HTTP request do the parameters of a web server stand for?
//!
//! The target is REQUEST_URI. What the web server says of its own files is dropped, and so is what is not known. `HTTP_` stands for
//! header fields. The rest are facts of the request and its connection, as a trusted proxy states them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{EXPECT, HOST, HeaderName, HeaderValue};
use http::{Method, Version};

use crate::fastcgi::Parameters;
use crate::hop_by_hop::is_hop_by_hop;

/// A request as HTTP has it, and the facts that HTTP does not have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WebServerRequest {
    /// The request line and the header fields, without the empty line at their end.
    pub head: Vec<u8>,
    pub is_head: bool,
    pub length: BodyLength,
    pub facts: StatedFacts,
}

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// As long as this.
    Known(u64),
    /// As long as what is sent.
    Unknown,
}

/// What the web server says about the request and its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatedFacts {
    pub client: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub is_https: bool,
    pub version: Version,
    pub user: Option<StatedUser>,
}

/// What the web server says about the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatedUser {
    /// AUTH_TYPE and REMOTE_USER.
    pub auth_type: String,
    pub name: String,
    /// SSL_CLIENT_VERIFY and SSL_CLIENT_S_DN.
    pub verify: Option<String>,
    pub subject: Option<String>,
}

impl WebServerRequest {
    /// `None` if the parameters make no request.
    pub(crate) fn new(parameters: &Parameters) -> Option<Self> {
        let method = Method::from_bytes(parameters.value("REQUEST_METHOD")?).ok()?;
        let target = target(parameters)?;
        let mut head = [method.as_str().as_bytes(), b" ", target, b" HTTP/1.1\r\n"].concat();
        for (name, value) in parameters.iter() {
            append_field(&mut head, name, value)?;
        }
        // The last one counts, as of a parameter that is no field.
        match (parameters.value("HTTP_HOST"), own_host(parameters)) {
            (Some(host), _) => append(&mut head, "host", host)?,
            (None, Some(host)) => append(&mut head, "host", host.as_bytes())?,
            (None, None) => {}
        }
        if let Some(value) = parameters.value("CONTENT_TYPE") {
            append(&mut head, "content-type", value)?;
        }
        let length = match parameters.value("CONTENT_LENGTH") {
            None => BodyLength::Unknown,
            Some(_) => BodyLength::Known(parameters.content_length()?),
        };
        Some(Self { head, is_head: method == Method::HEAD, length, facts: StatedFacts::new(parameters) })
    }
}

fn target(parameters: &Parameters) -> Option<&[u8]> {
    let target = parameters.value("REQUEST_URI")?;
    target.iter().all(|byte| !byte.is_ascii_control() && *byte != b' ').then_some(target)
}

/// The name and the port of the web server, for a client that names no host. Some names have a port already.
fn own_host(parameters: &Parameters) -> Option<String> {
    let name = parameters.text("SERVER_NAME").filter(|name| name.bytes().all(is_of_a_name))?;
    let name = if name.parse::<Ipv6Addr>().is_ok() { format!("[{name}]") } else { name.to_owned() };
    let port = parameters.text("SERVER_PORT").and_then(|port| port.parse::<u16>().ok());
    let has_port = name.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some(port.filter(|_| !has_port).map_or_else(|| name.clone(), |port| format!("{name}:{port}")))
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte)
}

/// Appends the header field that a parameter stands for, if it stands for one.
fn append_field(head: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Option<()> {
    let Some(name) = name.strip_prefix(b"HTTP_") else { return Some(()) };
    let name: Vec<u8> = name.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }).collect();
    let name = HeaderName::from_bytes(&name).ok()?;
    // The web server has read the body, and the connection of the client is its own.
    let is_own = is_hop_by_hop(&name) || name == EXPECT || name == HOST;
    if is_own || matches!(name.as_str(), "content-length" | "content-type" | "proxy") {
        return Some(());
    }
    append(head, name.as_str(), value)
}

fn append(head: &mut Vec<u8>, name: &str, value: &[u8]) -> Option<()> {
    HeaderValue::from_bytes(value).ok()?;
    head.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    Some(())
}

impl StatedFacts {
    fn new(parameters: &Parameters) -> Self {
        let address = |name: &str, port: &str| {
            let address: IpAddr = parameters.text(name)?.trim_matches(['[', ']']).parse().ok()?;
            let port = parameters.text(port).and_then(|port| port.parse().ok()).unwrap_or(0);
            Some(SocketAddr::new(address.to_canonical(), port))
        };
        let is_https = match parameters.text("HTTPS") {
            Some(https) => !https.eq_ignore_ascii_case("off"),
            None => parameters.text("REQUEST_SCHEME").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        };
        let version = match parameters.text("SERVER_PROTOCOL") {
            Some("HTTP/1.0") => Version::HTTP_10,
            Some("HTTP/2" | "HTTP/2.0") => Version::HTTP_2,
            Some("HTTP/3" | "HTTP/3.0") => Version::HTTP_3,
            _ => Version::HTTP_11,
        };
        let (client, local) = (address("REMOTE_ADDR", "REMOTE_PORT"), address("SERVER_ADDR", "SERVER_PORT"));
        Self { client, local, is_https, version, user: user(parameters) }
    }
}

fn user(parameters: &Parameters) -> Option<StatedUser> {
    let text = |name: &str| parameters.text(name).map(str::to_owned);
    let user = StatedUser {
        auth_type: text("AUTH_TYPE").unwrap_or_default(),
        name: text("REMOTE_USER").unwrap_or_default(),
        verify: text("SSL_CLIENT_VERIFY"),
        subject: text("SSL_CLIENT_S_DN"),
    };
    (user != StatedUser::default()).then_some(user)
}
