//! Manifests of Spin, as people write them: what they become, what is said about the rest, and that the result runs.

use std::fs;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;
use wagi::observe::sha256_hex;

use crate::support::guest::component;
use crate::support::http1::Connection;
use crate::support::output::text;
use crate::support::process::{self, Wagi};

/// A guest that prints its arguments, its variables and the directories that it has, each ended by NUL.
fn telling(entrypoint: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $dir_name (param i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const 1000) "Content-Type: text/plain\n\n")
            (func $print (param $at i32) (param $length i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $length))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func (export "{entrypoint}")
                (local $fd i32)
                (call $print (i32.const 1000) (i32.const 26))
                (drop (call $args_sizes (i32.const 16) (i32.const 20)))
                (drop (call $args (i32.const 2000) (i32.const 8192)))
                (call $print (i32.const 8192) (i32.load (i32.const 20)))
                (drop (call $environ_sizes (i32.const 24) (i32.const 28)))
                (drop (call $environ (i32.const 16384) (i32.const 24576)))
                (call $print (i32.const 24576) (i32.load (i32.const 28)))
                (local.set $fd (i32.const 3))
                (block $over
                    (loop $next
                        (br_if $over (call $prestat (local.get $fd) (i32.const 32)))
                        (drop (call $dir_name (local.get $fd) (i32.const 70000) (i32.load (i32.const 36))))
                        (i32.store8 (i32.add (i32.const 70000) (i32.load (i32.const 36))) (i32.const 0))
                        (call $print (i32.const 70000) (i32.add (i32.load (i32.const 36)) (i32.const 1)))
                        (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
                        (br $next)))))"#
    )
}

/// A directory with a manifest and what belongs to it.
struct Application {
    directory: TempDir,
}

impl Application {
    fn new(name: &str) -> Self {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spin").join(name).join("spin.toml");
        let manifest = fs::read_to_string(kept).expect("a manifest");
        let application = Self { directory: tempfile::tempdir().expect("a directory") };
        // The digest of what this test puts in place of a download.
        application.file("spin.toml", manifest.replace("DIGEST", &sha256_hex(telling("_start").as_bytes())))
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        fs::write(path, content).expect("a file");
        self
    }

    fn program(self, name: &str) -> Self {
        self.file(name, telling("_start"))
    }

    fn import(&self, arguments: &[&str]) -> Output {
        process::run(self.directory.path(), &[&["import", "spin.toml"], arguments].concat())
    }

    /// Imports, and serves what was written. It has these lines, and these notes were printed in this order, and no more.
    fn serve(&self, lines: &[&str], notes: &[&str], variables: &[(&str, &str)]) -> Wagi {
        let output = self.import(&[]);
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success(), "{said}");
        let written = fs::read_to_string(self.directory.path().join("modules.toml")).expect("it was written");
        for line in lines {
            assert!(written.lines().any(|found| found == *line), "{line} is not in {written}");
        }
        let found: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
        assert_eq!(found.len(), notes.len(), "{said}");
        for (found, note) in found.iter().zip(notes) {
            assert!(found.contains(note), "{note}: {said}");
        }
        // Each has its place and its cure.
        assert_eq!(said.matches("--> spin.toml:").count(), notes.len(), "{said}");
        assert_eq!(said.matches("= help: ").count(), notes.len(), "{said}");
        let mut command = process::command(self.directory.path());
        command.args(["-l", "127.0.0.1:0", "-c", "modules.toml", "--strict"]).envs(variables.iter().copied());
        Wagi::spawn(&mut command)
    }
}

/// The parts that a guest has printed.
fn told(wagi: &Wagi, path: &str) -> Vec<String> {
    let answer = Connection::open(wagi.address()).get(path);
    assert_eq!(answer.status, 200, "{path}: {}", wagi.log());
    answer.text().split('\0').map(str::to_owned).collect()
}

fn has(told: &[String], parts: &[&str]) {
    for part in parts {
        assert!(told.iter().any(|found| found == part), "{part} is not in {told:#?}");
    }
}

#[test]
fn a_first_program_runs() {
    let application = Application::new("hello").program("main.wasm");
    let lines = ["# Made from the spin.toml of `hello` by `wagi import`.", "route = \"/\"", "module = \"main.wasm\""];
    let wagi = application.serve(&lines, &[], &[]);
    has(&told(&wagi, "/"), &["REQUEST_METHOD=GET", "SCRIPT_NAME=/"]);
    assert_eq!(Connection::open(wagi.address()).get("/other").status, 404);
}

#[test]
fn an_interpreter_gets_its_arguments_variables_and_directories() {
    let application =
        Application::new("ruby").program("ruby/usr/local/bin/ruby").file("lib/hello.rb", "").file(".gem/a", "");
    let lines = [
        "module = \"ruby/usr/local/bin/ruby\"",
        "argv = \"${SCRIPT_NAME} -v /lib/hello.rb ${SCRIPT_NAME} ${ARGS}\"",
        "\"/usr\" = { path = \"ruby/usr\", read_only = true }",
        "\"GEM_HOME\" = \"/.gem\"",
    ];
    let wagi = application.serve(&lines, &[], &[]);
    let told = told(&wagi, "/?a=1&b=2");
    assert_eq!(&told[..6], ["/", "-v", "/lib/hello.rb", "/", "a=1", "b=2"]);
    has(&told, &["HOME=/", "GEM_HOME=/.gem", "/lib", "/.gem", "/usr"]);
}

#[test]
fn hosts_and_a_base_path_are_taken_along() {
    let application = Application::new("outbound")
        .program("target/wasm32-wasi/release/forecast.wasm")
        .program("target/wasm32-wasi/release/other.wasm");
    let lines = [
        "route = \"/api/forecast\"",
        "route = \"/api/...\"",
        "allowed_hosts = [\"https://api.example.net\", \"postman-echo.example:8080\"]",
        "allowed_hosts = [\"insecure:allow-all\"]",
    ];
    let wagi = application.serve(&lines, &[], &[]);
    has(&told(&wagi, "/api/forecast"), &["X_MATCHED_ROUTE=/api/forecast"]);
    has(&told(&wagi, "/api/x/y"), &["X_MATCHED_ROUTE=/api/...", "PATH_INFO=/x/y"]);
}

#[test]
fn a_file_server_becomes_files_and_a_download_has_to_be_there() {
    let application = Application::new("site").program("redirect.wasm").file("static/index.html", "<h1>hello</h1>");
    let lines = ["[[static]]", "directory = \"static\"", "module = \"redirect.wasm\""];
    let notes = ["component `missing` has no route", "this component becomes `[[static]]`"];
    let wagi = application.serve(&lines, &notes, &[]);
    has(&told(&wagi, "/"), &["DESTINATION=/static/index.html", "PRICE=${5}"]);
    assert_eq!(Connection::open(wagi.address()).get("/static/index.html").text(), "<h1>hello</h1>");
}

#[test]
fn another_entry_point_and_files_by_pattern() {
    let application = Application::new("entrypoint")
        .file("modules/env_wagi.wasm", telling("serve-wagi"))
        .file("content/drafts/a", "")
        .file("templates/a", "")
        .file("notes.txt", "");
    let lines = ["entrypoint = \"serve-wagi\"", "\"/content\" = { path = \"content\", read_only = true }"];
    let notes = [
        "of `templates/*`, the program sees all of the directory `templates`",
        "`notes.txt` is left out: the program would see everything beside the manifest",
        "`exclude_files` has no effect",
    ];
    let wagi = application.serve(&lines, &notes, &[]);
    let told = told(&wagi, "/a/b?c&d");
    assert_eq!(&told[..5], ["test", "/a/b", "c", "d", "done"]);
    has(&told, &["/content", "/templates"]);
}

#[test]
fn an_application_of_several_components_runs_without_what_is_not_provided() {
    let application = Application::new("shop").program("target/wasm32-wasip1/release/orders.wasm");
    let pages = fs::read(component("http-probe.wasm")).expect("a component");
    let application = application.file("pages.wasm", pages);
    let lines = [
        "build = \"cargo build --target wasm32-wasip1 --release\"",
        "watch = [\"src\", \"Cargo.toml\"]",
        "\"MODE\" = \"${SPIN_VARIABLE_GREETING:-welcome} 100% $HOME\"",
        "\"KEY\" = \"${SPIN_VARIABLE_API_KEY}\"",
    ];
    let notes = [
        "component `prices` is private",
        "components with a trigger of the kind `redis` are left out",
        "`/orders/:id` becomes `/orders/...`",
        "Spin's interface for key-value stores is not provided",
        "the variable `key` becomes `KEY` of the environment",
        "`api_key` comes from `SPIN_VARIABLE_API_KEY` of the server's environment",
        "`postgres://db.example.net:5432` is left out: `postgres` is not spoken",
        "`http://prices.spin.internal` is left out",
    ];
    let wagi = application.serve(&lines, &notes, &[("SPIN_VARIABLE_API_KEY", "k-1")]);
    has(&told(&wagi, "/orders"), &["KEY=k-1", "MODE=welcome 100% $HOME", "X_MATCHED_ROUTE=/orders"]);
    has(&told(&wagi, "/orders/7"), &["PATH_INFO=/7", "X_MATCHED_ROUTE=/orders/..."]);
    assert_eq!(Connection::open(wagi.address()).get("/request").status, 200);
}

#[test]
fn responses_without_a_program_and_programs_for_an_older_interface_are_told() {
    let application = Application::new("fixed").program("hello.wasm").program("old.wasm");
    let notes = [
        "this response without a program is left out",
        "this response without a program is left out",
        "`old.wasm` is a module that Spin calls through an interface of its own",
    ];
    let said = String::from_utf8(application.import(&["--output", "-"]).stderr).expect("text");
    for help in [
        "serve a file with its body by `[[static]]`",
        "wagi answers 404 where no entry matches",
        "for WASI 0.2 or 0.3 as they were released",
    ] {
        assert!(said.contains(help), "{help}: {said}");
    }
    let wagi = application.serve(&["route = \"/hello\""], &notes, &[]);
    has(&told(&wagi, "/hello"), &["SCRIPT_NAME=/hello"]);
    for path in ["/version", "/nothing"] {
        assert_eq!(Connection::open(wagi.address()).get(path).status, 404, "{path}");
    }
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_asked_for() {
    let application = Application::new("hello").program("main.wasm").file("modules.toml", "# mine\n");
    let refused = application.import(&[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("`modules.toml` is there already") && said.contains("--force"), "{said}");
    let path = application.directory.path().join("modules.toml");
    assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n");
    let printed = application.import(&["--output", "-"]);
    let text = String::from_utf8(printed.stdout).expect("text");
    assert!(
        printed.status.success() && text.contains("[[module]]") && text.contains("module = \"main.wasm\""),
        "{text}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n");
    assert!(application.import(&["--force"]).status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(application.import(&["-o", "other.toml"]).status.success());
}

#[test]
fn what_is_no_manifest_is_said_with_its_place() {
    for (text, parts) in [
        ("[[module]]\nroute = '/'\n", &["no manifest of Spin", "wagi -c modules.toml"][..]),
        ("spin_manifest_version = 3\n", &["version that is not known here", "spin.toml:1"]),
        ("spin_manifest_version = \n", &["not valid TOML", "spin.toml:1"]),
        (
            "spin_manifest_version = 2\n[[trigger.http]]\nroute = '/'\ncomponent = 'a'\n",
            &["there is no component `a`", "spin.toml:4", "add `[component.a]`"],
        ),
        (
            "spin_manifest_version = 2\n[[trigger.redis]]\nchannel = 'a'\n",
            &["`redis` are left out", "no component of this manifest answers HTTP"],
        ),
        (
            "spin_manifest_version = 2\n[[trigger.http]]\nroute = 3\ncomponent = {}\n",
            &["`route` must be a string", "spin.toml:3"],
        ),
        ("spin_manifest_version = 2\n[[trigger.http]]\nroute = '/'\ncomponent = {}\n", &["has no `source`"]),
        (
            "spin_manifest_version = 2\n[[trigger.http]]\nroute = '/'\n",
            &["this trigger names no component", "spin.toml:2", "write `component = \"ID\"`"],
        ),
        (
            "spin_manifest_version = 2\nname = \"\\u001b[2J\"\n[trigger]\nhttp = 3\n",
            &["`trigger.http` must be an array"],
        ),
    ] {
        let application = Application::new("hello").file("spin.toml", text);
        let output = application.import(&[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)) && !said.contains('\u{1b}'), "{text}: {said}");
        assert!(!application.directory.path().join("modules.toml").exists());
    }
}

/// What Spin's own templates say of their builds.
#[test]
fn builds_of_several_commands_and_sources_by_ending_are_taken_along() {
    let site = tempfile::tempdir().expect("a temporary directory");
    for (build, expected, note) in [
        (
            "command = 'make'\nwatch = ['*.py', 'requirements.txt']",
            &["watch = [\".\", \"requirements.txt\"]"][..],
            None,
        ),
        ("command = ['npm install', 'npm run build']", &["build = \"npm install && npm run build\""], None),
        ("command = 'make'\nworkdir = 'app'\nwatch = ['**/*.go']", &["watch = [\"app/\"]"], None),
        ("command = 7", &[], Some("`command` is neither a text nor a list of texts")),
    ] {
        let manifest = format!(
            "spin_manifest_version = 2\n[application]\nname = 'a'\n[[trigger.http]]\nroute = '/'\ncomponent = 'a'\n\
             [component.a]\nsource = 'a.wasm'\n[component.a.build]\n{build}\n"
        );
        fs::write(site.path().join("spin.toml"), manifest).expect("writable");
        let found = process::run(site.path(), &["import", "spin.toml", "--output", "-"]);
        let (printed, said) = (text(&found.stdout), text(&found.stderr));
        for line in expected {
            assert!(printed.contains(line), "{line}: {printed}{said}");
        }
        assert!(note.is_none_or(|note| said.contains(note)), "{said}");
    }
}
