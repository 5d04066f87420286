//! What does the operator see in a browser?
//!
//! One HTML file. Its style and its script are in it, and their digests are in its policy, so that nothing else runs, whatever a guest
//! or a client has written. Numbers come from `/status` and `/requests`.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");

/// All in one function, so that nothing of it can be reached from elsewhere.
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("text.js"),
    include_str!("view.js"),
    include_str!("sections.js"),
    include_str!("main.js"),
    "})();\n"
);

/// The page, with its policy.
pub(super) struct Page {
    pub html: String,
    /// The value of Content-Security-Policy.
    pub policy: String,
}

/// The page.
pub(super) static PAGE: LazyLock<Page> = LazyLock::new(|| Page {
    html: include_str!("page.html").replacen("{{style}}", STYLE, 1).replacen("{{script}}", SCRIPT, 1),
    policy: format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        source(SCRIPT),
        source(STYLE)
    ),
});

/// The content of an element, as a policy names it.
fn source(content: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(content)))
}

#[cfg(test)]
mod tests {
    use crate::admin::page::*;

    #[test]
    fn the_page_has_its_style_and_script_and_nothing_from_elsewhere() {
        let Page { html, policy } = &*PAGE;
        assert!(html.contains(STYLE) && html.contains(SCRIPT) && !html.contains("{{"));
        assert!(!STYLE.contains("</style") && !SCRIPT.contains("</script") && !SCRIPT.contains("<!--"));
        // The name of SVG elements is no address that is asked.
        let html = html.replace("http://www.w3.org/2000/svg", "");
        for word in ["http:", "https:", "src=", "@import", "url(", " style=", " onclick"] {
            assert!(!html.contains(word), "{word}");
        }
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
    }

    #[test]
    fn nothing_foreign_becomes_markup() {
        for word in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser"]
        {
            assert!(!SCRIPT.contains(word), "{word}");
        }
    }
}
