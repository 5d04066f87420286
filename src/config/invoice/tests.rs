//! What invoices mean, and which problems are reported.

use crate::config::invoice::*;
use crate::config::{Argv, BindleLocation, Key, Limits, Volume};

const HEAD: &str = "bindleVersion = '1.0.0'\nbindle = { name = 'a/b', version = '1.0.0' }\n";

fn bindle() -> BindleConfig {
    BindleConfig {
        id: "a/b/1.0.0".parse().expect("an id"),
        location: BindleLocation::Directory("bindles".into()),
        environment: vec![("A".to_owned(), "hunter2".to_owned())],
        strict: false,
    }
}

fn read(text: &str) -> (Vec<BindleEntry>, Vec<Diagnostic>) {
    read_invoice("invoice.toml", text.as_bytes().to_vec(), &bindle())
}

/// A parcel with a digest of one repeated digit, and with more keys in its label and its conditions.
fn parcel(name: &str, digit: char, label: &str, conditions: &str) -> String {
    let digest = digit.to_string().repeat(64);
    format!(
        "[[parcel]]\nlabel = {{ name = '{name}', mediaType = 'application/wasm', size = 3, sha256 = '{digest}', {label} }}\n\
        conditions = {{ {conditions} }}\n"
    )
}

fn program(name: &str, route: &str, conditions: &str) -> String {
    parcel(name, '1', &format!("feature.wagi.route = '{route}'"), conditions)
}

fn program_with(conditions: &str) -> String {
    program("x", "/x", conditions)
}

fn asset(name: &str, digit: char, conditions: &str) -> String {
    parcel(name, digit, "feature.wagi.file = 'true'", conditions)
}

/// Returns the messages about an invoice with these parcels.
fn messages(parcels: &[String]) -> Vec<String> {
    read(&(HEAD.to_owned() + &parcels.concat())).1.into_iter().map(|problem| problem.message).collect()
}

/// Returns each route with the files of its entry.
fn seen(parcels: &[String]) -> Vec<(String, Vec<String>)> {
    let (entries, problems) = read(&(HEAD.to_owned() + &parcels.concat()));
    assert_eq!(problems, []);
    let of = |entry: BindleEntry| {
        let names = entry.assets.iter().map(|asset| asset.name.clone()).collect();
        (entry.with_files(None).route.to_string(), names)
    };
    entries.into_iter().map(of).collect()
}

fn files(route: &str, names: &[&str]) -> (String, Vec<String>) {
    (route.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_program_gets_what_its_features_say() {
    let features = "feature.wagi = { route = '/x/...', entrypoint = 'run', argv = '${ARGS}', \
        allowed_hosts = 'https://a.example , b.example,', bindle_server = 'no' }";
    let text = HEAD.to_owned() + &parcel("x.wasm", 'A', features, "");
    let (entries, problems) = read(&text);
    assert_eq!(problems, []);
    let entry = entries.into_iter().next().expect("one entry");
    assert_eq!((entry.module.name.as_str(), entry.module.size), ("x.wasm", 3));
    assert_eq!(entry.module.sha256.as_str(), "a".repeat(64));
    let config = entry.with_files(Some("cache/v".into()));
    assert_eq!(config.route.to_string(), "/x/...");
    assert_eq!(config.module.to_string(), "bindle:a/b/1.0.0#x.wasm");
    assert_eq!((config.entrypoint.as_str(), &config.argv), ("run", &Some(Argv::Line("${ARGS}".to_owned()))));
    assert_eq!(config.environment, [("A".to_owned(), "hunter2".to_owned())]);
    assert_eq!(format!("{:?}", config.allowed_hosts), "Only([\"a.example\", \"b.example\"])");
    let root = Volume { guest_path: "/".to_owned(), host_path: "cache/v".into(), read_only: true };
    assert_eq!((config.volumes, config.limits), (vec![root], Limits::default()));
    for key in [Key::Route, Key::Module, Key::Entrypoint, Key::Argv, Key::AllowedHosts] {
        assert_ne!(config.origin.at(key), config.origin.at(Key::Entry), "{key:?}");
    }
    assert!(!format!("{:?}", bindle()).contains("hunter2"));
}

#[test]
fn every_way_to_write_the_keys_is_understood() {
    for text in [
        "bindle_version = '1.0.0'\n[bindle]\nname = 'a/b'\nversion = '1.0.0'\n[[parcel]]\n[parcel.label]\nname = 'x'\n\
            media_type = 'application/wasm'\nsize = 3\nsha256 = 'D'\n[parcel.label.feature.wagi]\nroute = '/'\n\
            [parcel.conditions]\nmember_of = []\nrequires = ['f']\n",
        "bindleVersion = '1.0.0'\nyanked = false\nannotations = { a = 'b' }\n[bindle]\nname = 'a/b'\nversion = '1.0.0'\n\
            authors = ['A <a@b>']\n[[group]]\nname = 'f'\nsatisfiedBy = 'allOf'\n[[signature]]\nby = 'me'\n\
            [[parcel]]\nlabel.name = 'x'\nlabel.mediaType = 'application/wasm'\nlabel.size = 3\nlabel.sha256 = 'D'\n\
            label.origin = 'o'\nconditions.requires = ['f']\n[parcel.label.feature.wagi]\nroute = '/'\n\
            [parcel.label.feature.other]\nx = 'y'\n[parcel.label.annotations]\na = 'b'\n",
    ] {
        let (entries, problems) = read(&text.replace('D', &"1".repeat(64)));
        assert_eq!(problems, []);
        assert_eq!(entries.len(), 1);
    }
}

#[test]
fn programs_are_served_in_the_order_of_their_parcels() {
    let parcels = [
        program("z.wasm", "/z", ""),
        parcel("library.wasm", '2', "", ""),
        program("a.wasm", "/a", "memberOf = []"),
        program("z.wasm", "/again", ""),
    ];
    assert_eq!(seen(&parcels), [files("/z", &[]), files("/a", &[]), files("/again", &[])]);
}

#[test]
fn what_has_a_route_but_is_no_program_is_pointed_out() {
    let of_type = |media_type: &str| program_with("").replace("application/wasm", media_type);
    for (parcel, reason) in [
        (of_type("application/wasm; charset=x"), "only parcels of the type `application/wasm`"),
        (of_type("Application/Wasm"), "only parcels of the type"),
        (of_type("application/octet-stream"), "only parcels of the type"),
        (program("x", "/x", "memberOf = ['g']"), "it is in group `g`"),
    ] {
        let (entries, problems) = read(&(HEAD.to_owned() + &parcel));
        assert!(entries.is_empty() && !problems.iter().any(Diagnostic::is_error), "{problems:?}");
        let messages: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
        assert!(messages.iter().any(|message| message.starts_with("nothing in bindle `a/b/1.0.0`")), "{messages:?}");
        assert!(messages.iter().any(|message| message.contains(reason)), "{messages:?}");
    }
}

#[test]
fn an_entry_sees_the_files_of_the_groups_it_requires() {
    let parcels = [
        program("one.wasm", "/one", "requires = ['first']"),
        program("two.wasm", "/two", "requires = ['second', 'missing']"),
        program("all.wasm", "/all", "requires = ['chain', 'first']"),
        program("none.wasm", "/none", ""),
        asset("b", '2', "memberOf = ['first']"),
        asset("a", '3', "memberOf = ['second', 'first']"),
        asset("c", '4', "memberOf = ['second']"),
        parcel("no-file", '5', "feature.wagi.file = 'yes'", "memberOf = ['first']"),
        parcel("link", '6', "", "memberOf = ['chain'], requires = ['second']"),
        asset("global", '7', ""),
    ];
    let expected =
        [files("/one", &["b", "a"]), files("/two", &["a", "c"]), files("/all", &["b", "a", "c"]), files("/none", &[])];
    assert_eq!(seen(&parcels), expected);
}

#[test]
fn groups_that_require_each_other_are_an_error_with_their_names() {
    let link = |from: &str, to: &str| parcel(from, '2', "", &format!("memberOf = ['{from}'], requires = ['{to}']"));
    let root = |group: &str| program_with(&format!("requires = ['{group}']"));
    let two = "groups require each other: `a` → `b` → `a`";
    let three = "groups require each other: `a` → `b` → `c` → `a`";
    for (parcels, expected) in [
        (vec![root("a"), link("a", "a")], vec!["group `a` requires itself"]),
        (vec![root("a"), link("a", "b"), link("b", "a")], vec![two]),
        (vec![root("a"), link("a", "b"), link("b", "c"), link("c", "a")], vec![three]),
        (vec![root("out"), link("out", "a"), link("a", "b"), link("b", "a")], vec![two]),
        (vec![root("out"), link("out", "a"), link("a", "b"), link("b", "c"), link("c", "a")], vec![three]),
        // Two ways to one group are no cycle, and a cycle that no entry requires is not reported.
        (vec![root("a"), link("a", "b"), link("a", "c"), link("b", "d"), link("c", "d")], vec![]),
        (vec![root("a"), link("b", "c"), link("c", "b")], vec![]),
    ] {
        assert_eq!(messages(&parcels), expected);
    }
}

#[test]
fn a_long_chain_of_groups_is_searched_in_linear_time() {
    let mut parcels = vec![program_with("requires = ['g0']")];
    for group in 0..9_000 {
        let conditions = format!("memberOf = ['g{group}'], requires = ['g{}']", (group + 1) % 9_000);
        parcels.push(parcel("p", '2', "", &conditions));
    }
    let found = messages(&parcels);
    let message = found.first().expect("a cycle");
    assert!(found.len() == 1 && message.contains("`g7` → 8992 more → `g0`"), "{found:?}");
}

/// Many entries that require one group with many members, and a parcel with a long list of groups.
#[test]
fn an_invoice_that_takes_too_long_to_search_is_rejected() {
    let many = |script: usize| program_with(&format!("requires = ['g', 'own{script}']"));
    let scripts: Vec<String> = (0..2_000).map(many).collect();
    let members: Vec<String> = (0..2_000).map(|index| asset(&format!("f{index}"), '2', "memberOf = ['g']")).collect();
    let names: Vec<String> = (0..50_000).map(|index| format!("'{index}'")).collect();
    let hub = parcel("hub", '3', "", &format!("memberOf = ['g'], requires = [{}]", names.join(",")));
    for parcels in [[scripts.as_slice(), &members].concat(), [scripts.as_slice(), &[hub]].concat()] {
        let found = messages(&parcels);
        assert_eq!(found, ["parcel `x` is one too many"]);
    }
}

#[test]
fn two_files_do_not_have_one_path() {
    let root = program_with("requires = ['g']");
    let of = |name: &str, digit| asset(name, digit, "memberOf = ['g']");
    for (parcels, message) in [
        (vec![of("a", '2'), of("a", '3')], Some("two different files with the name `a`")),
        (vec![of("a/b", '2'), of("a-b", '2'), of("a", '3')], Some("`a` as a file and as a directory")),
        (vec![of("a", '2'), of("a", '2'), of("a.b/c", '2')], None),
        (vec![of("a", '2'), asset("a", '3', "memberOf = ['other']")], None),
    ] {
        let found = messages(&[std::slice::from_ref(&root), parcels.as_slice()].concat());
        assert_eq!(found.len(), usize::from(message.is_some()), "{found:?}");
        assert!(message.is_none_or(|message| found.concat().contains(message)), "{found:?}");
    }
}

#[test]
fn a_problem_is_shown_with_its_location() {
    let replaced = |from: &str, to: &str| {
        let text = HEAD.to_owned() + &program_with("requires = ['g']") + &asset("f", '2', "memberOf = ['g']");
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    for (text, expected) in [
        (replaced("'a/b'", "'other'"), "this is the invoice of another bindle than `a/b/1.0.0`"),
        (replaced("version = '1.0.0' }", "version = '1.0.1' }"), "expected `1.0.0`"),
        (replaced("name = 'a/b', ", ""), "`bindle.name` is missing"),
        (replaced("bindle = ", "bundle = "), "`[bindle]` with its `name` and `version` is missing"),
        (replaced("bindle = ", "yanked = true\nbindle = "), "bindle `a/b/1.0.0` is yanked"),
        (replaced("bindle = ", "yanked = 'no'\nbindle = "), "`yanked` must be `true` or `false`"),
        (replaced("size = 3", "size = -1"), "`label.size` must be at least 0"),
        (replaced("size = 3, ", ""), "`label.size` is missing"),
        (replaced("name = 'x', ", ""), "`label.name` is missing"),
        (replaced(&"1".repeat(64), "../../etc/passwd"), "`label.sha256` is not a SHA-256 digest: `../../etc/passwd`"),
        (replaced(&"1".repeat(64), &"1".repeat(63)), "`label.sha256` is not a SHA-256 digest"),
        (replaced("name = 'f'", "name = '../f'"), "it contains `..`"),
        (replaced("name = 'f'", "name = '/f'"), "it is absolute"),
        (replaced("name = 'f'", "name = 'c:f'"), "drive letter"),
        (replaced("name = 'f'", "name = '..\\f'"), "backslash"),
        (replaced("name = 'f'", "name = \"f\\u0000\""), "must not contain a NUL"),
        (replaced("name = 'f'", "name = 'a//f'"), "a part that is empty or `.`"),
        (replaced("file = 'true'", "file = true"), "in quotes: `file = \"true\"`"),
        (replaced("requires = ['g']", "requires = 'g'"), "`conditions.requires` must be an array of strings"),
        (replaced("requires = ['g']", "requires = [1]"), "`conditions.requires[0]` must be a string"),
        (replaced("route = '/x'", "allowed_hosts = 'a b'\nfeature.wagi.route = '/'"), "not valid TOML"),
        (replaced("route = '/x'", "allowed_hosts = 'a b', feature.wagi.route = '/'"), "`a b` is neither a URL"),
        ("bindleVersion = '1.0.0'\nparcel = 3\n".to_owned(), "write `[[parcel]]`"),
    ] {
        let (_, problems) = read(&text);
        let shown: String = problems.iter().map(|problem| problem.render(false)).collect();
        assert!(problems.iter().any(Diagnostic::is_error), "{text}");
        assert!(shown.contains(expected) && shown.contains(" invoice.toml:"), "{text}{shown}");
    }
    let (entries, problems) = read_invoice("invoice.toml", vec![b'a', 0xff], &bindle());
    assert!(entries.is_empty() && problems.first().is_some_and(|problem| problem.message.contains("is not UTF-8")));
}

#[test]
fn unknown_keys_are_warnings_unless_strict() {
    let text = program("x", "x", "requirse = []").replace("feature.wagi.", "feature.wagi.host = 'h', feature.wagi.");
    let (entries, problems) = read(&text.replace("sha256 = ", "colour = 'red', sha256 = "));
    let shown: String = problems.iter().map(|problem| problem.render(false)).collect();
    // Without a head, that is an error of its own.
    assert_eq!((entries.len(), problems.iter().filter(|problem| problem.is_error()).count()), (1, 1), "{shown}");
    for expected in [
        "did you mean `requires`",
        "unknown key `colour`",
        "`host` has no effect in a bindle",
        "route `x` never matches",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(shown.contains("`bindleVersion` is missing"));
    let strict = BindleConfig { strict: true, ..bindle() };
    let (entries, _) = read_invoice("invoice.toml", (HEAD.to_owned() + &text).into_bytes(), &strict);
    assert!(entries.is_empty());
}

/// For any bytes the reader ends, and every problem can be rendered.
#[test]
fn damaged_invoices_never_panic() {
    let whole = HEAD.to_owned()
        + &program_with("requires = ['g']")
        + &asset("f", '2', "memberOf = ['g'], requires = ['h']")
        + &asset("d/é", '3', "memberOf = ['h']");
    for from in (0..whole.len()).step_by(5).filter(|at| whole.is_char_boundary(*at)) {
        for (piece, length) in [("", 1), ("", 9), ("'", 0), ("[", 1), ("\n", 4), ("=", 2), ("\0", 1), ("é", 0)] {
            let to = whole.get(..from + length).map_or(from, str::len);
            let mut text = whole.clone();
            text.replace_range(from..to, piece);
            for problem in read(&text).1 {
                assert!(problem.render(false).contains(" invoice.toml:"), "{problem:?}");
            }
        }
    }
}
