//! What did the client ask for, beyond the name of a behaviour?

use std::time::Duration;

/// What a behaviour may want to know about the request.
pub struct Request {
    /// What follows the behaviour's path, for those that take a name.
    pub name: String,
    /// QUERY_STRING, untouched.
    pub query: String,
}

impl Request {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), query: std::env::var("QUERY_STRING").unwrap_or_default() }
    }

    /// The number at `position` among the query's pieces; `default` if there is none.
    pub fn number(&self, position: usize, default: u64) -> u64 {
        self.query.split('&').nth(position).and_then(|piece| piece.parse().ok()).unwrap_or(default)
    }

    /// The number at `position` as milliseconds, none meaning no wait.
    pub fn milliseconds(&self, position: usize) -> Duration {
        Duration::from_millis(self.number(position, 0))
    }

    /// The query with its percent-escapes undone.
    pub fn text(&self) -> String {
        let mut bytes = Vec::with_capacity(self.query.len());
        let mut rest = self.query.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            let escaped = after.get(..2).filter(|_| first == b'%').and_then(|digits| {
                let digits = std::str::from_utf8(digits).ok()?;
                u8::from_str_radix(digits, 16).ok()
            });
            bytes.push(escaped.unwrap_or(first));
            rest = if escaped.is_some() { &after[2..] } else { after };
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
