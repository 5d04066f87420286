//! What does a browser show of a failure, and of a build that is broken? Pure functions, called by `service`.

use http::StatusCode;

use wagi::FailedResponse;

/// What pages get so that the browser loads them again.
pub(super) const LIVE_SCRIPT: &str =
    "<script>new EventSource(\"/.wagi/live\").onmessage=()=>location.reload()</script>\n";

/// The path of the events.
pub(super) const LIVE_PATH: &str = "/.wagi/live";

const STYLE: &str =
    "font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:60em;margin:2em auto;padding:0 1em";
const BANNER_STYLE: &str = "position:fixed;left:0;right:0;bottom:0;max-height:50%;overflow:auto;padding:.5em 1em;font:14px/1.4 system-ui,sans-serif;color:#fff;background:#8a1c1c;z-index:2147483647";

/// What is added to a page while it is not what the sources say.
pub(super) fn banner(why: &str) -> String {
    format!(
        "<div role=\"alert\" style=\"{BANNER_STYLE}\"><strong>This is the last good version.</strong><pre>{}</pre></div>\n",
        escaped(why)
    )
}

/// The page about a response that failed.
pub(super) fn failure(status: StatusCode, failed: &FailedResponse, stderr: &str) -> String {
    let printed = match stderr.trim() {
        "" => String::new(),
        stderr => format!("<h2>Standard error</h2>\n<pre>{}</pre>\n", escaped(stderr)),
    };
    let help = help(failed).map(|help| format!("<p>{}</p>\n", escaped(&help))).unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{status}</title>\n<body style=\"{STYLE}\">\n\
         <h1>{status}</h1>\n<p><strong>{}</strong></p>\n{help}{printed}\
         <p><small>wagi dev shows this page. A server sends the status alone.</small></p>\n</body></html>\n",
        escaped(&failed.reason)
    )
}

/// What causes such a failure most of the time and what helps, where that is known.
fn help(failed: &FailedResponse) -> Option<String> {
    if failed.end == "none" && failed.reason == "no route matches" {
        let help = "No `route` of the modules.toml matches this path. `/...` at the end of a route matches all that is below it.";
        return Some(help.to_owned());
    }
    // The lines of standard error may be those of another request.
    let found = wagi::observe::explain(failed.end, &failed.reason, "")?;
    Some(format!("{}; {}", found.cause, found.cure))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::dev::page::*;

    #[test]
    fn foreign_text_is_no_markup() {
        let failed = FailedResponse { end: "trap", reason: "unreachable <script>".to_owned() };
        let page = failure(StatusCode::INTERNAL_SERVER_ERROR, &failed, "<b>&\n");
        assert!(page.contains("&lt;script&gt;") && page.contains("<pre>&lt;b&gt;&amp;</pre>"), "{page}");
        assert!(page.contains("<h1>500 Internal Server Error</h1>") && page.contains("gave up by itself"), "{page}");
        assert!(banner("a < b").contains("<pre>a &lt; b</pre>"));
        assert!(!failure(StatusCode::NOT_FOUND, &failed, " ").contains("Standard error</h2>"));
    }
}
