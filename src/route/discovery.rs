//! How is the list that `_routes` prints read?
//!
//! WAGI 0.8's rule: at start a module's `_routes` function prints one route and one entry point per line. `startup` passes
//! the printed text in and puts the result into the table before the module's own route.

use crate::route::RoutePattern;

/// One printed line: a route below the module's own and its entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The route as printed, relative to the module's own.
    pub route: String,
    /// The exported function to call.
    pub entrypoint: String,
}

/// Why the printed text is not a list of routes. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// A line holds bytes that are not UTF-8.
    #[error("line {line} of the route list is not UTF-8: {text:?}")]
    NotUtf8 {
        /// The line's number.
        line: usize,
        /// The line, with U+FFFD for bytes that are not UTF-8.
        text: String,
    },
    /// A line holds blanks and nothing else.
    #[error("line {line} of the route list holds only blanks: {text:?}")]
    OnlyBlanks {
        /// The line's number.
        line: usize,
        /// The line.
        text: String,
    },
    /// A line names a route without an entry point.
    #[error("line {line} of the route list has no entry point after its route: {text:?}")]
    NoEntrypoint {
        /// The line's number.
        line: usize,
        /// The line.
        text: String,
    },
    /// A line goes on after its entry point.
    #[error("line {line} of the route list has more than a route and an entry point: {text:?}")]
    TooManyWords {
        /// The line's number.
        line: usize,
        /// The line.
        text: String,
    },
}

/// Parses the output of `_routes`, in printed order. Empty output is an empty list.
pub fn parse(printed: &[u8]) -> Result<Vec<Discovered>, DiscoveryError> {
    let lines = printed.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.zip(1..).filter(|(line, _)| !line.is_empty()).map(|(line, number)| parse_line(line, number)).collect()
}

/// The sub-routes `discovered` of a module at `own`, in table order: the last printed comes first.
///
/// The module's own route is not among them; it belongs after them.
pub fn sub_routes<'d>(own: &RoutePattern, discovered: &'d [Discovered]) -> Vec<(RoutePattern, &'d str)> {
    discovered.iter().rev().map(|found| (own.join(&found.route), found.entrypoint.as_str())).collect()
}

fn parse_line(bytes: &[u8], line: usize) -> Result<Discovered, DiscoveryError> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if std::str::from_utf8(bytes).is_err() {
        return Err(DiscoveryError::NotUtf8 { line, text });
    }
    let mut words = text.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(route), Some(entrypoint), None) => Ok(Discovered { route: route.into(), entrypoint: entrypoint.into() }),
        (Some(_), Some(_), Some(_)) => Err(DiscoveryError::TooManyWords { line, text }),
        (Some(_), ..) => Err(DiscoveryError::NoEntrypoint { line, text }),
        (None, ..) => Err(DiscoveryError::OnlyBlanks { line, text }),
    }
}

#[cfg(test)]
mod tests {
    use crate::route::RouteTable;
    use crate::route::discovery::*;

    fn routes(printed: &str) -> Vec<(String, String)> {
        let discovered = parse(printed.as_bytes()).expect("a list of routes");
        discovered.into_iter().map(|found| (found.route, found.entrypoint)).collect()
    }

    /// WAGI 0.8: one route per line, LF or CRLF, completely empty lines do not count.
    #[test]
    fn lines_of_route_and_entry_point_are_read_in_printed_order() {
        let expected = [("/exact".into(), "on_exact".into()), ("/wild/...".into(), "_start".into())];
        for printed in [
            "/exact on_exact\n/wild/... _start\n",
            "/exact on_exact\n/wild/... _start",
            "/exact on_exact\r\n\r\n/wild/... _start\r\n",
            "\n\n  /exact \t on_exact  \n\n/wild/...\t_start\n\n",
        ] {
            assert_eq!(routes(printed), expected, "{printed:?}");
        }
        assert_eq!(routes(""), []);
        assert_eq!(routes("\n\r\n"), []);
    }

    /// WAGI 0.8: anything but two words on a line is an error at start.
    #[test]
    fn a_line_without_exactly_two_words_is_refused_with_its_number_and_text() {
        let text = |text: &str| text.to_owned();
        for (printed, error) in [
            (&b"/a one\n/b\n"[..], DiscoveryError::NoEntrypoint { line: 2, text: text("/b") }),
            (b"\n/a one two\r\n", DiscoveryError::TooManyWords { line: 2, text: text("/a one two") }),
            (b"/a one\n\n  \n", DiscoveryError::OnlyBlanks { line: 3, text: text("  ") }),
            (b"/a one\n/b \xff\n", DiscoveryError::NotUtf8 { line: 2, text: text("/b \u{fffd}") }),
        ] {
            assert_eq!(parse(printed), Err(error));
        }
        let message = parse(b"/b").expect_err("one word").to_string();
        assert_eq!(message, "line 1 of the route list has no entry point after its route: \"/b\"");
    }

    /// WAGI 0.8: among a guest's own routes the last printed wins.
    #[test]
    fn the_last_printed_route_comes_first() {
        for (printed, entrypoint) in [
            ("/one/... one\n/one/two/... two\n/one/two/three/... three\n", "three"),
            ("/one/two/three/... three\n/one/two/... two\n/one/... one\n", "one"),
        ] {
            let discovered = parse(printed.as_bytes()).expect("a list of routes");
            let table = RouteTable::new(sub_routes(&RoutePattern::new("/..."), &discovered));
            assert_eq!(table.find("/one/two/three/x").map(|found| *found.target), Some(entrypoint), "{printed}");
        }
    }

    /// WAGI 0.8: joined patterns of a guest with three routes, at four places.
    #[test]
    fn routes_are_joined_to_the_pattern_of_their_guest() {
        let discovered =
            parse(b"/exact on_exact\n/wildcard/... on_wildcard\n/main _start\n").expect("a list of routes");
        for (own, parent) in
            [("/", ""), ("/exactparent", "/exactparent"), ("/slash/", "/slash"), ("/wild/...", "/wild")]
        {
            let routes = sub_routes(&RoutePattern::new(own), &discovered);
            let routes: Vec<(String, &str)> =
                routes.iter().map(|(pattern, name)| (pattern.to_string(), *name)).collect();
            let expected = [("/main", "_start"), ("/wildcard/...", "on_wildcard"), ("/exact", "on_exact")];
            assert_eq!(routes, expected.map(|(path, name)| (format!("{parent}{path}"), name)), "{own}");
        }
    }
}
