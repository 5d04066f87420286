//! May a file be sent, or does the client have it already?
//!
//! The conditions of RFC 9110 §13, in the order of §13.2.2.

use std::time::{Duration, SystemTime};

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::content::coding::ContentCoding;
use crate::format::hex;
use crate::static_files::root::FileFacts;

/// What a client may know of the content of a file.
pub(super) struct Validators {
    pub etag: HeaderValue,
    /// When it was last modified, in seconds; `None` if HTTP cannot say it.
    pub last_modified: Option<u64>,
    /// Whether it may still be modified within the second that `last_modified` says.
    is_fresh: bool,
}

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    NotModified,
    Failed,
}

/// How many bytes of the digest are the ETag.
const ETAG_LENGTH: usize = 12;

impl Validators {
    /// Those of a file at `now`.
    pub fn new(facts: &FileFacts, coding: Option<ContentCoding>, now: SystemTime) -> Self {
        let FileFacts { length, modified, changed, inode } = *facts;
        let mut digest = Sha256::new();
        for number in [modified.0, modified.1, changed.0, changed.1] {
            digest.update(number.to_le_bytes());
        }
        digest.update(length.to_le_bytes());
        digest.update(inode.to_le_bytes());
        digest.update(coding.map_or("", ContentCoding::name));
        let digest = digest.finalize();
        let etag = hex(digest.get(..ETAG_LENGTH).unwrap_or_default());
        let etag = HeaderValue::from_str(&["\"", &etag, "\""].concat());
        let now = seconds(now).unwrap_or(0);
        // RFC 9110 §8.8.2.1: not later than the response itself.
        let last_modified = u64::try_from(modified.0).ok().map(|modified| modified.min(now));
        let is_fresh = last_modified.is_none_or(|modified| modified >= now);
        Self { etag: etag.unwrap_or(HeaderValue::from_static("\"\"")), last_modified, is_fresh }
    }

    /// The value of `Last-Modified`.
    pub fn last_modified(&self) -> Option<HeaderValue> {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.last_modified?);
        HeaderValue::from_str(&httpdate::fmt_http_date(time)).ok()
    }

    /// What the conditions of a GET or HEAD come to.
    pub fn check(&self, headers: &HeaderMap) -> Verdict {
        if headers.contains_key(IF_MATCH) {
            if !self.matches(headers, &IF_MATCH, false) {
                return Verdict::Failed;
            }
        } else if let (Some(since), Some(modified)) = (date(headers, &IF_UNMODIFIED_SINCE), self.last_modified)
            && modified > since
        {
            return Verdict::Failed;
        }
        let is_known = if headers.contains_key(IF_NONE_MATCH) {
            self.matches(headers, &IF_NONE_MATCH, true)
        } else {
            matches!((date(headers, &IF_MODIFIED_SINCE), self.last_modified), (Some(since), Some(modified)) if modified <= since)
        };
        if is_known { Verdict::NotModified } else { Verdict::Send }
    }

    /// Whether a range may be sent: the client has the rest of just this content.
    pub fn allow_range(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(IF_RANGE) else { return true };
        if value.as_bytes().contains(&b'"') {
            return *value == self.etag;
        }
        // A date says enough only if the file was not modified again in the same second (§8.8.2.2).
        !self.is_fresh && date(headers, &IF_RANGE).is_some_and(|date| Some(date) == self.last_modified)
    }

    fn matches(&self, headers: &HeaderMap, name: &HeaderName, is_weak: bool) -> bool {
        headers.get_all(name).iter().flat_map(|value| tags(value.as_bytes())).any(|tag| {
            let tag = if is_weak { tag.strip_prefix(b"W/").unwrap_or(tag) } else { tag };
            tag == b"*" || tag == self.etag.as_bytes()
        })
    }
}

/// The entity tags of a list. A comma may be within one.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    list.split(move |byte| {
        is_quoted ^= *byte == b'"';
        *byte == b',' && !is_quoted
    })
    .map(<[u8]>::trim_ascii)
}

/// A date in a field; `None` if it is none, or there are several.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    seconds(httpdate::parse_http_date(value.to_str().ok()?).ok()?)
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use crate::static_files::conditions::*;

    const FACTS: FileFacts = FileFacts { length: 5, modified: (784_111_777, 5), changed: (784_111_777, 6), inode: 7 };
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn conditions_are_checked_in_the_order_of_the_rfc() {
        let validators = Validators::new(&FACTS, None, at(1_000_000_000));
        assert_eq!(validators.last_modified().as_ref().map(HeaderValue::as_bytes), Some(DATE.as_bytes()));
        let own = validators.etag.to_str().expect("text").to_owned();
        let (weak, listed) = (format!("W/{own}"), format!("\"a,b\", {own} ,"));
        for (fields, expected) in [
            (vec![], Verdict::Send),
            (vec![("if-none-match", own.as_str())], Verdict::NotModified),
            (vec![("if-none-match", &weak)], Verdict::NotModified),
            (vec![("if-none-match", &listed)], Verdict::NotModified),
            (vec![("if-none-match", "*")], Verdict::NotModified),
            (vec![("if-none-match", "\"x\"")], Verdict::Send),
            (vec![("if-none-match", "\"x\""), ("if-none-match", &own)], Verdict::NotModified),
            (vec![("if-none-match", "\"x\""), ("if-modified-since", AFTER)], Verdict::Send),
            (vec![("if-modified-since", DATE)], Verdict::NotModified),
            (vec![("if-modified-since", AFTER)], Verdict::NotModified),
            (vec![("if-modified-since", BEFORE)], Verdict::Send),
            (vec![("if-modified-since", "yesterday")], Verdict::Send),
            (vec![("if-match", &own)], Verdict::Send),
            (vec![("if-match", "*")], Verdict::Send),
            (vec![("if-match", &weak)], Verdict::Failed),
            (vec![("if-match", "\"x\"")], Verdict::Failed),
            (vec![("if-match", "\"x\""), ("if-none-match", &own)], Verdict::Failed),
            (vec![("if-match", &own), ("if-none-match", &own)], Verdict::NotModified),
            (vec![("if-match", &own), ("if-unmodified-since", BEFORE)], Verdict::Send),
            (vec![("if-unmodified-since", BEFORE)], Verdict::Failed),
            (vec![("if-unmodified-since", DATE)], Verdict::Send),
            (vec![("if-unmodified-since", "soon")], Verdict::Send),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in &fields {
                headers.append(*name, HeaderValue::from_str(value).expect("a value"));
            }
            assert_eq!(validators.check(&headers), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_range_needs_the_same_content() {
        let old = Validators::new(&FACTS, None, at(1_000_000_000));
        let fresh = Validators::new(&FACTS, None, at(784_111_777));
        let own = old.etag.to_str().expect("text").to_owned();
        let weak = format!("W/{own}");
        for (value, of_old, of_fresh) in [
            (own.as_str(), true, true),
            (&weak, false, false),
            ("\"x\"", false, false),
            (DATE, true, false),
            (AFTER, false, false),
            ("nonsense", false, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_RANGE, HeaderValue::from_str(value).expect("a value"));
            assert_eq!((old.allow_range(&headers), fresh.allow_range(&headers)), (of_old, of_fresh), "{value}");
        }
        assert!(old.allow_range(&HeaderMap::new()));
    }

    #[test]
    fn each_content_has_its_own_tag_and_strange_times_are_no_dates() {
        let tag = |facts: &FileFacts, coding| Validators::new(facts, coding, at(1_000_000_000)).etag;
        let own = tag(&FACTS, None);
        assert_eq!(own, tag(&FACTS, None));
        for other in [
            FileFacts { length: 6, ..FACTS },
            FileFacts { modified: (784_111_777, 6), ..FACTS },
            FileFacts { changed: (784_111_777, 7), ..FACTS },
            FileFacts { inode: 8, ..FACTS },
        ] {
            assert_ne!(own, tag(&other, None));
        }
        assert_ne!(own, tag(&FACTS, Some(ContentCoding::Gzip)));
        let of = |modified| Validators::new(&FileFacts { modified, ..FACTS }, None, at(1_000_000_000));
        assert_eq!(of((-5, 0)).last_modified(), None);
        assert_eq!(of((i64::MAX, 0)).last_modified, Some(1_000_000_000));
    }
}
