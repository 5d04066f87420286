//! Which request header fields does a guest see, and under which names?
//!
//! RFC 3875 §4.1.18: the field `X-Name` becomes the meta-variable `HTTP_X_NAME`, several fields of one name become one.
//! Called by `meta_variables` for each request.

use std::borrow::Cow;
use std::collections::HashSet;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue,
};

use crate::hop_by_hop;
use crate::hop_by_hop::is_hop_by_hop;
use crate::strings::StringBlock;

/// The prefix of these meta-variables.
pub(super) const PREFIX: &str = "HTTP_";

/// A filter for the fields that become meta-variables on one route.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderFilter {
    /// The names that the operator has set; a client must not replace them.
    pub(super) reserved: HashSet<String>,
    /// Whether the guest sees the client's credentials.
    pub(super) pass_authorization: bool,
}

impl HeaderFilter {
    /// Appends a meta-variable for each field of `headers` that the guest may see.
    pub(super) fn append(&self, headers: &HeaderMap, block: &mut StringBlock) {
        let nominated = if headers.contains_key(CONNECTION) { Some(nominated(headers)) } else { None };
        let is_nominated = |name: &HeaderName| nominated.as_ref().is_some_and(|nominated| nominated.contains(name));
        let is_visible = |name: &HeaderName| self.allows(name) && !is_nominated(name);
        if headers.len() == headers.keys_len() {
            for (name, value) in headers.iter().filter(|(name, _)| is_visible(name)) {
                self.push(name, &text(value), block);
            }
            return;
        }
        for name in headers.keys().filter(|name| is_visible(name)) {
            self.push(name, &joined(name, headers), block);
        }
    }

    /// Appends HTTP_HOST for a request that names its host in `:authority`.
    pub(super) fn append_host(&self, authority: &str, block: &mut StringBlock) {
        self.push(&HOST, authority, block);
    }

    fn push(&self, name: &HeaderName, value: &str, block: &mut StringBlock) {
        let letters = name.as_str().bytes().map(|byte| if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() });
        let variable = || PREFIX.bytes().chain(letters.clone()).map(char::from).collect::<String>();
        if self.reserved.is_empty() || !self.reserved.contains(&variable()) {
            block.push_derived(PREFIX, letters, value);
        }
    }

    fn allows(&self, name: &HeaderName) -> bool {
        if *name == AUTHORIZATION {
            return self.pass_authorization;
        }
        // `X_A` beside `X-A` would make the same variable.
        !name.as_str().contains('_') && !is_withheld(name)
    }
}

/// Removes the fields that no guest may see, whichever interface it has.
pub(crate) fn remove_withheld(headers: &mut HeaderMap) {
    let nominated = nominated(headers);
    let withheld: Vec<HeaderName> = headers.keys().filter(|name| is_withheld(name)).cloned().collect();
    for name in withheld.iter().chain(&nominated) {
        headers.remove(name);
    }
}

/// Whether a field is about the connection, is for a proxy, or would become the variable by which programs choose their
/// proxy (`Proxy` as HTTP_PROXY).
fn is_withheld(name: &HeaderName) -> bool {
    is_hop_by_hop(name) || matches!(name.as_str(), "proxy" | "proxy-authenticate" | "proxy-authorization")
}

/// The fields that Connection names as being about the connection, except those a guest needs.
fn nominated(headers: &HeaderMap) -> HashSet<HeaderName> {
    let is_needed = |name: &HeaderName| [HOST, CONTENT_LENGTH, CONTENT_TYPE].contains(name);
    hop_by_hop::nominated(headers).filter(|name| !is_needed(name)).collect()
}

fn joined<'h>(name: &HeaderName, headers: &'h HeaderMap) -> Cow<'h, str> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Cow::Borrowed("") };
    // RFC 9113 §8.2.3: a cookie field that came in several fields has its own separator.
    let separator = if *name == COOKIE { "; " } else { ", " };
    values.fold(text(first), |mut all, value| {
        let longer = all.to_mut();
        longer.push_str(separator);
        longer.push_str(&text(value));
        all
    })
}

/// A field's value as UTF-8, with U+FFFD for bytes that are not.
pub(super) fn text(value: &HeaderValue) -> Cow<'_, str> {
    // Checking valid text is faster than replacing, which looks at smaller pieces.
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(value.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use crate::cgi::request_headers::*;

    fn variables(filter: &HeaderFilter, fields: &[(&str, &[u8])]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a field name");
            headers.append(name, HeaderValue::from_bytes(value).expect("a field value"));
        }
        let mut block = StringBlock::default();
        filter.append(&headers, &mut block);
        let mut variables: Vec<String> = block.iter().map(str::to_owned).collect();
        variables.sort();
        variables
    }

    fn of(fields: &[(&str, &[u8])]) -> Vec<String> {
        variables(&HeaderFilter::default(), fields)
    }

    /// RFC 3875 §4.1.18
    #[test]
    fn a_field_becomes_a_variable_in_upper_case_with_underscores() {
        assert_eq!(
            of(&[("X-Custom-Foo", b"bar"), ("accept", b"*/*"), ("host", b"a:80"), ("Empty", b"")]),
            ["HTTP_ACCEPT=*/*", "HTTP_EMPTY=", "HTTP_HOST=a:80", "HTTP_X_CUSTOM_FOO=bar"]
        );
    }

    /// WAGI 0.8: guests in the field read them under these names.
    #[test]
    fn content_fields_are_passed_like_any_other() {
        assert_eq!(
            of(&[("Content-Type", b"text/plain"), ("Content-Length", b"5")]),
            ["HTTP_CONTENT_LENGTH=5", "HTTP_CONTENT_TYPE=text/plain"]
        );
    }

    /// RFC 3875 §4.1.18: repeated fields are merged into one value; RFC 9113 §8.2.3 for cookies.
    #[test]
    fn repeated_fields_are_joined_in_order() {
        assert_eq!(
            of(&[
                ("X-A", b"1"),
                ("Cookie", b"a=1"),
                ("x-a", b"2"),
                ("X-B", b"only"),
                ("cookie", b"b=2"),
                ("X-A", b"3"),
            ]),
            ["HTTP_COOKIE=a=1; b=2", "HTTP_X_A=1, 2, 3", "HTTP_X_B=only"]
        );
    }

    /// RFC 3875 §4.1.18 lets a server keep credentials and connection fields to itself.
    #[test]
    fn credentials_and_connection_fields_are_withheld() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "Proxy",
            "Connection",
            "Keep-Alive",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "Proxy-Connection",
            "Proxy-Authenticate",
        ] {
            assert_eq!(of(&[(name, b"x"), ("X-Kept", b"y")]), ["HTTP_X_KEPT=y"], "{name}");
        }
    }

    #[test]
    fn authorization_is_passed_where_the_operator_says_so() {
        let filter = HeaderFilter { pass_authorization: true, ..HeaderFilter::default() };
        let fields: [(&str, &[u8]); 2] = [("Authorization", b"Basic eA=="), ("Proxy-Authorization", b"Basic eQ==")];
        assert_eq!(variables(&filter, &fields), ["HTTP_AUTHORIZATION=Basic eA=="]);
    }

    /// RFC 9110 §7.6.1
    #[test]
    fn fields_nominated_by_connection_are_withheld_except_those_a_guest_needs() {
        assert_eq!(
            of(&[
                ("Connection", b"close, X-Hop ,,\x22"),
                ("Connection", b"host, CONTENT-TYPE,content-length, x-other"),
                ("X-Hop", b"1"),
                ("X-Other", b"2"),
                ("X-Stays", b"3"),
                ("Close", b"4"),
                ("Host", b"a"),
                ("Content-Type", b"t/t"),
                ("Content-Length", b"0"),
            ]),
            ["HTTP_CLOSE=4", "HTTP_CONTENT_LENGTH=0", "HTTP_CONTENT_TYPE=t/t", "HTTP_HOST=a", "HTTP_X_STAYS=3"]
        );
    }

    #[test]
    fn names_that_could_collide_as_variables_are_ignored() {
        assert_eq!(
            of(&[("X-A", b"good"), ("X_A", b"bad"), ("X.A", b"another"), ("Content_Type", b"bad")]),
            ["HTTP_X.A=another", "HTTP_X_A=good"]
        );
    }

    #[test]
    fn a_client_does_not_replace_a_variable_of_the_operator() {
        let filter = HeaderFilter { reserved: HashSet::from(["HTTP_X_TENANT".to_owned()]), ..HeaderFilter::default() };
        assert_eq!(variables(&filter, &[("X-Tenant", b"evil"), ("X-Other", b"1")]), ["HTTP_X_OTHER=1"]);
    }

    #[test]
    fn values_are_passed_as_utf_8_with_replacements() {
        assert_eq!(
            of(&[("X-A", "é\t日本".as_bytes()), ("X-B", b"a\xffb"), ("X-B", b"\xe9")]),
            ["HTTP_X_A=é\t日本", "HTTP_X_B=a\u{fffd}b, \u{fffd}"]
        );
    }
}
