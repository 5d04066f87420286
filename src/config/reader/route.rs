//! The routes of entries.

use crate::config::reader::report::Report;
use crate::config::reader::values::{SpannedStr, ValueError};
use crate::route::RoutePattern;

/// Returns the pattern of a route. Warns if no request can match it.
pub(in crate::config) fn pattern(route: SpannedStr<'_>, report: &mut Report) -> RoutePattern {
    let SpannedStr { text, span } = route;
    let pattern = RoutePattern::new(text);
    if !pattern.can_match_a_request() {
        let help = if text.starts_with('/') {
            "request paths contain no blank, `?` or `#`; write them percent-encoded, such as `%20`".to_owned()
        } else {
            format!("write `/{text}`: request paths begin with a slash")
        };
        report.warning(span, ValueError::new(format!("route `{text}` never matches a request")).help(help));
    } else if let Some(prefix) = foreign_wildcard(text) {
        let error = ValueError::new(format!(
            "route `{text}` matches only a path that reads just so: `{text}` is no pattern here"
        ));
        let help = format!(
            "write `{prefix}/...` for all paths that begin with `{prefix}/`; the program finds the rest in PATH_INFO"
        );
        report.warning_or_error(span, error.help(help));
    }
    pattern
}

/// The part before the wildcard, if the route has one of another router, such as `/api/*`, `/api/:id` or `/api/{id}`, or
/// `...` elsewhere than at the end.
fn foreign_wildcard(route: &str) -> Option<&str> {
    let own = route.strip_suffix("/...").unwrap_or(route);
    let is_wildcard = |segment: &str| {
        segment.contains('*')
            || segment.contains("...")
            || (segment.starts_with(':') && segment.len() > 1)
            || [('{', '}'), ('<', '>'), ('[', ']')].iter().any(|(open, close)| {
                segment.find(*open).is_some_and(|at| segment.get(at..).is_some_and(|rest| rest.contains(*close)))
            })
    };
    let mut start = 0;
    for segment in own.split('/') {
        if is_wildcard(segment) {
            return own.get(..start).map(|before| before.trim_end_matches('/'));
        }
        start += segment.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::config::reader::route::foreign_wildcard;

    #[test]
    fn wildcards_of_other_routers_are_recognized() {
        for (route, prefix) in [
            ("/api/*", Some("/api")),
            ("/api/**", Some("/api")),
            ("/*", Some("")),
            ("/api/:id", Some("/api")),
            ("/api/:id/x/...", Some("/api")),
            ("/api/{id}", Some("/api")),
            ("/api/{id}/x", Some("/api")),
            ("/a/b/<int:id>", Some("/a/b")),
            ("/a/[id]", Some("/a")),
            ("/api/.../x", Some("/api")),
            ("/api...", Some("")),
            ("/x.*", Some("")),
            ("/", None),
            ("/...", None),
            ("/api/...", None),
            ("/a:b/...", None),
            ("/~user/%7Bid%7D", None),
        ] {
            assert_eq!(foreign_wildcard(route), prefix, "{route}");
        }
    }
}
