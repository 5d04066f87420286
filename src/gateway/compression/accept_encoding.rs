//! In which coding does a client want a response? Asked by the parent.
//!
//! RFC 9110 §12.5.3: the coding with the greatest weight wins, and among equals the one that is best here. A coding that is
//! not named has the weight of `*`. A response without coding is always acceptable: wagi does not respond with 406.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A content coding that wagi can produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentCoding {
    Zstd,
    Brotli,
    Gzip,
}

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

/// The coding that the client prefers; `None` for none.
pub(super) fn preferred(headers: &HeaderMap) -> Option<ContentCoding> {
    let weights = CodingWeights::read(headers);
    let weight = |own: Option<Weight>| own.or(weights.others).unwrap_or(0);
    let mut best = (0, None);
    for (coding, own) in [
        (ContentCoding::Zstd, weights.zstd),
        (ContentCoding::Brotli, weights.brotli),
        (ContentCoding::Gzip, weights.gzip),
    ] {
        if weight(own) > best.0 {
            best = (weight(own), Some(coding));
        }
    }
    // A client that prefers no coding says so by name.
    best.1.filter(|_| best.0 >= weights.identity.unwrap_or(0))
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
    use http::{HeaderMap, HeaderValue};

    use crate::gateway::compression::accept_encoding::*;

    fn name_for(fields: &[&str]) -> &'static str {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_bytes(field.as_bytes()).expect("a header value"));
        }
        preferred(&headers).map_or("none", ContentCoding::name)
    }

    #[test]
    fn the_greatest_weight_wins_and_among_equals_zstd_br_gzip() {
        for (field, coding) in [
            ("", "none"),
            ("gzip", "gzip"),
            ("br", "br"),
            ("zstd", "zstd"),
            ("x-gzip", "gzip"),
            ("GZip", "gzip"),
            ("deflate", "none"),
            ("compress, deflate", "none"),
            ("identity", "none"),
            ("gzip, br", "br"),
            ("gzip, deflate, br, zstd", "zstd"),
            ("gzip;q=1, br;q=0.9", "gzip"),
            ("gzip;q=0.5, br;q=0.501", "br"),
            ("zstd;q=0.1, gzip;q=0.2", "gzip"),
            ("gzip;q=0", "none"),
            ("gzip;q=0.000, br", "br"),
            ("gzip;q=0.001", "gzip"),
            ("gzip ; Q=0.5 ,br ; q = 0.6", "br"),
            ("*", "zstd"),
            ("*;q=0", "none"),
            ("*;q=0.1", "zstd"),
            ("zstd;q=0, *", "br"),
            ("gzip;q=0.5, *;q=0.8", "zstd"),
            ("gzip;q=0.5, *;q=0", "gzip"),
            ("zstd;q=0, br;q=0, *;q=0.3", "gzip"),
            ("identity;q=0", "none"),
            ("identity;q=0, *;q=0", "none"),
            ("identity;q=0, gzip", "gzip"),
            ("identity, gzip", "gzip"),
            ("identity, gzip;q=0.5", "none"),
            ("identity;q=0.5, gzip;q=0.8", "gzip"),
            ("identity;q=0.5, gzip;q=0.2, br;q=0.5", "br"),
        ] {
            assert_eq!(name_for(&[field]), coding, "{field}");
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
            assert_eq!(name_for(&[field]), "none", "{field}");
            assert_eq!(name_for(&[field, "br;q=0.1"]), "br", "{field}");
        }
    }

    #[test]
    fn several_fields_are_one_list_and_the_first_weight_of_a_coding_counts() {
        assert_eq!(name_for(&[]), "none");
        assert_eq!(name_for(&["gzip;q=0.4", "br;q=0.5"]), "br");
        assert_eq!(name_for(&["gzip;q=0", "gzip;q=1"]), "none");
    }
}
