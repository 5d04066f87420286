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
    }
    pattern
}
