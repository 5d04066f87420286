//! Which route serves a request path?
//!
//! WAGI 0.8's precedence rule, stated once: the table is an ordered list and the first pattern that matches wins; a more
//! specific pattern has no precedence. `startup` brings the routes into that order, `gateway` looks paths up. What a route
//! leads to is up to the caller.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub mod discovery;
mod file_name;
mod pattern;
mod script_path;

pub use crate::route::discovery::{Discovered, DiscoveryError};
pub use crate::route::file_name::{file_name, is_hidden, plain_path};
pub use crate::route::pattern::RoutePattern;
pub use crate::route::script_path::{PathKind, ScriptDirectory, ScriptPath, ScriptRules, ScriptWalk};

/// An ordered list of routes with an index that finds the first match in one walk along the path.
#[derive(Clone, Debug)]
pub struct RouteTable<T> {
    entries: Vec<(RoutePattern, T)>,
    exact: Index,
    prefixes: Index,
}

/// The first route that matches a path.
#[derive(Debug, PartialEq, Eq)]
pub struct RouteMatch<'t, 'p, T> {
    /// What the route leads to.
    pub target: &'t T,
    /// The pattern that matched.
    pub pattern: &'t RoutePattern,
    /// The part of the path below the pattern's prefix, still encoded.
    pub path_info: &'p str,
}

impl<T> RouteTable<T> {
    /// A table of `entries`. Earlier entries win over later ones.
    pub fn new(entries: Vec<(RoutePattern, T)>) -> Self {
        let mut exact = Index::default();
        let mut prefixes = Index::default();
        for (position, (pattern, _)) in entries.iter().enumerate() {
            let index = if pattern.is_prefix() { &mut prefixes } else { &mut exact };
            index.insert(pattern.prefix(), position);
        }
        Self { entries, exact, prefixes }
    }

    /// The first route that matches the raw request path `path`.
    pub fn find<'t, 'p>(&'t self, path: &'p str) -> Option<RouteMatch<'t, 'p, T>> {
        let position = self.exact.get(path).into_iter().chain(self.prefixes.first_prefix_of(path)).min()?;
        let (pattern, target) = self.entries.get(position)?;
        Some(RouteMatch { target, pattern, path_info: pattern.path_info(path)? })
    }

    /// What the first route leads to that matches every path which `pattern` matches, if there is one.
    pub fn covering(&self, pattern: &RoutePattern) -> Option<&T> {
        let exact = if pattern.is_prefix() { None } else { self.exact.get(pattern.prefix()) };
        let position = exact.into_iter().chain(self.prefixes.first_prefix_of(pattern.prefix())).min()?;
        self.entries.get(position).map(|(_, target)| target)
    }
}

/// A map from texts to the first position at which the table has each.
#[derive(Clone, Debug, Default)]
struct Index {
    positions: HashMap<String, usize, BuildHasherDefault<Fnv>>,
    max_length: usize,
    max_slashes: usize,
}

/// The hash function FNV-1a, quick for texts as short as paths. It does not keep clients from choosing paths that collide, and
/// need not: only the operator adds texts to an index.
#[derive(Clone, Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Index {
    fn insert(&mut self, text: &str, position: usize) {
        self.positions.entry(text.to_owned()).or_insert(position);
        self.max_length = self.max_length.max(text.len());
        self.max_slashes = self.max_slashes.max(text.matches('/').count());
    }

    fn get(&self, text: &str) -> Option<usize> {
        if text.len() > self.max_length {
            return None;
        }
        self.positions.get(text).copied()
    }

    /// The least position of the texts that are `path` or end just before one of its slashes.
    ///
    /// A client may send thousands of slashes, so the walk ends where even the longest text of the index would.
    fn first_prefix_of(&self, path: &str) -> Option<usize> {
        if self.positions.is_empty() {
            return None;
        }
        let reach = path.as_bytes().iter().take(self.max_length.saturating_add(1));
        let slashes = reach.enumerate().filter(|&(_, &byte)| byte == b'/').map(|(at, _)| at);
        let above = slashes.take(self.max_slashes.saturating_add(1)).filter_map(|at| self.get(path.get(..at)?));
        above.chain(self.get(path)).min()
    }
}

#[cfg(test)]
mod tests {
    use crate::route::*;

    fn table(patterns: &[&str]) -> RouteTable<usize> {
        RouteTable::new(patterns.iter().enumerate().map(|(n, &text)| (RoutePattern::new(text), n)).collect())
    }

    fn scan(patterns: &[String], path: &str) -> Option<usize> {
        patterns.iter().position(|text| RoutePattern::new(text.as_str()).path_info(path).is_some())
    }

    /// Numbers that look random and are the same in every run (Knuth's 64-bit multiplier).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % limit
        }

        fn path(&mut self) -> String {
            let segments = self.below(5);
            let pieces = (0..segments).map(|_| ["/a", "/b", "/", "/a%2F", "a", "/é"][self.below(6)]);
            pieces.collect()
        }
    }

    /// WAGI 0.8: the first declared route wins, however special a later one is.
    #[test]
    fn the_first_matching_route_wins() {
        let routes = table(&["/healthz", "/a/b", "/a/...", "/a/c", "/...", "/z"]);
        for (path, target, path_info) in [
            ("/healthz", 0, ""),
            ("/a/b", 1, ""),
            ("/a/b/", 2, "/b/"),
            ("/a/c", 2, "/c"),
            ("/a", 2, ""),
            ("/z", 4, "/z"),
            ("/", 4, "/"),
        ] {
            let found = routes.find(path).unwrap_or_else(|| panic!("{path} is not found"));
            assert_eq!((*found.target, found.path_info), (target, path_info), "{path}");
        }
        assert_eq!(routes.find("*"), None);
        assert_eq!(table(&["/blah/..."]).find("/blahahahaha"), None);
        assert_eq!(table(&[]).find("/"), None);
    }

    #[test]
    fn lookups_agree_with_a_scan_from_top_to_bottom() {
        let mut dice = Dice(7);
        for _ in 0..2_000 {
            let patterns: Vec<String> =
                (0..dice.below(8)).map(|_| dice.path() + if dice.below(2) == 0 { "/..." } else { "" }).collect();
            let routes = table(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
            for _ in 0..20 {
                let path = dice.path();
                let found = routes.find(&path).map(|found| *found.target);
                assert_eq!(found, scan(&patterns, &path), "{path} in {patterns:?}");
            }
            for pattern in patterns.iter().map(|text| RoutePattern::new(text.as_str())) {
                let covers = |text: &String| RoutePattern::new(text.as_str()).covers(&pattern);
                let first = patterns.iter().position(covers);
                assert_eq!(routes.covering(&pattern), first.as_ref(), "{pattern} in {patterns:?}");
            }
        }
    }

    #[test]
    fn a_path_of_slashes_is_walked_no_further_than_the_longest_prefix() {
        let routes = table(&["/a/b/...", "/", "/..."]);
        let path = "/".repeat(8_000);
        assert_eq!(routes.find(&path).map(|found| found.path_info.len()), Some(8_000));
        assert_eq!(table(&["/a/b/..."]).find(&path), None);
    }
}
