//! Which requests are served, and what is known of one once its route is found?

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};

use crate::cgi::{ClientCertificate, Endpoint, Host};
use crate::config::TrustedProxies;
use crate::observe::{RequestId, RequestTrace};
use crate::remote_address::RemoteAddress;
use crate::server::{ClientIdentity, Peer};

use crate::gateway::admission::concurrency::QueueLimits;
use crate::gateway::admission::readers::Readers;
use crate::gateway::failure::Failure;

/// The field in which a proxy says which id it has given to a request, and in which a response says which id it has here.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a proxy that is believed.
const MAX_CLIENT_REQUEST_ID: usize = 128;

/// A request with a route, without its body.
pub(super) struct RoutedRequest<'a> {
    pub head: &'a Parts,
    /// The host that the client names.
    pub host: Option<Host<'a>>,
    /// The same as text, if a trusted proxy says that the client named another than the head.
    pub forwarded_host: Option<&'a str>,
    /// The address of the client.
    pub client: RemoteAddress,
    /// The certificate of the client, if it was asked for one.
    pub client_certificate: Option<ClientCertificate<'a>>,
    /// The part of the path below the route's prefix, still encoded.
    pub path_info: &'a str,
    /// The script that the path leads to, if the guest runs scripts; `path_info` is then what is behind it.
    pub script: Option<&'a str>,
    /// The server as the client addresses it.
    pub endpoint: &'a Endpoint,
    /// The limits on the queue in which the request may have to wait.
    pub queue: QueueLimits,
    /// The responses whose guests still run, and how far behind the client may be with its own.
    pub readers: &'a Arc<Readers>,
    pub max_lag: Duration,
    /// The address of the server that the client reached, if there is one and it is known.
    pub local_address: Option<IpAddr>,
    /// The id of the request in the log.
    pub id: RequestId,
    /// The trace of the request, if it has one.
    pub trace: Option<Arc<RequestTrace>>,
}

/// Refuses a request whose head leaves open what is meant. In one that is served, Host agrees with the target.
pub(super) fn check(head: &mut Parts) -> Result<(), Failure> {
    // CONNECT wants a tunnel and TRACE an echo of what guests must not see; no guest can serve either.
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        return Err(Failure::MethodNotServed);
    }
    // RFC 9112 §3.2.3: a host and nothing else is the target of CONNECT only. `*` has no route, and is no mistake (§3.2.4).
    if !head.uri.path().starts_with('/') && head.uri.path() != "*" {
        return Err(Failure::NoPath);
    }
    // RFC 9112 §3.2: a request with several names is not valid, and guessing which one was meant is unsafe.
    if has_several(head, &HOST) {
        return Err(Failure::SeveralHosts);
    }
    // RFC 9110 §5.3: the field is no list, and its variables and its readers would disagree about the type.
    if has_several(head, &CONTENT_TYPE) {
        return Err(Failure::SeveralContentTypes);
    }
    check_transfer_coding(head)?;
    replace_host(head)
}

fn has_several(head: &Parts, name: &HeaderName) -> bool {
    // Without repeated fields there is nothing to look for.
    head.headers.len() > head.headers.keys_len() && head.headers.get_all(name).iter().nth(1).is_some()
}

/// RFC 9112 §6.1: only the coding `chunked` is removed, so a guest would get any other without being told.
fn check_transfer_coding(head: &Parts) -> Result<(), Failure> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    let is_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if is_chunked && codings.next().is_none() { Ok(()) } else { Err(Failure::TransferCoding) }
}

/// RFC 9112 §3.2.2: the authority of the target replaces Host, which has to be valid all the same.
fn replace_host(head: &mut Parts) -> Result<(), Failure> {
    let Some(authority) = head.uri.authority() else { return Ok(()) };
    let Some(host) = head.headers.get(HOST).filter(|host| host.as_bytes() != authority.as_str().as_bytes()) else {
        return Ok(());
    };
    Host::parse(host.as_bytes()).ok_or(Failure::InvalidHost)?;
    let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| Failure::InvalidHost)?;
    head.headers.insert(HOST, authority);
    Ok(())
}

/// The id that a trusted proxy has given to a request. Values that are not ids are left to the guest.
pub(super) fn client_request_id(head: &Parts, trusted: &TrustedProxies) -> Option<Box<str>> {
    // Few servers have proxies, and the others pay nothing.
    if trusted.is_empty() {
        return None;
    }
    let peer = head.extensions.get::<Peer>()?;
    if !peer.is_trusted(trusted) {
        return None;
    }
    let mut fields = head.headers.get_all(X_REQUEST_ID).iter();
    let id = fields.next().filter(|_| fields.next().is_none())?.to_str().ok()?;
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    ((1..=MAX_CLIENT_REQUEST_ID).contains(&id.len()) && id.bytes().all(is_id)).then(|| id.into())
}

/// The certificate of the client that sends a request, if the client was asked for one.
pub(super) fn client_certificate(head: &Parts) -> Option<ClientCertificate<'_>> {
    // Most requests have only their `Peer` there, and nothing is looked up.
    if head.extensions.len() < 2 {
        return None;
    }
    Some(match head.extensions.get::<ClientIdentity>()? {
        ClientIdentity::Anonymous => ClientCertificate::None,
        ClientIdentity::Verified { subject } => ClientCertificate::Verified { subject },
        ClientIdentity::Stated(stated) => ClientCertificate::Stated {
            auth_type: &stated.auth_type,
            user: &stated.user,
            verify: stated.verify.as_deref(),
            subject: stated.subject.as_deref(),
        },
    })
}

/// The host that a request names, if it names one. One that is not valid is refused (RFC 9112 §3.2). The host that a trusted proxy
/// has forwarded comes first.
pub(super) fn host<'a>(head: &'a Parts, forwarded: Option<&'a str>) -> Result<Option<Host<'a>>, Failure> {
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let named = authority.or_else(|| head.headers.get(HOST).map(HeaderValue::as_bytes)).unwrap_or_default();
    let named = if named.is_empty() { None } else { Some(Host::parse(named).ok_or(Failure::InvalidHost)?) };
    Ok(forwarded.and_then(|forwarded| Host::parse(forwarded.as_bytes())).or(named))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::Request;

    use crate::gateway::routed_request::*;

    fn id(peer: Option<RemoteAddress>, trusted: &[&str], ids: &[&str]) -> Option<String> {
        let mut proxies = TrustedProxies::default();
        for proxy in trusted {
            proxies.add(proxy).expect("a proxy");
        }
        let (mut head, ()) = Request::new(()).into_parts();
        if let Some(remote) = peer {
            head.extensions.insert(Peer::new(remote));
        }
        for id in ids {
            head.headers.append(X_REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).expect("a value"));
        }
        client_request_id(&head, &proxies).map(Into::into)
    }

    #[test]
    fn only_a_trusted_proxy_gives_a_request_an_id() {
        let peer = |text: &str| Some(RemoteAddress::from(text.parse::<SocketAddr>().expect("an address")));
        for (remote, trusted, is_believed) in [
            (peer("10.0.0.1:1"), &["10.0.0.0/8"][..], true),
            (peer("[::ffff:10.0.0.1]:1"), &["10.0.0.0/8"], true),
            (peer("11.0.0.1:1"), &["10.0.0.0/8", "unix"], false),
            (peer("10.0.0.1:1"), &[], false),
            (Some(RemoteAddress::Unix), &["unix"], true),
            (Some(RemoteAddress::Unix), &["0.0.0.0/0", "::/0"], false),
            (None, &["0.0.0.0/0", "unix"], false),
        ] {
            assert_eq!(id(remote, trusted, &["a-1"]).is_some(), is_believed, "{remote:?} {trusted:?}");
        }
    }

    #[test]
    fn an_id_is_one_field_of_1_to_128_letters_digits_and_marks() {
        let long = "x".repeat(128);
        for (ids, found) in [
            (&["aZ09-_."][..], Some("aZ09-_.")),
            (&[long.as_str()], Some(long.as_str())),
            (&[&(long.clone() + "x")], None),
            (&[""], None),
            (&[], None),
            (&["a b"], None),
            (&["a\""], None),
            (&["a,b"], None),
            (&["é"], None),
            (&["a", "b"], None),
        ] {
            assert_eq!(id(Some(RemoteAddress::Unix), &["unix"], ids).as_deref(), found, "{ids:?}");
        }
    }
}
