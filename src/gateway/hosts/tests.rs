//! Rows with hosts, compared with a scan from top to bottom.

use crate::gateway::hosts::*;

/// A row for these hosts, separated by blanks; none for every name. It leads to its number.
fn rows(rows: &[(&str, &str)]) -> HostRoutes<usize> {
    let row = |(target, (hosts, pattern)): (usize, &(&str, &str))| {
        let hosts = hosts.split_whitespace().map(|host| host.parse().expect(host)).collect();
        RouteRow { pattern: RoutePattern::new(*pattern), hosts, target }
    };
    HostRoutes::new(rows.iter().enumerate().map(row).collect())
}

fn find(routes: &HostRoutes<usize>, host: Option<(&str, u16)>, path: &str) -> Option<usize> {
    routes.find(path, || host.map(|(name, port)| RequestedHost { name, port })).map(|found| *found.target)
}

/// What a pattern says, without a table.
fn matches(pattern: &HostPattern, name: &str, port: u16) -> bool {
    let Some(name) = HostName::new(name) else { return false };
    let is_address = name.as_str().starts_with('[') || name.as_str().parse::<std::net::Ipv4Addr>().is_ok();
    let is_name = if pattern.is_wildcard() {
        let label = name.as_str().strip_suffix(pattern.name()).and_then(|rest| rest.strip_suffix('.'));
        !is_address && label.is_some_and(|label| !label.is_empty() && !label.contains('.'))
    } else {
        name.as_str() == pattern.name()
    };
    is_name && pattern.port().is_none_or(|only| only == port)
}

fn scan(routes: &HostRoutes<usize>, host: Option<(&str, u16)>, path: &str) -> Option<usize> {
    let answers = |row: &&RouteRow<usize>| {
        let is_host = host.is_some_and(|(name, port)| row.hosts.iter().any(|host| matches(host, name, port)));
        (row.hosts.is_empty() || is_host) && row.pattern.path_info(path).is_some()
    };
    routes.rows().iter().find(answers).map(|row| row.target)
}

/// Numbers that look random and are the same in every run (Knuth's 64-bit multiplier).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn choose(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }
}

const PATTERNS: [&str; 9] = ["a.x", "A.X.", "b.x", "a.x:81", "*.x", "*.x:81", "*.a.x", "127.0.0.1", "[::1]:81"];
const NAMES: [&str; 10] = ["a.x", "a.X", "b.x", "b.x.", "c.x", "x", "c.a.x", "127.0.0.1", "[0::1]", "a..x"];
const ROUTES: [&str; 6] = ["/", "/a", "/a/...", "/...", "/a/b", "/b/..."];
const PATHS: [&str; 5] = ["/", "/a", "/a/b", "/b", "/a/c"];

fn random(dice: &mut Dice) -> HostRoutes<usize> {
    let list = (0..dice.below(9)).map(|_| {
        let hosts: Vec<&str> = (0..dice.below(4)).map(|_| dice.choose(&PATTERNS)).collect();
        (hosts.join(" "), dice.choose(&ROUTES))
    });
    let list: Vec<_> = list.collect();
    rows(&list.iter().map(|(hosts, route)| (hosts.as_str(), *route)).collect::<Vec<_>>())
}

#[test]
fn lookups_agree_with_a_scan_from_top_to_bottom() {
    let mut dice = Dice(11);
    for _ in 0..1_000 {
        let routes = random(&mut dice);
        let shown = || routes.rows().iter().map(|row| format!("{} {:?}", row.pattern, row.hosts)).collect::<Vec<_>>();
        for path in PATHS {
            assert_eq!(find(&routes, None, path), scan(&routes, None, path), "{path} in {:?}", shown());
            for (name, port) in NAMES.into_iter().flat_map(|name| [(name, 80), (name, 81)]) {
                let host = Some((name, port));
                assert_eq!(
                    find(&routes, host, path),
                    scan(&routes, host, path),
                    "{name}:{port}{path} in {:?}",
                    shown()
                );
            }
        }
    }
}

/// Every request that a hidden row would answer is answered by an earlier one; a row that is not hidden answers some request.
#[test]
fn hidden_rows_are_those_that_answer_no_request() {
    let mut dice = Dice(13);
    let names = ["a.x", "b.x", "c.x", "c.a.x", "d.a.x", "127.0.0.1", "[::1]", "y"];
    let paths = ["/", "/a", "/a/b", "/a/c", "/a/b/", "/b", "/b/x", "/c"];
    for _ in 0..1_000 {
        let routes = random(&mut dice);
        let all_hidden: Vec<usize> =
            routes.hidden().into_iter().filter(|hidden| hidden.hosts.is_empty()).map(|hidden| hidden.row).collect();
        let requests = || {
            let hosts = names.into_iter().flat_map(|name| [80, 81, 82].map(|port| Some((name, port)))).chain([None]);
            hosts.flat_map(|host| paths.map(|path| (host, path)))
        };
        for row in routes.rows() {
            let answers = requests().any(|(host, path)| find(&routes, host, path) == Some(row.target));
            let hidden = all_hidden.contains(&row.target);
            let shown: Vec<_> = routes.rows().iter().map(|row| format!("{} {:?}", row.pattern, row.hosts)).collect();
            assert!(!(hidden && answers), "{} of {shown:?} is not hidden", row.target);
            // A row may be hidden by several earlier ones together, at hosts or below paths. That is not looked for.
            let together = routes.rows().iter().take(row.target).any(|earlier| earlier.pattern.covers(&row.pattern))
                || row.pattern.is_prefix();
            assert!(hidden || answers || together, "{} of {shown:?} is hidden", row.target);
        }
    }
}

#[test]
fn the_first_row_that_matches_host_and_path_wins() {
    let routes = rows(&[
        ("", "/healthz"),
        ("shop.example *.shop.example", "/..."),
        ("", "/a"),
        ("blog.example:8443", "/..."),
        ("blog.example", "/b"),
        ("", "/b"),
        ("192.0.2.1 [2001:db8::1]", "/..."),
    ]);
    for (host, path, found) in [
        (("shop.example", 80), "/healthz", Some(0)),
        (("shop.example", 80), "/a", Some(1)),
        (("eu.shop.example", 80), "/a", Some(1)),
        (("x.eu.shop.example", 80), "/a", Some(2)),
        (("x.eu.shop.example", 80), "/x", None),
        (("blog.example", 8443), "/a", Some(2)),
        (("blog.example", 8443), "/b", Some(3)),
        (("blog.example", 80), "/b", Some(4)),
        (("blog.example", 80), "/x", None),
        (("192.0.2.1", 80), "/x", Some(6)),
        (("[2001:DB8:0::1]", 80), "/x", Some(6)),
        (("not a host", 80), "/b", Some(5)),
    ] {
        assert_eq!(find(&routes, Some(host), path), found, "{host:?}{path}");
    }
    assert_eq!(find(&routes, None, "/b"), Some(5));
    assert_eq!(find(&routes, None, "/x"), None);
}

#[test]
fn without_hosts_a_request_is_not_asked_for_its_own() {
    let routes = rows(&[("", "/a"), ("", "/...")]);
    let found = routes.find("/a", || panic!("the host makes no difference"));
    assert_eq!(found.map(|found| *found.target), Some(0));
}

#[test]
fn a_row_for_another_host_hides_nothing() {
    let hidden = |list: &[(&str, &str)]| rows(list).hidden();
    let row = |row, earlier, hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| host.parse().expect("a host")).collect();
        vec![HiddenRow { row, earlier, hosts }]
    };
    assert_eq!(hidden(&[("a.x", "/..."), ("b.x", "/a"), ("", "/a")]), []);
    assert_eq!(hidden(&[("a.x", "/..."), ("a.x:81", "/a")]), row(1, 0, &[]));
    assert_eq!(hidden(&[("a.x:81", "/..."), ("a.x", "/a")]), []);
    assert_eq!(hidden(&[("*.x", "/..."), ("a.x", "/a")]), row(1, 0, &[]));
    assert_eq!(hidden(&[("a.x", "/..."), ("*.x", "/a")]), []);
    assert_eq!(hidden(&[("*.x", "/..."), ("*.x:81", "/a")]), row(1, 0, &[]));
    assert_eq!(hidden(&[("", "/..."), ("a.x", "/a")]), row(1, 0, &[]));
    assert_eq!(hidden(&[("a.x b.x", "/..."), ("b.x c.x", "/a")]), row(1, 0, &["b.x"]));
    assert_eq!(hidden(&[("a.x", "/..."), ("b.x", "/..."), ("b.x a.x", "/a")]), row(2, 0, &[]));
    assert_eq!(hidden(&[("", "/a"), ("", "/b/..."), ("", "/a")]), row(2, 0, &[]));
}

#[test]
fn ten_thousand_rows_for_a_thousand_hosts_are_checked_and_found() {
    let list: Vec<(String, String)> =
        (0..10_000).map(|n| (format!("h{}.x *.h{}.x", n % 1_000, n % 1_000), format!("/{}/...", n / 1_000))).collect();
    let routes = rows(&list.iter().map(|(host, route)| (host.as_str(), route.as_str())).collect::<Vec<_>>());
    assert_eq!(routes.hidden(), []);
    for n in [0, 999, 5_432, 9_999] {
        let name = format!("h{}.x", n % 1_000);
        assert_eq!(find(&routes, Some((&name, 80)), &format!("/{}/a", n / 1_000)), Some(n));
        assert_eq!(find(&routes, Some((&format!("w.{name}"), 80)), &format!("/{}/a", n / 1_000)), Some(n));
    }
}
