//! What does a component of `wasi:http` see of a request?
//!
//! The request as the client sent it, without the fields about the connection. Values that CGI guests get as
//! meta-variables, and that no request holds, are added as header fields whose names begin with `wagi-`; such fields of
//! a client are removed.

use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cgi::{ClientCertificate, remove_withheld};
use crate::remote_address::push_ip;
use crate::route::RoutePattern;

use crate::gateway::routed_request::RoutedRequest;

/// The prefix of our fields. Libraries that make variables of fields do not tell `_` from `-`.
const PREFIX: &str = "wagi-";

const SCRIPT_NAME: HeaderName = HeaderName::from_static("wagi-script-name");
const PATH_INFO: HeaderName = HeaderName::from_static("wagi-path-info");
const MATCHED_ROUTE: HeaderName = HeaderName::from_static("wagi-matched-route");
const REMOTE_ADDR: HeaderName = HeaderName::from_static("wagi-remote-addr");
const REMOTE_PORT: HeaderName = HeaderName::from_static("wagi-remote-port");
const SERVER_ADDR: HeaderName = HeaderName::from_static("wagi-server-addr");
const REQUEST_ID: HeaderName = HeaderName::from_static("wagi-request-id");
const REMOTE_USER: HeaderName = HeaderName::from_static("wagi-remote-user");
const AUTH_TYPE: HeaderName = HeaderName::from_static("wagi-auth-type");
const SSL_CLIENT_VERIFY: HeaderName = HeaderName::from_static("wagi-ssl-client-verify");
const SSL_CLIENT_S_DN: HeaderName = HeaderName::from_static("wagi-ssl-client-s-dn");

/// The values of our fields that are the same for each request to a route.
pub(super) struct RouteFields {
    script_name: HeaderValue,
    matched_route: HeaderValue,
    pass_authorization: bool,
}

impl RouteFields {
    /// The fields for a route. With `pass_authorization` the component sees the client's credentials.
    pub fn new(pattern: &RoutePattern, pass_authorization: bool) -> Self {
        Self { script_name: value(pattern.script_name()), matched_route: value(pattern.as_str()), pass_authorization }
    }

    /// The head of a request as the component sees it.
    pub fn request_head(&self, request: &RoutedRequest<'_>) -> Parts {
        let sent = request.head;
        let (mut head, ()) = Request::new(()).into_parts();
        head.method.clone_from(&sent.method);
        head.version = sent.version;
        head.uri = absolute_target(request);
        head.headers.clone_from(&sent.headers);
        remove_withheld(&mut head.headers);
        let ours = |name: &&HeaderName| name.as_str().replace('_', "-").starts_with(PREFIX);
        for name in sent.headers.keys().filter(ours) {
            head.headers.remove(name);
        }
        if !self.pass_authorization {
            head.headers.remove(AUTHORIZATION);
        }
        head.headers.insert(SCRIPT_NAME, self.script_name.clone());
        head.headers.insert(PATH_INFO, value(request.path_info));
        head.headers.insert(MATCHED_ROUTE, self.matched_route.clone());
        let mut text = String::new();
        request.client.push_host(&mut text);
        head.headers.insert(REMOTE_ADDR, value(&text));
        if let Some(port) = request.client.port() {
            head.headers.insert(REMOTE_PORT, port.into());
        }
        if let Some(address) = request.local_address {
            text.clear();
            push_ip(&mut text, address.to_canonical());
            head.headers.insert(SERVER_ADDR, value(&text));
        }
        head.headers.insert(REQUEST_ID, value(request.id.as_str()));
        if let Some(certificate) = request.client_certificate {
            insert_client(certificate, &mut head.headers);
        }
        head
    }
}

/// Adds what is known of a client that was asked for a certificate.
fn insert_client(certificate: ClientCertificate<'_>, headers: &mut HeaderMap) {
    match certificate {
        ClientCertificate::None => {
            headers.insert(SSL_CLIENT_VERIFY, HeaderValue::from_static("NONE"));
        }
        ClientCertificate::Verified { subject } => {
            let subject = value(subject);
            headers.insert(SSL_CLIENT_VERIFY, HeaderValue::from_static("SUCCESS"));
            headers.insert(SSL_CLIENT_S_DN, subject.clone());
            headers.insert(REMOTE_USER, subject);
            headers.insert(AUTH_TYPE, HeaderValue::from_static("TLS"));
        }
        ClientCertificate::Stated { auth_type, user, verify, subject } => {
            let stated = [(SSL_CLIENT_VERIFY, verify), (SSL_CLIENT_S_DN, subject)];
            let stated = stated.into_iter().filter_map(|(name, text)| Some((name, text?)));
            let user = [(REMOTE_USER, user), (AUTH_TYPE, auth_type)].into_iter().filter(|(_, text)| !text.is_empty());
            headers.extend(stated.chain(user).map(|(name, text)| (name, value(text))));
        }
    }
}

/// The request target as an absolute URL: the scheme and authority that the client used, path and query as sent.
fn absolute_target(request: &RoutedRequest<'_>) -> Uri {
    let (endpoint, sent) = (request.endpoint, request.head);
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if endpoint.scheme() == "https" { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = forwarded_authority(request).or_else(|| endpoint.authority(&sent.uri, &sent.headers));
    let path = sent.uri.path_and_query().cloned();
    parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    Uri::from_parts(parts).unwrap_or_else(|_| sent.uri.clone())
}

/// The authority that the client used, as a trusted proxy tells it. A port that is that of the scheme is left out, as clients do.
fn forwarded_authority(request: &RoutedRequest<'_>) -> Option<Authority> {
    let host = request.forwarded_host?;
    let usual_port = if request.endpoint.scheme() == "https" { ":443" } else { ":80" };
    let authority: Authority = host.strip_suffix(usual_port).unwrap_or(host).parse().ok()?;
    (!authority.host().is_empty()).then_some(authority)
}

/// A text as a field value. Text that fields cannot hold is percent-encoded, as paths are anyway.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        HeaderValue::from_str(&encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use crate::cgi::Endpoint;
    use crate::gateway::admission::concurrency::QueueLimits;
    use crate::gateway::admission::readers::Readers;
    use crate::gateway::component_request::*;
    use crate::observe::RequestId;

    fn seen(route: &str, request: http::request::Builder, pass_authorization: bool) -> (String, Vec<String>) {
        seen_from(None, route, request, pass_authorization)
    }

    fn seen_from(
        client_certificate: Option<ClientCertificate<'_>>,
        route: &str,
        request: http::request::Builder,
        pass_authorization: bool,
    ) -> (String, Vec<String>) {
        let pattern = RoutePattern::new(route);
        let (sent, ()) = request.body(()).expect("a request").into_parts();
        let path_info = pattern.path_info(sent.uri.path()).expect("the route matches");
        let fields = RouteFields::new(&pattern, pass_authorization);
        let endpoint = &Endpoint::new(true, Some("own:7"));
        let (queue, max_lag) = (QueueLimits { length: 0, wait: Duration::ZERO }, Duration::ZERO);
        let readers = &Readers::new(0);
        let client = SocketAddr::from((Ipv4Addr::LOCALHOST, 4321)).into();
        let head = fields.request_head(&RoutedRequest {
            head: &sent,
            host: None,
            forwarded_host: None,
            client,
            client_certificate,
            path_info,
            script: None,
            endpoint,
            queue,
            readers,
            max_lag,
            local_address: Some(IpAddr::from([192, 0, 2, 7])),
            id: RequestId::new(0xa1),
            trace: None,
        });
        let mut headers: Vec<String> =
            head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
        headers.sort();
        (head.uri.to_string(), headers)
    }

    #[test]
    fn a_component_sees_what_the_client_sent_and_where_it_is_mounted() {
        let request = Request::get("/a/b%20c/../d?q=%2F").header("host", "x.example:81").header("x-mine", "1");
        let (target, headers) = seen("/a/...", request, true);
        assert_eq!(target, "https://x.example:81/a/b%20c/../d?q=%2F");
        let expected = [
            "host: x.example:81",
            "wagi-matched-route: /a/...",
            "wagi-path-info: /b%20c/../d",
            "wagi-remote-addr: 127.0.0.1",
            "wagi-remote-port: 4321",
            "wagi-request-id: 00000000000000a1",
            "wagi-script-name: /a",
            "wagi-server-addr: 192.0.2.7",
            "x-mine: 1",
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn clients_cannot_set_our_fields_and_fields_about_the_connection_are_removed() {
        let request = Request::get("/")
            .header("Wagi-Path-Info", "/evil")
            .header("wagi-anything", "1")
            .header("wagi_path_info", "/evil")
            .header("wagi-server-addr", "evil")
            .header("wagi_request-id", "evil")
            .header("connection", "x-hop, close")
            .header("x-hop", "1")
            .header("te", "trailers")
            .header("proxy-authorization", "Basic eA==")
            .header("authorization", "Basic eA==");
        let (target, headers) = seen("/", request, false);
        assert_eq!(target, "https://own:7/");
        let expected = [
            "matched-route: /",
            "path-info: ",
            "remote-addr: 127.0.0.1",
            "remote-port: 4321",
            "request-id: 00000000000000a1",
            "script-name: /",
            "server-addr: 192.0.2.7",
        ];
        assert_eq!(headers, expected.map(|field| format!("wagi-{field}")));
    }

    #[test]
    fn the_certificate_of_a_client_becomes_fields() {
        let alice = ClientCertificate::Verified { subject: r"CN=alice\0A,O=Example" };
        let verified = [
            "wagi-auth-type: TLS",
            r"wagi-remote-user: CN=alice\0A,O=Example",
            r"wagi-ssl-client-s-dn: CN=alice\0A,O=Example",
            "wagi-ssl-client-verify: SUCCESS",
        ];
        let rows = [
            (None, &[][..]),
            (Some(ClientCertificate::None), &["wagi-ssl-client-verify: NONE"]),
            (Some(alice), &verified),
        ];
        for (certificate, expected) in rows {
            let request =
                Request::get("/").header("wagi-ssl-client-s-dn", "CN=root").header("wagi_remote_user", "root");
            let (_, headers) = seen_from(certificate, "/", request, true);
            let about_client =
                |field: &&String| field.contains("-ssl-") || field.contains("user") || field.contains("auth");
            assert_eq!(headers.iter().filter(about_client).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn credentials_pass_if_the_operator_says_so() {
        let request = Request::get("/").header("authorization", "Basic eA==");
        assert!(seen("/", request, true).1.contains(&"authorization: Basic eA==".to_owned()));
    }
}
