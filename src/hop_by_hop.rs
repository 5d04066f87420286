//! Which header fields are about one connection only?
//!
//! They end with the connection that they came over (RFC 9110 §7.6.1). Asked by `cgi` for what guests see and answer, by
//! `outbound` for what they send, and by `config` for what responses with files may carry.

use http::header::{CONNECTION, HeaderMap, HeaderName};

/// Whether a field of this name is about the connection in every message.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    )
}

/// The fields that a message declares to be about the connection. It may have several Connection fields.
pub(crate) fn nominated(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        // These are options of the connection and not names of fields.
        .filter(|option| !option.eq_ignore_ascii_case(b"keep-alive") && !option.eq_ignore_ascii_case(b"close"))
        .filter_map(|option| HeaderName::from_bytes(option).ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::hop_by_hop::*;

    /// RFC 9110 §7.6.1
    #[test]
    fn every_connection_field_nominates() {
        let mut headers = HeaderMap::new();
        for value in ["close, X-Hop ,,\x22", "keep-alive", "x-other,Upgrade"] {
            headers.append(CONNECTION, HeaderValue::from_str(value).expect("a value"));
        }
        let names: Vec<_> = nominated(&headers).map(|name| name.to_string()).collect();
        assert_eq!(names, ["x-hop", "x-other", "upgrade"]);
        assert_eq!(nominated(&HeaderMap::new()).count(), 0);
    }
}
