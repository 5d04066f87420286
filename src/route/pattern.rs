//! Which request paths does a route match, and where does PATH_INFO begin?
//!
//! WAGI 0.8's rule: a pattern that ends in `/...` is a prefix pattern, every other pattern is compared byte for byte. The path
//! is matched as the client sent it: nothing is decoded, folded or normalized. `config` makes patterns, the table matches
//! them, `cgi` takes SCRIPT_NAME (RFC 3875 §4.1.13) from them.

use std::fmt;

use crate::route::file_name::plain_path;

/// The suffix of a prefix pattern.
const WILDCARD: &str = "/...";

/// The path pattern of a route: `/x` matches itself, `/x/...` matches `/x` and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoutePattern {
    text: String,
    script_name: String,
}

impl RoutePattern {
    /// The pattern written as `text`. Every text is a pattern, though not every pattern can match a request.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let script_name = match text.strip_suffix(WILDCARD) {
            Some(prefix) if prefix.starts_with('/') => prefix.to_owned(),
            Some(prefix) => format!("/{prefix}"),
            None => text.clone(),
        };
        Self { text, script_name }
    }

    /// The pattern as it was written, with its `/...` if it has one.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches a path and everything below it.
    pub fn is_prefix(&self) -> bool {
        self.text.ends_with(WILDCARD)
    }

    /// The pattern without its `/...`.
    pub fn prefix(&self) -> &str {
        self.text.strip_suffix(WILDCARD).unwrap_or(&self.text)
    }

    /// SCRIPT_NAME for requests that match: always `/` for `/...`, because existing programs expect it.
    pub fn script_name(&self) -> &str {
        &self.script_name
    }

    /// PATH_INFO for `path`, still encoded: the part below this pattern. Empty for an exact pattern, `None` if the pattern does not
    /// match.
    pub fn path_info<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self.text.strip_suffix(WILDCARD) {
            Some(prefix) => path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/')),
            None => (path == self.text).then_some(""),
        }
    }

    /// The pattern for the sub-route `printed` of a guest at this pattern, with one slash where the two meet.
    pub fn join(&self, printed: &str) -> RoutePattern {
        let parent = self.prefix().trim_end_matches('/');
        let child = printed.trim_start_matches('/');
        RoutePattern::new([parent, "/", child].concat())
    }

    /// The pattern for paths in their usual spelling: see `plain_path`.
    pub fn plain(&self) -> RoutePattern {
        let prefix = plain_path(self.prefix());
        RoutePattern::new(if self.is_prefix() { format!("{prefix}{WILDCARD}") } else { prefix.into_owned() })
    }

    /// Whether this pattern matches every path that `other` matches.
    pub fn covers(&self, other: &RoutePattern) -> bool {
        if other.is_prefix() && !self.is_prefix() {
            return false;
        }
        self.path_info(other.prefix()).is_some()
    }

    /// Whether some request could match: paths begin with `/` and hold no blank, `?` or `#`.
    pub fn can_match_a_request(&self) -> bool {
        self.text.starts_with('/') && !self.text.contains([' ', '\t', '\r', '\n', '\0', '?', '#'])
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use crate::route::pattern::*;

    /// WAGI 0.8: only a trailing `/...` is special; raw paths, segment boundaries.
    #[test]
    fn a_pattern_matches_the_raw_path_and_yields_what_lies_below_its_prefix() {
        for (pattern, path, path_info) in [
            ("/", "/", Some("")),
            ("/", "/x", None),
            ("/foo", "/foo", Some("")),
            ("/foo", "/foo/", None),
            ("/foo", "/foo/bar", None),
            ("/foo", "/foobar", None),
            ("/foo/", "/foo/", Some("")),
            ("/foo/", "/foo", None),
            ("/foo/...", "/foo", Some("")),
            ("/foo/...", "/foo/", Some("/")),
            ("/foo/...", "/foo/bar/baz", Some("/bar/baz")),
            ("/foo/...", "/foo//x", Some("//x")),
            ("/foo/...", "/foo/../x", Some("/../x")),
            ("/foo/...", "/foo/a%2Fb%20c", Some("/a%2Fb%20c")),
            ("/foo/...", "/foobar", None),
            ("/foo/...", "/Foo", None),
            ("/foo/...", "/%66oo", None),
            ("/blah/...", "/blahahahaha", None),
            ("/...", "/", Some("/")),
            ("/...", "/a/b", Some("/a/b")),
            ("/...", "*", None),
            ("/a/.../b", "/a/.../b", Some("")),
            ("/a/.../b", "/a/x/b", None),
            ("...", "...", Some("")),
            ("...", "/x", None),
            ("infer", "/infer", None),
            ("foo/...", "/foo/x", None),
            ("/é/...", "/é/x", Some("/x")),
        ] {
            assert_eq!(RoutePattern::new(pattern).path_info(path), path_info, "{pattern} on {path}");
        }
    }

    /// RFC 3875 §4.1.13, with WAGI 0.8's `/` for `/...`.
    #[test]
    fn script_name_is_the_pattern_without_its_wildcard() {
        for (pattern, script_name) in [
            ("/", "/"),
            ("/foo", "/foo"),
            ("/foo/", "/foo/"),
            ("/foo/...", "/foo"),
            ("/...", "/"),
            ("foo/...", "/foo"),
            ("/p/w/...", "/p/w"),
        ] {
            let pattern = RoutePattern::new(pattern);
            assert_eq!(pattern.script_name(), script_name, "{pattern}");
        }
    }

    /// WAGI 0.8's dynamic routes: one slash at the seam, and a wildcard on the printed part stays a wildcard.
    #[test]
    fn joined_patterns_meet_at_exactly_one_slash() {
        for (own, printed, joined) in [
            ("/", "/exact", "/exact"),
            ("/example", "/goodbye/...", "/example/goodbye/..."),
            ("/parent/", "/exact", "/parent/exact"),
            ("/wild/...", "/a/...", "/wild/a/..."),
            ("/...", "/a", "/a"),
            ("/example", "hello", "/example/hello"),
            ("/example", "/", "/example/"),
            ("/example", "/...", "/example/..."),
            ("/example/", "/...", "/example/..."),
            ("/", "/...", "/..."),
            ("/...", "/...", "/..."),
            ("/example", "//x", "/example/x"),
        ] {
            let pattern = RoutePattern::new(own).join(printed);
            assert_eq!(pattern.to_string(), joined, "{own} + {printed}");
            assert_eq!(pattern, RoutePattern::new(joined));
        }
    }

    #[test]
    fn a_pattern_covers_itself_and_what_lies_below_its_prefix() {
        for (pattern, other, covers) in [
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a", "/a/...", false),
            ("/a/...", "/a", true),
            ("/a/...", "/a/", true),
            ("/a/...", "/a/...", true),
            ("/a/...", "/a/b", true),
            ("/a/...", "/a/b/...", true),
            ("/a/...", "/ab/...", false),
            ("/a/b/...", "/a/...", false),
            ("/...", "/a/...", true),
            ("/...", "/...", true),
            ("/...", "/", true),
            ("/...", "infer", false),
            ("/a/...", "/...", false),
        ] {
            assert_eq!(RoutePattern::new(pattern).covers(&RoutePattern::new(other)), covers, "{pattern} over {other}");
        }
    }

    #[test]
    fn a_pattern_no_request_path_can_look_like_is_told_apart() {
        for (pattern, can_match) in [
            ("/", true),
            ("/...", true),
            ("/foo/...", true),
            ("/%20", true),
            ("/.../x", true),
            ("infer", false),
            ("foo/...", false),
            ("...", false),
            ("", false),
            ("/search?q", false),
            ("/a b", false),
            ("/a#b/...", false),
        ] {
            assert_eq!(RoutePattern::new(pattern).can_match_a_request(), can_match, "{pattern}");
        }
    }
}
