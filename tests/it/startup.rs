//! What is done before the first request: initializers, and code that was compiled ahead of time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use wagi::observe::sha256_hex;
use wagi::startup::ahead_of_time;

use crate::support::guest::printing;
use crate::support::harness::Test;
use crate::support::http1::Connection;
use crate::support::output::stderr;
use crate::support::process::run;
use crate::support::site::Site;

/// A module that prints the digit at 100 of its memory, which is `-` until its initializer has computed it, and how often
/// `_start` was called on this instance. `more` is further fields; the initializer is `initializer`.
fn computing(initializer: &str, more: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\10\00\00\00\1c\00\00\00")
            (data (i32.const 16) "Content-Type: text/plain\n\n-0")
            (global $calls (mut i32) (i32.const 0))
            {more}
            {initializer}
            (func $main (export "_start")
                (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                (i32.store8 (i32.const 43) (i32.add (i32.const 48) (global.get $calls)))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    )
}

/// Computes 7 in a loop, so that nobody can have guessed it.
const SEVEN: &str = r#"(func (export "wizer.initialize") (local $i i32)
    (loop $more
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $i) (i32.const 7))))
    (i32.store8 (i32.const 42) (i32.add (i32.const 48) (local.get $i))))"#;

#[tokio::test]
async fn what_an_initializer_computes_is_there_for_every_request_and_what_a_request_does_is_not() {
    let module = computing(SEVEN, "");
    let hyphenated = module.replace("wizer.initialize", "wizer-initialize");
    let test = Test::new().module("/plain", &module, "").module("/ready", &module, "preinitialize = true");
    let running = test.module("/hyphen", &hyphenated, "preinitialize = true").start().await;
    for (path, text) in [("/plain", "-1"), ("/ready", "71"), ("/ready", "71"), ("/hyphen", "71"), ("/plain", "-1")] {
        assert_eq!(running.get(path).await.text(), text, "{path}");
    }
}

#[tokio::test]
async fn a_program_may_do_without_its_initializer() {
    let primes = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/primes.wat");
    let test = Test::new().file_module("/ready", &primes, "preinitialize = true").file_module("/plain", &primes, "");
    let running = test.start().await;
    for path in ["/ready", "/plain", "/ready"] {
        assert_eq!(running.get(path).await.text(), "148933 primes below 2000000\n", "{path}");
    }
}

/// Wizer's header for C exports what is to be called instead of `_start`.
#[tokio::test]
async fn a_module_that_wants_to_be_resumed_is() {
    let more = r#"(func (export "wizer.resume") (i32.store8 (i32.const 42) (i32.const 82)) (call $main))"#;
    let module = computing(SEVEN, more);
    let running = Test::new().module("/", &module, "preinitialize = true").start().await;
    assert_eq!(running.get("/").await.text(), "R1");
}

#[tokio::test]
async fn a_reactor_is_initialized_before_its_initializer_and_not_again() {
    let more = r#"(func (export "_initialize") (i32.store8 (i32.const 42) (i32.add (i32.load8_u (i32.const 42)) (i32.const 4))))
        (func (export "other") (call $main))
        (func (export "wizer.initialize") (i32.store8 (i32.const 42) (i32.add (i32.load8_u (i32.const 42)) (i32.const 5))))"#;
    let module = computing("", more);
    let test = Test::new().module("/", &module, "preinitialize = true\nentrypoint = 'other'");
    // `-` + 4 + 5
    assert_eq!(test.start().await.get("/").await.text(), "61");
}

#[tokio::test]
async fn a_module_that_cannot_be_initialized_is_refused_at_the_key_that_asks_for_it() {
    let import = r#"(import "env" "read" (func $read))"#;
    let rows = [
        ("", "", &["exports no function `wizer.initialize`", "leave `preinitialize` out"][..]),
        (r#"(func (export "wizer.initialize") (param i32))"#, "", &["takes and returns nothing"]),
        (r#"(func (export "wizer.initialize") unreachable)"#, "", &["initializer failed", "unreachable"]),
        (r#"(func (export "wizer.initialize") (call $exit (i32.const 3)))"#, "", &["exited with code 3"]),
        (r#"(func (export "wizer.initialize") (call $read))"#, import, &["unknown import", "`env::read`"]),
        (
            r#"(table 1 funcref) (func (export "wizer.initialize") (table.set (i32.const 0) (ref.null func)))"#,
            "",
            &["table.set"],
        ),
    ];
    for (initializer, import, parts) in rows {
        let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
        let module = computing(initializer, "").replacen("(memory", &format!("{exit}{import}(memory"), 1);
        let (running, problems) = Test::new().module("/", &module, "preinitialize = true").try_start().await;
        assert!(running.is_none(), "{initializer}");
        for part in parts.iter().chain(&["cannot preinitialize the module", "modules.toml:4:17"]) {
            assert!(problems.contains(part), "{part} in\n{problems}");
        }
    }
}

#[tokio::test]
async fn what_an_initializer_prints_is_shown_when_it_fails() {
    let initializer = r#"(data (i32.const 200) "\d0\00\00\00\06\00\00\00no way")
        (func (export "wizer.initialize")
            (drop (call $write (i32.const 2) (i32.const 200) (i32.const 1) (i32.const 240))) unreachable)"#;
    let test = Test::new().module("/", &computing(initializer, ""), "preinitialize = true");
    let (_, problems) = test.try_start().await;
    assert!(problems.contains("having printed \"no way\""), "{problems}");
}

/// Ahead-of-time code in a file with these permissions, and its entry.
fn compiled(directory: &Path, mode: u32) -> std::path::PathBuf {
    let code = ahead_of_time::compile(printing("Content-Type: text/plain\n\nahead").as_bytes()).expect("a good module");
    let path = directory.join("guest.cwasm");
    fs::write(&path, code).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    path
}

#[tokio::test]
async fn ahead_of_time_code_runs_where_the_operator_says_so_and_nobody_else_can_have_written_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = compiled(directory.path(), 0o644);
    let trusted = Test::new().file_module("/", &path, "precompiled = true");
    assert_eq!(trusted.start().await.get("/").await.text(), "ahead");

    let refused = async |path: &Path, keys: &str| {
        let (running, problems) = Test::new().file_module("/", path, keys).try_start().await;
        assert!(running.is_none(), "{keys}");
        problems
    };
    let untold = refused(&path, "").await;
    for part in ["ahead-of-time code, not a module", "modules.toml:3:10", "`precompiled = true`", "leaves the sandbox"]
    {
        assert!(untold.contains(part), "{part} in\n{untold}");
    }
    assert!(refused(&path, "preinitialize = true").await.contains("ahead-of-time code, not a module"));
    assert!(refused(&path, "precompiled = true\npreinitialize = true").await.contains("exclude each other"));

    let volume = format!("precompiled = true\nvolumes = {{ '/x' = '{}' }}", directory.path().display());
    assert!(refused(&path, &volume).await.contains("guests may write to it"));
    let looking = volume.replace(" = '/", " = { read_only = true, path = '/").replace("' }", "' } }");
    let running = Test::new().file_module("/", &path, &looking).start().await;
    assert_eq!(running.get("/").await.text(), "ahead");

    for mode in [0o664, 0o646, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        let shared = refused(&path, "precompiled = true").await;
        for part in ["others may write to it", "modules.toml:4:15", "chmod go-w"] {
            assert!(shared.contains(part), "{part} in\n{shared}");
        }
    }
}

#[tokio::test]
async fn code_of_another_engine_and_what_is_no_code_are_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("guest.cwasm");
    let module = printing("Content-Type: text/plain\n\nahead");
    let foreign = wasmtime::Engine::default().precompile_module(module.as_bytes()).expect("a good module");
    let truncated = ahead_of_time::compile(module.as_bytes()).expect("a good module")[..2000].to_vec();
    for (bytes, parts) in [
        (foreign, &["another version, machine or setting", "`wagi compile`"][..]),
        (module.into_bytes(), &["holds no ahead-of-time code"]),
        (truncated, &["cannot load"]),
        (b"\x7fELF".to_vec(), &["holds no ahead-of-time code"]),
    ] {
        fs::write(&path, bytes).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        let (running, problems) = Test::new().file_module("/", &path, "precompiled = true").try_start().await;
        assert!(running.is_none());
        for part in parts {
            assert!(problems.contains(part), "{part} in\n{problems}");
        }
    }
}

#[tokio::test]
async fn code_from_a_registry_is_never_trusted() {
    let manifest = "[[module]]\nroute = '/'\nmodule = 'oci://127.0.0.1:1/app:1'\nprecompiled = true\n";
    let site = Site::new();
    site.file("modules.toml", manifest);
    let output = run(site.path(), &["-c", "modules.toml", "--check"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = stderr(&output);
    assert!(shown.contains("from a registry or bindle server is never trusted") && shown.contains(":4:15"), "{shown}");
}

#[tokio::test]
async fn compiled_code_is_kept_for_the_next_start_except_where_guests_can_write() {
    let cache = tempfile::tempdir().expect("a temporary directory");
    let kept = || fs::read_dir(cache.path().join("compiled")).map_or(0, Iterator::count);
    let module = computing(SEVEN, "");
    for _ in 0..2 {
        let test = Test::new().module("/a", &module, "").module("/b", &module, "preinitialize = true");
        let running = test.options(|options| options.user_cache = Some(cache.path().into())).start().await;
        assert_eq!(running.get("/a").await.text(), "-1");
        assert_eq!(running.get("/b").await.text(), "71");
        // The module, the one that was run to initialize it, and what came of it.
        assert_eq!(kept(), 3);
    }
    let files =
        || fs::read_dir(cache.path().join("compiled")).expect("a directory").map(|file| file.expect("an entry").path());
    for file in files() {
        fs::write(file, "damaged").expect("writable");
    }
    let test = Test::new().module("/a", &module, "").module("/b", &module, "preinitialize = true");
    let running = test.options(|options| options.user_cache = Some(cache.path().into())).start().await;
    assert_eq!((running.get("/a").await.text(), running.get("/b").await.text()), ("-1".into(), "71".into()));
    assert!(files().all(|file| fs::metadata(file).expect("a file").len() > 1000));
    assert_eq!(kept(), 3);

    let keys = format!("volumes = {{ '/' = '{}' }}", cache.path().display());
    let test = Test::new().module("/", &printing("Content-Type: a/b\n\nx"), &keys);
    let (running, problems) = test.options(|options| options.user_cache = Some(cache.path().into())).try_start().await;
    assert!(problems.contains("compiled code is not kept") && problems.contains("read_only"), "{problems}");
    assert_eq!(running.expect("only a warning").get("/").await.text(), "x");
    assert_eq!(kept(), 3);
}

/// Prints `component`.
const COMPONENT: &str = r#"(component
    (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
    (alias export $errors "error" (type $error))
    (import "wasi:io/streams@0.2.0" (instance $streams
        (alias outer 1 $error (type $outer))
        (export "error" (type $error (eq $outer)))
        (export "output-stream" (type $stream (sub resource)))
        (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $failure)))
        (export "[method]output-stream.blocking-write-and-flush"
            (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
    (alias export $streams "output-stream" (type $stream))
    (import "wasi:cli/stdout@0.2.0" (instance $stdout
        (alias outer 1 $stream (type $outer))
        (export "output-stream" (type $stream (eq $outer)))
        (export "get-stdout" (func (result (own $stream))))))
    (core module $text (memory (export "memory") 1) (data (i32.const 16) "Content-Type: text/plain\n\ncomponent"))
    (core instance $text (instantiate $text))
    (core func $get (canon lower (func $stdout "get-stdout")))
    (core func $write
        (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory (core memory $text "memory"))))
    (core module $main
        (import "host" "get" (func $get (result i32)))
        (import "host" "write" (func $write (param i32 i32 i32 i32)))
        (func (export "run") (result i32)
            (call $write (call $get) (i32.const 16) (i32.const 35) (i32.const 128))
            (i32.const 0)))
    (core instance $main (instantiate $main
        (with "host" (instance (export "get" (func $get)) (export "write" (func $write))))))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $exported (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $exported)))"#;

#[tokio::test]
async fn components_are_kept_too_and_may_be_compiled_ahead() {
    let cache = tempfile::tempdir().expect("a temporary directory");
    for code in ["compiled", "cached"] {
        let test = Test::at("/", COMPONENT).options(|options| options.user_cache = Some(cache.path().into()));
        let running = test.start().await;
        assert_eq!(running.get("/").await.text(), "component", "{code}");
        assert_eq!(fs::read_dir(cache.path().join("compiled")).expect("a directory").count(), 1);
    }
    let path = cache.path().join("component.cwasm");
    fs::write(&path, ahead_of_time::compile(COMPONENT.as_bytes()).expect("a good component")).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let running = Test::new().file_module("/", &path, "precompiled = true").start().await;
    assert_eq!(running.get("/").await.text(), "component");
}

/// What the log says of the code of the only module, at one start after another.
#[test]
fn the_log_says_where_code_came_from() {
    let site = Site::new();
    site.file("app.wat", computing(SEVEN, ""));
    site.file("component.wat", COMPONENT);
    let site = site.module("/", Path::new("app.wat"), "preinitialize = true").module(
        "/component",
        Path::new("component.wat"),
        "",
    );
    assert!(run(site.path(), &["compile", "app.wat"]).status.success());
    let site = site.module("/ahead", Path::new("app.cwasm"), "precompiled = true");
    site.write();
    for (engines_own, code) in [(false, "compiled"), (false, "cached"), (true, "compiled"), (true, "cached")] {
        if engines_own {
            let text = format!("[cache]\ndirectory = '{}'\n", site.path().join("engine").display());
            site.file("cache.toml", text);
        }
        let mut command = crate::support::process::command(site.path());
        command.env("XDG_CACHE_HOME", site.path().join("home")).args(["-l", "127.0.0.1:0", "-c", "modules.toml"]);
        let wagi = crate::support::process::Wagi::spawn(&mut command);
        let code = format!("code=\"{code}\"");
        wagi.logged(&["preinitialized", "app.wat"]);
        wagi.logged(&["loaded", "app.wat", &code, "digest=\"sha256:", &sha256_hex(computing(SEVEN, "").as_bytes())]);
        wagi.logged(&["loaded", "component.wat", &code]);
        wagi.logged(&["loaded", "app.cwasm", "code=\"precompiled\""]);
        let mut connection = Connection::open(wagi.address());
        assert_eq!(connection.get("/").text(), "71");
        assert_eq!(connection.get("/component").text(), "component");
    }
}

/// Locked is what is written in the file, not what becomes of it.
#[test]
fn prepared_modules_can_be_locked_and_are_as_little_trusted_as_before() {
    let site = Site::new();
    site.file("app.wat", computing(SEVEN, ""));
    assert!(run(site.path(), &["compile", "app.wat", "-o", "code/app.cwasm"]).status.code() == Some(1));
    fs::create_dir(site.path().join("code")).expect("writable");
    assert!(run(site.path(), &["compile", "app.wat", "-o", "code/app.cwasm"]).status.success());
    let site = site.module("/", Path::new("app.wat"), "preinitialize = true").module(
        "/ahead",
        Path::new("code/app.cwasm"),
        "precompiled = true",
    );
    site.write();
    assert!(run(site.path(), &["lock", "-c", "modules.toml"]).status.success());
    let lock = fs::read_to_string(site.path().join("wagi.lock")).expect("a lock file");
    assert!(lock.contains(&sha256_hex(computing(SEVEN, "").as_bytes())), "{lock}");
    {
        let mut command = crate::support::process::command(site.path());
        command.args(["-l", "127.0.0.1:0", "-c", "modules.toml", "--locked"]);
        let wagi = crate::support::process::Wagi::spawn(&mut command);
        assert_eq!(Connection::open(wagi.address()).get("/").text(), "71");
    }
    site.file("guest.wat", printing("Content-Type: a/b\n\nx"));
    let site = site.module("/guest", Path::new("guest.wat"), "volumes = { '/code' = 'code' }");
    site.write();
    assert!(run(site.path(), &["lock", "-c", "modules.toml"]).status.success());
    let exposed = site.run(&["--locked"]);
    assert_eq!(exposed.status.code(), Some(1));
    assert!(stderr(&exposed).contains("guests may write to it"), "{}", stderr(&exposed));
}

#[test]
fn commands_write_what_is_served() {
    let site = Site::new();
    site.file("app.wat", computing(SEVEN, ""));
    for (arguments, written) in [
        (&["preinit", "app.wat", "-o", "ready.wasm"][..], "ready.wasm: "),
        (&["compile", "ready.wasm"], "ready.cwasm: "),
        (&["compile", "app.wat", "-o", "plain.cwasm"], "plain.cwasm: "),
    ] {
        let output = run(site.path(), arguments);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && stdout.starts_with(written), "{arguments:?}: {stdout}{}", stderr(&output));
    }
    let trusted = "precompiled = true";
    let site = site.module("/wasm", Path::new("ready.wasm"), "").module("/plain", Path::new("plain.cwasm"), trusted);
    let wagi = site.module("/", Path::new("ready.cwasm"), trusted).start(&[]);
    let mut connection = Connection::open(wagi.address());
    for (path, text) in [("/", "71"), ("/wasm", "71"), ("/plain", "-1"), ("/", "71")] {
        assert_eq!(connection.get(path).text(), text, "{path}");
    }
}

#[test]
fn commands_fail_with_a_reason_and_leave_nothing_behind() {
    let site = Site::new();
    site.file("bad.wat", "(module");
    site.file("plain.wat", "(module)");
    for (arguments, reason) in [
        (&["compile", "bad.wat"][..], "bad.wat"),
        (&["compile", "missing.wasm"], "cannot read `missing.wasm`"),
        (&["compile", "plain.wat", "-o", "no/such/x.cwasm"], "cannot write `no/such/x.cwasm`"),
        (&["preinit", "plain.wat", "-o", "x.wasm"], "exports no function `wizer.initialize`"),
    ] {
        let output = run(site.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).contains(reason), "{arguments:?}: {}", stderr(&output));
    }
    let left: Vec<_> =
        fs::read_dir(site.path()).expect("a directory").map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// The optimizer is another program: here one that misbehaves.
#[test]
fn an_optimiser_is_used_if_there_is_one_and_not_believed() {
    let site = Site::new();
    let module = printing("Content-Type: text/plain\n\noptimized");
    site.file("app.wat", printing("Content-Type: text/plain\n\nplain"));
    site.file("better.wasm", wat::parse_str(&module).expect("a good module"));
    let programs = site.path().join("bin");
    let compile = |script: &str| {
        let program = site.file("bin/wasm-opt", format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let path = format!("{}:/usr/bin:/bin", programs.display());
        let mut command = crate::support::process::command(site.path());
        command.env("PATH", path).args(["compile", "--optimize", "app.wat"]).output().expect("wagi can be started")
    };
    let output = compile("cat > in.wasm; cat better.wasm");
    assert!(output.status.success() && stderr(&output).contains("`wasm-opt -O3`"), "{}", stderr(&output));
    assert!(fs::read(site.path().join("in.wasm")).expect("what it was given").starts_with(b"\0asm"));
    for (script, reason) in [
        ("cat >/dev/null; echo broken >&2; exit 3", "broken"),
        ("exec cat /dev/zero", "prints more than"),
        ("cat >/dev/null; echo nonsense", "cannot compile"),
    ] {
        let output = compile(script);
        assert_eq!(output.status.code(), Some(1), "{script}");
        assert!(stderr(&output).contains(reason), "{script}: {}", stderr(&output));
    }
    site.file("app.wat", "(component)");
    let output = compile("cat");
    assert!(stderr(&output).contains("takes modules only"), "{}", stderr(&output));
    site.file("app.wat", printing("Content-Type: text/plain\n\nplain"));
    let mut without = crate::support::process::command(site.path());
    let output = without.env("PATH", "nowhere").args(["compile", "--optimize", "app.wat"]).output().expect("it starts");
    assert!(output.status.success() && stderr(&output).contains("no `wasm-opt` on the PATH"), "{}", stderr(&output));
    let wagi = site.module("/", Path::new("app.cwasm"), "precompiled = true").start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "plain");
}
