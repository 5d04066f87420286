//! What of the content does a response with this status have?
//!
//! Asked by `runtime` and `gateway`, which send none that must not be there, and by those who change the content of a response.

use http::StatusCode;

/// Whether a final response with this status has no content (RFC 9110 §15.3.5, §15.3.6 and §15.4.5).
pub(crate) fn has_no_content(status: StatusCode) -> bool {
    [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// Whether a response with this status has content, and all of it (RFC 9110 §15.2 and §15.3.7).
pub fn has_whole_content(status: StatusCode) -> bool {
    !status.is_informational() && !has_no_content(status) && status != StatusCode::PARTIAL_CONTENT
}

#[cfg(test)]
mod tests {
    use crate::content::status::*;

    #[test]
    fn some_responses_have_no_content_and_some_a_part_of_it() {
        for (code, has_none, has_all) in [
            (100, false, false),
            (200, false, true),
            (204, true, false),
            (205, true, false),
            (206, false, false),
            (304, true, false),
            (404, false, true),
            (500, false, true),
        ] {
            let status = StatusCode::from_u16(code).expect("a status");
            assert_eq!((has_no_content(status), has_whole_content(status)), (has_none, has_all), "{code}");
        }
    }
}
