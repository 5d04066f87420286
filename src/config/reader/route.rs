//! Route patterns of entries.

use std::ops::Range;

use crate::config::reader::report::Report;
use crate::config::reader::values::ValueError;
use crate::route::RoutePattern;

/// The pattern of a route, with a warning if no request can match it.
pub(in crate::config) fn pattern(text: &str, span: Range<usize>, report: &mut Report) -> RoutePattern {
    let pattern = RoutePattern::new(text);
    if !pattern.can_match_a_request() {
        let help = if text.starts_with('/') {
            "request paths hold no blank, `?` or `#`; write them percent-encoded, such as `%20`".to_owned()
        } else {
            format!("write `/{text}`: request paths begin with a slash")
        };
        report.warning(span, ValueError::new(format!("route `{text}` never matches a request")).help(help));
    }
    pattern
}
