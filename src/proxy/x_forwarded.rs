//! What do `X-Forwarded-For`, `-Proto`, `-Host` and `-Port` say?
//!
//! Each is a list to which each proxy appends, or a value that each proxy sets; in both cases the last element is from the
//! nearest one. Each field stands for itself: one that makes no sense does not harm the others.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::HeaderName;

use crate::config::TrustedProxies;
use crate::proxy::forwarded::Forwarded;
use crate::proxy::node::{Node, client};
use crate::proxy::values::{MAX_ELEMENT, MAX_ELEMENTS, Malformed, host, https, port};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Reads the fields.
pub(super) fn read<'a>(headers: &'a HeaderMap, trusted: &TrustedProxies) -> Forwarded<'a> {
    let nodes = elements(headers, &FOR).map(|element| Node::parse(element?, true));
    let client = client(nodes, trusted);
    let https = last(headers, &PROTO, https);
    let host = last(headers, &HOST, |text| host(Cow::Borrowed(text)));
    let port = last(headers, &PORT, port);
    let problems =
        [(FOR, client.err()), (PROTO, https.err()), (HOST, host.as_ref().err().copied()), (PORT, port.err())];
    Forwarded {
        client: client.unwrap_or_default(),
        https: https.unwrap_or_default(),
        host: host.unwrap_or_default(),
        port: port.unwrap_or_default(),
        malformed: problems.into_iter().filter_map(|(name, problem)| problem.map(|Malformed| name)).collect(),
    }
}

/// What the last element of a list means.
fn last<'a, T>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    parse: impl FnOnce(&'a str) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    elements(headers, name).next().transpose()?.map(parse).transpose()
}

/// The elements of a list, from its end. Empty ones are none (RFC 9110 §5.6.1).
fn elements<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Result<&'a str, Malformed>> + use<'a> {
    let values = headers.get_all(name).iter().rev();
    let elements = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    let elements = elements.enumerate().map(|(number, element)| match std::str::from_utf8(element.trim_ascii()) {
        Ok(text) if number < MAX_ELEMENTS && text.len() <= MAX_ELEMENT => Ok(text),
        _ => Err(Malformed),
    });
    elements.filter(|element| *element != Ok(""))
}
