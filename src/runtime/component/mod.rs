//! What is a component, and which of its exports is served?
//!
//! | it exports | and is |
//! | --- | --- |
//! | `wasi:http/incoming-handler` 0.2 or `wasi:http/handler` 0.3 | called for each HTTP request: `service` |
//! | `wasi:cli/run` 0.2 or 0.3 | run like a module: `command` |
//!
//! The first line wins. Components have an engine of their own, made when the first one is seen.
//!
//! | file | question |
//! | --- | --- |
//! | `engine` | which exports are served, and what is a component linked to? |
//! | `imports` | which imports are there for components? |
//! | `filesystem` | how does it use files? |
//! | `state` | what does the host keep for a component while it runs? |
//! | `command` | how is a component run like a module? |
//! | `service` | how does a component handle an HTTP request? |
//! | `body` | how do bodies get into and out of a component? |
//! | `outgoing` | how does a component call a server? |
//! | `waits`, `call_wait`, `other_wait` | what does a component wait for besides its client? |

pub(in crate::runtime) mod body;
pub(in crate::runtime) mod call_wait;
pub(in crate::runtime) mod command;
pub(in crate::runtime) mod engine;
pub(in crate::runtime) mod filesystem;
pub(in crate::runtime) mod imports;
pub(in crate::runtime) mod other_wait;
pub(in crate::runtime) mod outgoing;
pub(in crate::runtime) mod service;
pub(in crate::runtime) mod state;
pub(in crate::runtime) mod waits;

pub use crate::runtime::component::body::ComponentRequestBody;
pub(in crate::runtime) use crate::runtime::component::engine::{ComponentEngine, LinkedComponent};
pub use crate::runtime::component::service::ComponentRequest;

/// Whether the bytes are a component: in binary, modules have the same magic number and another version behind it; in
/// text, components begin with another word.
pub fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0") || without_comments(bytes).starts_with(b"(component")
}

/// Returns the text without the blanks and comments at its start.
fn without_comments(mut text: &[u8]) -> &[u8] {
    loop {
        text = text.trim_ascii_start();
        text = if text.starts_with(b";;") {
            text.iter().position(|&byte| byte == b'\n').and_then(|end| text.get(end..)).unwrap_or_default()
        } else if text.starts_with(b"(;") {
            block_end(text).and_then(|end| text.get(end..)).unwrap_or_default()
        } else {
            return text;
        }
    }
}

/// Returns the end of the block comment that `text` begins with. Such comments nest.
fn block_end(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(pair) = text.get(at..at + 2) {
        match pair {
            b"(;" => depth += 1,
            b";)" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::runtime::component::*;

    #[test]
    fn components_are_told_from_modules_by_their_first_bytes() {
        for (bytes, expected) in [
            (&b"\0asm\x0d\0\x01\0rest"[..], true),
            (b"\0asm\x01\0\0\0rest", false),
            (b"(component)", true),
            (b" \n\t(component $c)", true),
            (b";; text\n;; more\n(component)", true),
            (b"(; a (; nested ;) comment ;) ;; and\n (component)", true),
            (b"(module)", false),
            (b";; (component)\n(module)", false),
            (b"(; (component", false),
            (b"(;", false),
            (b";)", false),
            (b"(", false),
            (b"", false),
        ] {
            assert_eq!(is_component(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
