//! The program as it is started: options, environment variables, exit codes, and what is said where.

use std::collections::HashSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::guest::{hello, probe};
use crate::support::http1::Connection;
use crate::support::output::{stderr, stdout};
use crate::support::process::{Wagi, command, output, run};
use crate::support::site::Site;
use crate::support::tls::fixture;

/// Environment variables set for one run of `wagi`, which is expected to end by itself.
fn run_with(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    output(command(directory).envs(variables.iter().copied()).args(arguments)).expect("wagi can be started")
}

#[test]
fn the_ready_line_names_the_url_with_the_port_that_was_found() {
    let wagi = Site::new().text_module("/", &hello(), "").start(&[]);
    assert_eq!(wagi.output(), format!("Ready: serving on {}\n", wagi.url()));
    assert!(wagi.url().starts_with("http://127.0.0.1:") && wagi.address().port() != 0, "{}", wagi.url());
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello");
}

#[test]
fn an_ipv6_address_is_listened_on() {
    let site = Site::new().text_module("/", &hello(), "");
    site.write();
    let wagi = Wagi::spawn(command(site.path()).args(["-c", "modules.toml", "-l", "[::1]:0"]));
    assert!(wagi.url().starts_with("http://[::1]:"), "{}", wagi.url());
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello");
}

#[test]
fn one_module_is_served_at_every_path() {
    let site = Site::new();
    site.file("hello.wat", hello());
    let wagi = Wagi::start_one(site.path(), "hello.wat");
    let mut connection = Connection::open(wagi.address());
    for path in ["/", "/a", "/a/b?c=d"] {
        assert_eq!(connection.get(path).text(), "hello", "{path}");
    }
    assert_eq!(connection.get("/healthz").text(), "OK");

    let wagi = Wagi::start_one(site.path(), probe().to_str().expect("a path in UTF-8"));
    assert_eq!(Connection::open(wagi.address()).get("/args").text(), "\"/args\"\n");
}

#[test]
fn a_command_line_that_makes_no_sense_exits_2_and_says_why() {
    let site = Site::new().text_module("/", &hello(), "");
    site.write();
    let (cert, key) = (fixture("ec.cert.pem"), fixture("ec.pkcs8.pem"));
    let rows: &[(&[&str], &str)] = &[
        (&["-c", ""], "what to serve is missing"),
        (&["--bindle-url", "http://b"], "what to serve is missing"),
        (&["-c", "modules.toml", "-b", "a/1.0.0"], "only one can be served"),
        (&["guest0.wat", "-c", "modules.toml"], "only one can be served"),
        (&["-c", "missing.toml"], "`missing.toml` does not exist"),
        (&["-c", "."], "`.` is not a regular file"),
        (&["missing.wasm"], "`missing.wasm` does not exist"),
        (&["-b", "a/1.0.0"], "--bindle needs"),
        (&["-b", "a/1.0.0", "--bindle-path", ".", "--bindle-url", "http://b"], "one place only"),
        (&["-b", "a/1.0.0", "--bindle-path", "missing"], "not an existing directory"),
        (&["-b", "a/1.0.0", "--bindle-url", "http://b", "--bindle-http-user", "me"], "need each other"),
        (&["-b", "a/1.0.0", "--bindle-url", "http://b", "--bindle-http-password", "pw"], "need each other"),
        (&["-c", "modules.toml", "--tls-cert", &cert], "--tls-key"),
        (&["-c", "modules.toml", "--tls-key", &key], "--tls-cert"),
        (&["-c", "modules.toml", "-l", "localhost:3000"], "write `127.0.0.1:3000`"),
        (&["-c", "modules.toml", "-l", "127.0.0.1"], "such as `127.0.0.1:3000`"),
        (&["-c", "modules.toml", "-e", "NAME"], "no `=`"),
        (&["-c", "modules.toml", "-e", "=value"], "no name"),
        (&["-c", "modules.toml", "--log-format", "xml"], "json"),
        (&["-c", "modules.toml", "--no-such-flag"], "--no-such-flag"),
    ];
    for (arguments, message) in rows {
        let output = run(site.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn environment_variables_stand_in_for_options_and_yield_to_them() {
    let site = Site::new().text_module("/", &hello(), "");
    site.write();
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a str);
    let usage: &[Row<'_>] = &[
        (&[("WAGI_TLS_CERT", "c")], &["-c", "modules.toml"], "WAGI_TLS_KEY"),
        (&[("WAGI_TLS_KEY", "k")], &["-c", "modules.toml"], "WAGI_TLS_CERT"),
        (&[("BINDLE_URL", "")], &["-b", "a/1.0.0"], "--bindle needs"),
        (&[("BINDLE_HTTP_USER", "me"), ("BINDLE_URL", "http://b/v1")], &["-b", "a/1.0.0"], "need each other"),
    ];
    for (variables, arguments, message) in usage {
        let output = run_with(site.path(), variables, arguments);
        assert_eq!(output.status.code(), Some(2), "{variables:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{variables:?}: {}", stderr(&output));
    }
    // A location without a bindle is of no interest, and an option beats BINDLE_URL.
    let url = [("BINDLE_URL", "http://b/v1"), ("WAGI_TLS_CERT", ""), ("WAGI_LOG_DIR", "")];
    let output = run_with(site.path(), &url, &["-c", "modules.toml", "--check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = run_with(site.path(), &url, &["-b", "a/1.0.0", "--bindle-path", "."]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));

    let serve = ["-l", "127.0.0.1:0", "-c", "modules.toml"];
    drop(Wagi::spawn(command(site.path()).env("WAGI_LOG_DIR", "from-variable").args(serve)));
    assert!(site.path().join("from-variable/index.tsv").is_file());
    let typed = [&serve[..], &["--log-dir", "typed"]].concat();
    drop(Wagi::spawn(command(site.path()).env("WAGI_LOG_DIR", "not-this").args(typed)));
    assert!(site.path().join("typed/index.tsv").is_file() && !site.path().join("not-this").exists());
    // Looking leaves nothing behind.
    run_with(site.path(), &[("WAGI_LOG_DIR", "looked")], &["-c", "modules.toml", "--check"]);
    assert!(!site.path().join("looked").exists());
}

#[test]
fn bindles_that_cannot_be_had_are_refused() {
    let directory = Site::new();
    for (arguments, message) in [
        (["-b", "a/1.0.0", "--bindle-path", "."], "there is no bindle `a/1.0.0` in `.`"),
        (["-b", "a/1.0", "--bindle-path", "."], "`1.0` in `a/1.0` is not a version"),
        (["-b", "a/1.0.0", "--bindle-url", "http://127.0.0.1:1/v1"], "cannot fetch the invoice of bindle `a/1.0.0`"),
    ] {
        let output = run(directory.path(), &arguments);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
}

#[test]
fn all_errors_of_a_configuration_are_reported_in_one_go() {
    let site = Site::new()
        .text_module("/broken", "(module (func (export \"_start\") (i32.add)))", "")
        .text_module("/entry", "(module (func (export \"other\")))", "entrypoint = 'handle'")
        .text_module("/import", "(module (import \"env\" \"magic\" (func)) (func (export \"_start\")))", "")
        .text_module("/no-text", "(module", "")
        .text_module("/volume", &hello(), "volumes = { '/' = 'missing' }")
        .module("/gone", Path::new("gone.wasm"), "")
        .text_module("/number", &hello(), "argv = 7")
        .text_module("/good", &hello(), "rout = 'typo'");
    let output = site.run(&[]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    let shown = stderr(&output);
    let errors: Vec<&str> = shown.split("\n\n").collect();
    // Each entry takes five lines: header, route, module, one more key or nothing, a blank one.
    let rows: &[&[&str]] = &[
        &["error:", "`/broken`", "guest0.wat", "modules.toml:3:10", "type mismatch"],
        &["error:", "`/entry`", "guest1.wat", "modules.toml:9:14", "`handle`", "exports `other`"],
        &["error:", "`/import`", "guest2.wat", "modules.toml:13:10", "`env.magic`"],
        &["error:", "`/no-text`", "guest3.wat", "modules.toml:18:10"],
        &["error:", "`missing`", "modules.toml:24:19", "volumes = {"],
        &["error:", "`gone.wasm`", "modules.toml:28:10"],
        &["error:", "`argv`", "modules.toml:34:8"],
        &["warning:", "`rout`", "modules.toml:39:1", "did you mean `route`?"],
    ];
    for parts in rows {
        let matching = errors.iter().filter(|error| parts.iter().all(|part| error.contains(part))).count();
        assert_eq!(matching, 1, "{parts:?} in\n{shown}");
    }
    assert_eq!(shown.matches("error:").count(), 7, "{shown}");
}

#[test]
fn a_busy_port_exits_1_and_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let site = Site::new();
    site.file("hello.wat", hello());
    let output = run(site.path(), &["hello.wat", "-l", &address]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    assert!(stderr(&output).contains(&format!("address {address} is already in use")), "{}", stderr(&output));
    assert!(stderr(&output).contains("help: stop the other program"), "{}", stderr(&output));
}

#[test]
fn check_prints_the_routes_in_the_order_they_are_tried_and_does_not_serve() {
    let greet = include_str!("../../examples/greet.wat");
    let site = Site::new().text_module("/greet", greet, "").text_module("/...", &hello(), "");
    let output = site.run(&["--check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let routes: Vec<String> =
        stdout(&output).lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(routes, ["/healthz", "/greet/goodbye/...", "/greet/hello", "/greet", "/..."]);
    let modules: HashSet<String> =
        stdout(&output).lines().filter_map(|line| line.rsplit('/').next().map(str::to_owned)).collect();
    assert!(modules.contains("guest0.wat") && modules.contains("guest1.wat"), "{}", stdout(&output));

    let output = site.module("/gone", Path::new("gone.wasm"), "").run(&["--check"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
}

#[test]
fn an_unknown_key_is_a_warning_and_with_strict_an_error() {
    let site = Site::new().text_module("/", &hello(), "entrypont = '_start'");
    for (arguments, code, level) in [(&["--check"][..], 0, "warning:"), (&["--check", "--strict"], 1, "error:")] {
        let output = site.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(&format!("{level} unknown key `entrypont`")), "{}", stderr(&output));
        assert!(stderr(&output).contains("did you mean `entrypoint`?"), "{}", stderr(&output));
    }
}

#[test]
fn the_name_given_stands_in_for_a_host_the_client_does_not_send() {
    for option in ["--hostname", "--default-host"] {
        let wagi = Site::probe("").start(&[option, "example.com:81"]);
        let mut connection = Connection::open(wagi.address());
        connection.send("GET /env HTTP/1.0\r\n\r\n");
        let answer = connection.answer().text();
        assert!(answer.contains("SERVER_NAME=example.com\n") && answer.contains("SERVER_PORT=81\n"), "{answer}");
    }
}

#[test]
fn variables_come_from_files_and_options_and_never_from_the_servers_own_environment() {
    let site = Site::probe("environment = { FIRST = 'module', FOURTH = 'four' }");
    site.file("one.env", "FIRST=1\nSECOND=2\n");
    site.file("two.env", "# of the second\nSECOND = \"two\"\n");
    site.write();
    let wagi = Wagi::spawn(command(site.path()).env("FIFTH", "host").args([
        "-c",
        "modules.toml",
        "-l",
        "127.0.0.1:0",
        "--env-file",
        "one.env",
        "two.env",
        "--env",
        "THIRD='3 3'",
        "A=b",
    ]));
    let answer = Connection::open(wagi.address()).get("/env").text();
    for line in ["FIRST=1\n", "SECOND=two\n", "THIRD=3 3\n", "FOURTH=four\n", "A=b\n"] {
        assert!(answer.contains(&format!("\n{line}")) || answer.starts_with(line), "{line}: {answer}");
    }
    assert!(!answer.contains("FIFTH") && !answer.contains("\nPATH="), "{answer}");

    let output = site.run(&["--env-file", "missing.env"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("missing.env"), "{}", stderr(&output));
}

#[test]
fn values_of_variables_never_appear_in_what_the_server_says() {
    const SECRETS: [&str; 3] = ["swordfish-option", "swordfish-file", "swordfish-module"];
    let environment = format!("environment = {{ THREE = '{}' }}", SECRETS[2]);
    let site = Site::new().text_module("/...", include_str!("../../examples/env.wat"), &environment);
    site.file("secrets.env", format!("TWO={}\n", SECRETS[1]));
    site.write();
    for format in ["text", "json"] {
        let mut wagi = Wagi::spawn(command(site.path()).env("RUST_LOG", "trace").args([
            "-c",
            "modules.toml",
            "-l",
            "127.0.0.1:0",
            "--log-format",
            format,
            "--env-file",
            "secrets.env",
            "--env",
            &format!("ONE={}", SECRETS[0]),
        ]));
        let answer = Connection::open(wagi.address()).get("/").text();
        wagi.signal("TERM");
        wagi.ended();
        wagi.logged(&["stopping"]);
        let said = wagi.log() + &wagi.output();
        assert!(said.contains("TRACE") || said.contains("\"level\":\"trace\""), "trace is on: {said}");
        for secret in SECRETS {
            assert!(answer.contains(secret), "the guest gets it: {answer}");
            assert!(!said.contains(secret), "{secret} is in {said}");
        }
    }
}

#[test]
fn standard_error_goes_to_a_file_named_by_the_hash_of_its_route() {
    const ROUTES: [(&str, &str); 3] = [
        ("/hello", "13a7bc88b63d361f5752d7ef3f5c96cd262ef580e6f435cced6bd10ec82842b0"),
        ("/static/...", "d6be14a4dca778e1268075b80c1eb146da34f7da829683491b9dc33083e34932"),
        ("/foo/...", "bb1fa14fb92de66d3b469dc3978640d6c603cdfa79913d5d0f204db8477b305f"),
    ];
    let mut site = Site::new();
    for (route, _) in ROUTES {
        site = site.module(route, &probe(), "");
    }
    let wagi = site.start(&["--log-dir", "logs/guests"]);
    let logs = wagi.directory().join("logs/guests");
    let index = std::fs::read_to_string(logs.join("index.tsv")).expect("there is an index");
    assert_eq!(index, ROUTES.map(|(route, hash)| format!("{hash}\t{route}\n")).concat());

    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/foo/log?first%00line").text(), "logged\n");
    assert_eq!(connection.get("/foo/log?second").text(), "logged\n");
    let file = logs.join(ROUTES[2].1).join("module.stderr");
    crate::support::eventually(|| {
        // As the guest printed it: no time, no tags, and every byte.
        (std::fs::read(&file).expect("the file is there") == b"first\0line\nsecond\n").then_some(())
    });
    wagi.logged(&["stderr \"first\\u0000line\"", "route=\"/foo/...\""]);
    let other = std::fs::read(logs.join(ROUTES[0].1).join("module.stderr")).expect("the file is there");
    assert_eq!(other, b"");
}

#[test]
fn every_line_of_a_json_log_is_an_object() {
    let site = Site::probe("");
    let mut wagi = site.start(&["--log-format", "json"]);
    let mut connection = Connection::open(wagi.address());
    connection.get("/log?a%22b%0Ac%1b");
    connection.get("/%22quoted%22?x=%00");
    connection.get("/trap");
    connection.get("/exit?3");
    wagi.signal("TERM");
    wagi.ended();
    wagi.logged(&["stopping"]);
    let lines: Vec<Value> = wagi
        .log()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let access: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "access").collect();
    assert_eq!(access.len(), 4, "{lines:#?}");
    assert_eq!((&access[0]["status"], &access[0]["end"]), (&Value::from(200), &Value::from("ok")));
    assert_eq!((&access[2]["status"], &access[2]["end"]), (&Value::from(500), &Value::from("trap")));
    assert_eq!((&access[3]["end"], &access[3]["route"]), (&Value::from("exit"), &Value::from("/...")));
    let texts: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "stderr").map(|line| &line["text"]).collect();
    assert!(texts.contains(&&Value::from("a\"b")) && texts.contains(&&Value::from("c\u{1b}")), "{texts:?}");
    assert!(access.iter().all(|line| line["request_id"].as_str().is_some_and(|id| id.len() == 16)));
}

#[test]
fn help_and_version_are_printed_on_stdout() {
    let site = Site::new();
    let version = run(site.path(), &["-V"]);
    assert_eq!(stdout(&version), format!("WAGI Server {}\n", env!("CARGO_PKG_VERSION")));
    let help = run(site.path(), &["--help"]);
    assert!(stdout(&help).contains("--env-file") && stdout(&help).contains("WAGI_LOG_DIR"));
    for output in [version, help] {
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    }
}

#[test]
fn without_arguments_the_configuration_of_the_directory_is_served() {
    for words in [&["-l", "127.0.0.1:0"][..], &["serve", "-l", "127.0.0.1:0"]] {
        let site = Site::new().text_module("/", &hello(), "");
        site.write();
        let wagi = Wagi::spawn(command(site.path()).args(words));
        assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello", "{words:?}");
    }
    let site = Site::new().text_module("/", &hello(), "");
    site.write();
    for words in [&["--check"][..], &["serve", "--check"], &["serve", "-c", "modules.toml", "--check"]] {
        let output = run(site.path(), words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", stderr(&output));
        assert!(stdout(&output).contains("\n/\t"), "{words:?}");
    }
}

#[test]
fn in_a_directory_with_nothing_to_serve_it_is_said_what_can_be_typed() {
    let site = Site::new();
    for words in [&[][..], &["serve"]] {
        let output = run(site.path(), words);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{words:?}");
        let shown = stderr(&output);
        assert!(shown.starts_with("error: what to serve is missing: "), "{shown}");
        for line in [
            "  wagi FILE.wasm      serves one module or component",
            "  wagi --config FILE  serves what a modules.toml lists",
        ] {
            assert!(shown.lines().any(|found| found == line), "{line}: {shown}");
        }
    }
    site.file("only.wasm", "");
    let output = run(site.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("there is one module here: did you mean `wagi only.wasm`?"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn version_names_the_engine_and_the_system() {
    let site = Site::new();
    let text = stdout(&run(site.path(), &["version"]));
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_once(' ')).map(|(name, _)| name).collect();
    assert_eq!(names, ["WAGI", "wasmtime", "features", "target"], "{text}");
    let report: Value =
        serde_json::from_str(&stdout(&run(site.path(), &["version", "--format", "json"]))).expect("JSON");
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert!(report["target"].as_str().expect("a system").starts_with(std::env::consts::ARCH), "{report}");
    assert!(report["features"].is_array() && report["wasmtime"].as_str().expect("a version").contains('.'), "{report}");
}
