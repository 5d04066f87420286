//! At which route is a component?

use crate::cli::commands::import::manifest::HttpTrigger;
use crate::cli::commands::import::notes::Notes;

/// The end of a route for all that is below it.
const BELOW: &str = "/...";

/// How exact a route of Spin is, the most exact first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RouteRank {
    Exact,
    /// With `:name` for one segment.
    OneSegment,
    Below,
}

/// A route for wagi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImportedRoute {
    pub text: String,
    pub rank: RouteRank,
}

impl ImportedRoute {
    /// The route of a trigger below the base of the application.
    pub fn new(trigger: &HttpTrigger<'_>, base: &str, notes: &mut Notes<'_>) -> Self {
        let (route, is_exact_there) = converted(&join(base, &trigger.route));
        if !is_exact_there {
            let (spin, text) = (&trigger.route, &route.text);
            notes.add(
                trigger.span.clone(),
                format!("`{spin}` becomes `{text}`, which matches everything below: `:` stands for nothing here"),
                "the program finds the segment in PATH_INFO, and answers 404 for other paths itself",
            );
        }
        route
    }
}

fn join(base: &str, route: &str) -> String {
    let base = base.trim_matches('/');
    let route = route.strip_prefix('/').unwrap_or(route);
    if base.is_empty() { format!("/{route}") } else { format!("/{base}/{route}") }
}

/// The route that matches what a route of Spin matches, and whether it matches no more.
fn converted(route: &str) -> (ImportedRoute, bool) {
    if let Some(at) = route.find("/:") {
        return (ImportedRoute { text: format!("{}{BELOW}", &route[..at]), rank: RouteRank::OneSegment }, false);
    }
    let rank = if route.ends_with(BELOW) { RouteRank::Below } else { RouteRank::Exact };
    // Spin does not tell `/a/` from `/a`; programs are linked to as the latter.
    let text = match route.strip_suffix('/') {
        Some(before) if !before.is_empty() => before,
        _ => route,
    };
    (ImportedRoute { text: text.to_owned(), rank }, true)
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::import::routes::*;

    #[test]
    fn routes_become_those_that_match_the_same() {
        for (base, route, text, rank) in [
            ("/", "/", "/", RouteRank::Exact),
            ("/", "/hello", "/hello", RouteRank::Exact),
            ("/", "/hello/", "/hello", RouteRank::Exact),
            ("/", "hello", "/hello", RouteRank::Exact),
            ("/base", "/hello", "/base/hello", RouteRank::Exact),
            ("/base/", "/...", "/base/...", RouteRank::Below),
            ("/", "/...", "/...", RouteRank::Below),
            ("/", "/users/:id", "/users/...", RouteRank::OneSegment),
            ("/", "/users/:id/posts/...", "/users/...", RouteRank::OneSegment),
            ("/", "/:id", "/...", RouteRank::OneSegment),
            ("/a", "/:id", "/a/...", RouteRank::OneSegment),
        ] {
            let (converted, _) = converted(&join(base, route));
            assert_eq!((converted.text.as_str(), converted.rank), (text, rank), "{base} {route}");
        }
    }
}
