//! In which order are the entries?
//!
//! In Spin the most exact route wins, here the first. So exact routes come first, and then those with the longer path.

use crate::cli::commands::import::entry::ImportedEntry;
use crate::cli::commands::import::notes::Notes;
use crate::cli::commands::import::routes::{ImportedRoute, RouteRank};

/// Puts the entries in the order in which they win in Spin. Those that no request would reach are left out.
pub(super) fn sort(entries: &mut Vec<ImportedEntry>, notes: &mut Notes<'_>) {
    entries.sort_by_key(|entry| {
        let ImportedRoute { text, rank } = &entry.route;
        (*rank != RouteRank::Exact, std::cmp::Reverse(text.len()), *rank)
    });
    let mut seen: Vec<String> = Vec::new();
    entries.retain(|entry| {
        let text = &entry.route.text;
        let is_new = !seen.contains(text);
        if is_new {
            seen.push(text.clone());
        } else {
            let message = format!("component `{}` would be at `{text}` too, and is left out", entry.id);
            notes.add(entry.span.clone(), message, "give it a route of its own");
        }
        is_new
    });
}
