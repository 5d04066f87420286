//! Scripts with the other keys of an entry, with reloads, and with what cannot be.

use crate::scripts::{INTERPRETER, SCRIPTS, ask, tree};
use crate::support::guest::{component, escaped, printing, probe};
use crate::support::http1::Connection;
use crate::support::registry::Done;

#[test]
fn hosts_choose_between_directories() {
    let site = tree();
    site.file("other/index.php", "run other");
    let other = "scripts = { directory = 'other', extensions = ['php'] }\nhost = 'other.example'";
    let wagi = site.text_module("/...", INTERPRETER, other).text_module("/...", INTERPRETER, SCRIPTS).start(&[]);
    for (host, body) in [("localhost", "run index.php"), ("other.example", "run other")] {
        let mut connection = Connection::open(wagi.address());
        connection.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(connection.answer().text(), body);
    }
}

/// Several paths name a file, and a route is compared with one of them.
#[test]
fn no_spelling_of_a_file_leads_past_the_route_before_it() {
    let gate = printing("Content-Type: text/plain\n\ngate");
    let of = |keys: &str| tree().text_module("/app/...", &gate, "").text_module("/...", INTERPRETER, keys).start(&[]);
    let files = tree().text_module("/app/...", &gate, "").start(&[]);
    let manifest = files.directory().join("modules.toml");
    let with_files = std::fs::read_to_string(&manifest).expect("readable");
    std::fs::write(&manifest, with_files + "[[static]]\nroute = '/...'\ndirectory = 'www'\n").expect("writable");
    files.signal("HUP");
    files.logged(&["reloaded generation=2 "]);
    for (wagi, other) in
        [(of(SCRIPTS), "/blog.php"), (of(&format!("{SCRIPTS}\nstatic = true")), "/style.css"), (files, "/style.css")]
    {
        for target in ["/app/", "/app/deep/page.php", "/app/%64eep/page.php"] {
            assert_eq!(ask(&wagi, "GET", target).text(), "gate", "{target}");
        }
        for target in ["//app/deep/page.php", "/%61pp/deep/page.php", "/a%70p/", "/%61pp", "//app//deep/page.php"] {
            assert_eq!(ask(&wagi, "GET", target).status, 404, "{target}");
        }
        for target in [other.to_owned(), format!("/{other}"), other.replace('l', "%6C")] {
            assert_eq!(ask(&wagi, "GET", &target).status, 200, "{target}");
        }
    }
}

#[test]
fn limits_hold_for_scripts_and_not_for_what_starts_no_guest() {
    let keys = format!("{SCRIPTS}\nstatic = true\nlimits = {{ concurrency = 1 }}");
    let wagi = tree().top("[limits]\nqueue = 0").module("/...", &probe(), &keys).start(&[]);
    let mut holding = Connection::begin(wagi.address(), "/blog.php/sleep?60000");
    assert_eq!(holding.head().status, 200);
    let mut connection = Connection::open(wagi.address());
    for (target, status) in
        [("/blog.php/args", 503), ("/style.css", 200), ("/missing.php", 404), ("/app", 301), ("/source.txt", 404)]
    {
        assert_eq!(connection.get(target).status, status, "{target}");
    }
}

#[test]
fn a_reload_changes_directory_and_extensions() {
    let site = tree();
    site.file("next/index.phtml", "run next");
    let wagi = site.text_module("/...", INTERPRETER, SCRIPTS).start(&[]);
    assert_eq!(ask(&wagi, "GET", "/").text(), "run index.php");
    let manifest = wagi.directory().join("modules.toml");
    let before = std::fs::read_to_string(&manifest).expect("readable");
    let next = before.replace("directory = 'www', extensions = ['php']", "directory = 'next', extensions = ['phtml']");
    std::fs::write(&manifest, next).expect("writable");
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=2 "]);
    assert_eq!(ask(&wagi, "GET", "/").text(), "run next");
    assert_eq!(ask(&wagi, "GET", "/blog.php").status, 404);
    // Another directory in the place of the first is another one.
    std::fs::rename(wagi.directory().join("next"), wagi.directory().join("gone")).expect("it can be renamed");
    std::fs::create_dir(wagi.directory().join("next")).expect("it can be made");
    std::fs::write(wagi.directory().join("next/index.phtml"), "run anew").expect("writable");
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=3 "]);
    assert_eq!(ask(&wagi, "GET", "/").text(), "run anew");
}

#[test]
fn sub_routes_come_first_and_run_no_script() {
    let own = "Content-Type: text/plain\n\nown";
    let list = "/own on_own\n";
    let body = INTERPRETER.trim_end().strip_suffix(')').expect("a module");
    let module = format!(
        r#"{body}
        (data (i32.const 512) "{}") (data (i32.const 600) "{}")
        (func (export "_routes") (call $print (i32.const 600) (i32.const {})))
        (func (export "on_own") (call $print (i32.const 512) (i32.const {}))))"#,
        escaped(own.as_bytes()),
        escaped(list.as_bytes()),
        list.len(),
        own.len()
    );
    let site = tree();
    site.file("www/own", "never");
    let wagi = site.text_module("/...", &module, &format!("{SCRIPTS}\nstatic = true")).start(&[]);
    assert_eq!(ask(&wagi, "GET", "/own").text(), "own");
    assert_eq!(ask(&wagi, "GET", "/blog.php").text(), "run blog.php");
}

#[test]
fn a_component_that_is_asked_over_http_runs_no_scripts() {
    let site = tree().module("/...", &component("http-probe.wasm"), SCRIPTS);
    let printed = Done::from(Ok(site.run(&["--check"]))).stderr;
    for part in ["route `/...`: `scripts` is for interpreters", "modules.toml:4:", "help: "] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}

#[test]
fn a_component_that_is_run_through_wasi_cli_runs_scripts() {
    let wagi = tree().module("/...", &component("cli-probe.wasm"), SCRIPTS).start(&[]);
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/blog.php/args?-s").text(), "\"/www/blog.php\"\n");
    let text = connection.get("/blog.php/env").text();
    for line in ["SCRIPT_FILENAME=/www/blog.php", "PATH_TRANSLATED=/www/env", "REDIRECT_STATUS=200"] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn a_start_warns_of_scripts_that_guests_may_write() {
    let hello = printing("Content-Type: text/plain\n\nhello");
    for (volume, is_warned) in [
        ("'/up' = 'www/bare'", true),
        ("'/up' = '.'", true),
        ("'/up' = 'outside'", false),
        ("'/up' = { path = 'www/bare', read_only = true }", false),
    ] {
        let site = tree().text_module("/...", INTERPRETER, SCRIPTS);
        let site = site.text_module("/writer", &hello, &format!("volumes = {{ {volume} }}"));
        let done = Done::from(Ok(site.run(&["--check"])));
        assert_eq!(done.stderr.contains("guests may write scripts"), is_warned, "{volume}: {}", done.stderr);
    }
}

#[test]
fn a_start_warns_of_static_files_that_are_sources_of_scripts() {
    for (key, path, what) in [
        ("directory", "www", Some("directory contains")),
        ("directory", ".", Some("directory contains")),
        ("directory", "www/../www", Some("directory contains")),
        ("file", "www/blog.php", Some("file is one of the")),
        ("file", "www/source.txt", Some("file is one of the")),
        ("file", "www/style.css", None),
        ("directory", "outside", None),
        ("directory", "www/bare", None),
    ] {
        let site = tree().text_module("/...", INTERPRETER, SCRIPTS);
        let route = if key == "file" { "/files" } else { "/files/..." };
        let site = site.top(&format!("[[static]]\nroute = '{route}'\n{key} = '{path}'\n"));
        let done = Done::from(Ok(site.run(&["--check"])));
        let is_warned = done.stderr.contains("clients get the sources of scripts");
        assert_eq!(is_warned, what.is_some(), "{path}: {}", done.stderr);
        if let Some(what) = what {
            let warning = format!("since this {what} `scripts` of the route `/...` in line");
            let manifest = std::fs::read_to_string(site.path().join("modules.toml")).expect("it was written");
            let line = manifest.lines().position(|line| line.starts_with("scripts")).expect("the scripts") + 1;
            assert!(done.stderr.contains(&format!("{warning} {line}\n")), "{path}: {}", done.stderr);
            assert!(done.stderr.contains("modules.toml:3:"), "{path}: {}", done.stderr);
        }
    }
}
