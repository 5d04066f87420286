//! Which compressed file does a client take?
//!
//! By the weights of `Accept-Encoding` (RFC 9110 §12.5.3). Among equal ones the first of zstd, br and gzip.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// How a file beside another is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

/// The codings that a client prefers to none, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Codings([Option<Coding>; 3]);

impl Coding {
    /// What the name of the file ends in.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Zstd => ".zst",
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }

    /// The name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

impl Codings {
    /// What a request takes.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut weights = Weights::default();
        for item in headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
            item.split(',').for_each(|item| weights.add(item));
        }
        let identity = weights.identity.unwrap_or(0);
        let mut ranked: Vec<(u16, Coding)> = ALL.into_iter().map(|coding| (weights.of(coding), coding)).collect();
        // A stable sort: equal ones stay in the order of `ALL`.
        ranked.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        let mut codings = Self::default();
        let wanted = ranked.into_iter().filter(|(weight, _)| *weight > 0 && *weight >= identity);
        for (slot, (_, coding)) in codings.0.iter_mut().zip(wanted) {
            *slot = Some(coding);
        }
        codings
    }

    pub fn iter(&self) -> impl Iterator<Item = Coding> {
        self.0.into_iter().flatten()
    }
}

/// The weights of a request, in thousandths.
#[derive(Default)]
struct Weights {
    codings: [Option<u16>; 3],
    identity: Option<u16>,
    others: Option<u16>,
}

impl Weights {
    fn add(&mut self, item: &str) {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let Some(weight) = weight(parameters) else { return };
        let place = match name.trim().to_ascii_lowercase().as_str() {
            "zstd" => &mut self.codings[0],
            "br" => &mut self.codings[1],
            "gzip" | "x-gzip" => &mut self.codings[2],
            "identity" => &mut self.identity,
            "*" => &mut self.others,
            _ => return,
        };
        *place = Some(weight);
    }

    fn of(&self, coding: Coding) -> u16 {
        let [zstd, brotli, gzip] = self.codings;
        let own = match coding {
            Coding::Zstd => zstd,
            Coding::Brotli => brotli,
            Coding::Gzip => gzip,
        };
        own.or(self.others).unwrap_or(0)
    }
}

/// The weight in `q=0.5`, in thousandths; 1 if there is none, `None` if it makes no sense.
fn weight(parameters: &str) -> Option<u16> {
    let Some((name, value)) = parameters.split(';').find_map(|parameter| parameter.split_once('=')) else {
        return parameters.trim().is_empty().then_some(1000);
    };
    if !name.trim().eq_ignore_ascii_case("q") {
        return Some(1000);
    }
    let value = value.trim();
    let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
    if digits.len() > 3 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{digits:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::static_files::coding::*;

    #[test]
    fn weights_decide_and_then_the_order() {
        for (value, expected) in [
            ("", ""),
            ("gzip", "gzip"),
            ("gzip, deflate, br, zstd", "zstd br gzip"),
            ("GZIP", "gzip"),
            ("x-gzip", "gzip"),
            ("deflate", ""),
            ("*", "zstd br gzip"),
            ("*;q=0", ""),
            ("gzip, *;q=0", "gzip"),
            ("br;q=0, *", "zstd gzip"),
            ("gzip;q=1.0, br;q=0.5", "gzip br"),
            ("gzip;q=0.001", "gzip"),
            ("gzip;q=0", ""),
            ("gzip;q=0.000", ""),
            ("gzip ; q=0.5 , br ;q=0.6", "br gzip"),
            ("identity", ""),
            ("identity, gzip;q=0.5", ""),
            ("identity;q=0.5, gzip;q=0.5", "gzip"),
            ("identity;q=0", ""),
            ("identity;q=0, gzip", "gzip"),
            ("gzip;q=2", ""),
            ("gzip;q=0.0001", ""),
            ("gzip;q=-1", ""),
            ("gzip;q=nan", ""),
            ("gzip;q=", ""),
            (",,gzip,,", "gzip"),
            ("gzip;level=9", "gzip"),
            ("zstd;q=0.1, gzip;q=0.9, br;q=0.5", "gzip br zstd"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(value).expect("a value"));
            let names: Vec<_> = Codings::of(&headers).iter().map(Coding::name).collect();
            assert_eq!(names.join(" "), expected, "{value}");
        }
        assert_eq!(Codings::of(&HeaderMap::new()), Codings::default());
    }
}
