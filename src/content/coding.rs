//! In which codings does a client take content, and which does it like best?
//!
//! RFC 9110 §12.5.3: the coding with the greatest weight wins, and among equals the one that is best here. A coding that is
//! not named has the weight of `*`. Content without coding is always acceptable: wagi does not respond with 406. Asked by
//! `static_files` for compressed files, and by `gateway` for responses that it compresses.

use std::cmp::Reverse;

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A content coding that wagi knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentCoding {
    Zstd,
    Brotli,
    Gzip,
}

/// The codings that a client prefers to none, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AcceptedCodings([Option<ContentCoding>; 3]);

/// A weight in thousandths.
type Weight = u16;

/// The weights that a client gave, the first of each coding.
#[derive(Default)]
struct CodingWeights {
    zstd: Option<Weight>,
    brotli: Option<Weight>,
    gzip: Option<Weight>,
    identity: Option<Weight>,
    others: Option<Weight>,
}

impl ContentCoding {
    /// Its name in header fields.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

impl AcceptedCodings {
    /// What a request says.
    pub fn of(headers: &HeaderMap) -> Self {
        let weights = CodingWeights::read(headers);
        let weight = |own: Option<Weight>| own.or(weights.others).unwrap_or(0);
        let mut ranked = [
            (weight(weights.zstd), ContentCoding::Zstd),
            (weight(weights.brotli), ContentCoding::Brotli),
            (weight(weights.gzip), ContentCoding::Gzip),
        ];
        // Equal ones stay in this order.
        ranked.sort_by_key(|(weight, _)| Reverse(*weight));
        // A client that prefers no coding says so by name.
        let identity = weights.identity.unwrap_or(0);
        Self(ranked.map(|(weight, coding)| (weight > 0 && weight >= identity).then_some(coding)))
    }

    /// The codings, the best first.
    pub fn iter(self) -> impl Iterator<Item = ContentCoding> {
        self.0.into_iter().flatten()
    }

    /// The best; `None` if the client takes none, or prefers none.
    pub fn preferred(self) -> Option<ContentCoding> {
        self.iter().next()
    }
}

impl CodingWeights {
    fn read(headers: &HeaderMap) -> Self {
        let mut weights = Self::default();
        let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for (name, weight) in values.flat_map(|value| value.split(',')).filter_map(element) {
            if let Some(own) = weights.of(name) {
                own.get_or_insert(weight);
            }
        }
        weights
    }

    fn of(&mut self, name: &str) -> Option<&mut Option<Weight>> {
        let is = |other| name.eq_ignore_ascii_case(other);
        match name {
            "*" => Some(&mut self.others),
            _ if is("gzip") || is("x-gzip") => Some(&mut self.gzip),
            _ if is("br") => Some(&mut self.brotli),
            _ if is("zstd") => Some(&mut self.zstd),
            _ if is("identity") => Some(&mut self.identity),
            _ => None,
        }
    }
}

/// A coding with its weight. `None` if the weight is not valid: the element is ignored.
fn element(text: &str) -> Option<(&str, Weight)> {
    let Some((name, parameter)) = text.split_once(';') else { return Some((text.trim(), 1000)) };
    let (key, value) = parameter.split_once('=')?;
    if !key.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    Some((name.trim(), weight(value.trim())?))
}

/// RFC 9110 §12.4.2: from 0 to 1, with at most three digits after the point.
fn weight(text: &str) -> Option<Weight> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    let thousandths = digits.fold(0, |sum, digit| sum * 10 + Weight::from(digit - b'0'));
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::content::coding::*;

    fn names_for(fields: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_bytes(field.as_bytes()).expect("a header value"));
        }
        let names: Vec<_> = AcceptedCodings::of(&headers).iter().map(ContentCoding::name).collect();
        names.join(" ")
    }

    #[test]
    fn the_greatest_weight_wins_and_among_equals_zstd_br_gzip() {
        for (field, codings) in [
            ("", ""),
            ("gzip", "gzip"),
            ("br", "br"),
            ("zstd", "zstd"),
            ("x-gzip", "gzip"),
            ("GZip", "gzip"),
            ("deflate", ""),
            ("compress, deflate", ""),
            ("identity", ""),
            ("gzip, br", "br gzip"),
            ("gzip, deflate, br, zstd", "zstd br gzip"),
            ("gzip;q=1, br;q=0.9", "gzip br"),
            ("gzip;q=0.5, br;q=0.501", "br gzip"),
            ("zstd;q=0.1, gzip;q=0.2", "gzip zstd"),
            ("zstd;q=0.1, gzip;q=0.9, br;q=0.5", "gzip br zstd"),
            ("gzip;q=0", ""),
            ("gzip;q=0.000, br", "br"),
            ("gzip;q=0.001", "gzip"),
            ("gzip ; Q=0.5 ,br ; q = 0.6", "br gzip"),
            (",,gzip,,", "gzip"),
            ("*", "zstd br gzip"),
            ("*;q=0", ""),
            ("*;q=0.1", "zstd br gzip"),
            ("zstd;q=0, *", "br gzip"),
            ("gzip;q=0.5, *;q=0.8", "zstd br gzip"),
            ("gzip;q=0.5, *;q=0", "gzip"),
            ("zstd;q=0, br;q=0, *;q=0.3", "gzip"),
            ("identity;q=0", ""),
            ("identity;q=0, *;q=0", ""),
            ("identity;q=0, gzip", "gzip"),
            ("identity, gzip", "gzip"),
            ("identity, gzip;q=0.5", ""),
            ("identity;q=0.5, gzip;q=0.8", "gzip"),
            ("identity;q=0.5, gzip;q=0.2, br;q=0.5", "br"),
            ("identity;q=0.3, *;q=0.2", ""),
        ] {
            assert_eq!(names_for(&[field]), codings, "{field}");
        }
    }

    #[test]
    fn an_element_with_a_bad_weight_is_ignored() {
        for field in [
            "gzip;q=2",
            "gzip;q=1.001",
            "gzip;q=0.1234",
            "gzip;q=",
            "gzip;q=-1",
            "gzip;q=.5",
            "gzip;q=a",
            "gzip;q=0,5;q",
            "gzip;level=1",
            "gzip;",
            "gzip;q=1;q=0",
            "gz ip",
            ";q=1",
            ",,,",
            "gzip;q=0x1",
            "gzip;q=1e0",
            "gz\u{ef}p",
        ] {
            assert_eq!(names_for(&[field]), "", "{field}");
            assert_eq!(names_for(&[field, "br;q=0.1"]), "br", "{field}");
        }
    }

    #[test]
    fn several_fields_are_one_list_and_the_first_weight_of_a_coding_counts() {
        assert_eq!(names_for(&[]), "");
        assert_eq!(names_for(&["gzip;q=0.4", "br;q=0.5"]), "br gzip");
        assert_eq!(names_for(&["gzip;q=0", "gzip;q=1"]), "");
    }
}
