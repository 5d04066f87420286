//! What reaches the terminal: text of modules, files and registries as text and nothing more, and messages with a cure.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::guest::printing;
use crate::support::http1::Connection;
use crate::support::output::both;
use crate::support::process::{Ending, Wagi, command, run};
use crate::support::site::Site;
use crate::support::{at_leisure, port};

/// Every character that a terminal could take for more than text, but NUL and the line feed.
fn hostile() -> String {
    let ranges = ['\u{1}'..='\t', '\u{b}'..='\u{1f}', '\u{7f}'..='\u{9f}', '\u{200e}'..='\u{200f}'];
    ranges.into_iter().flatten().chain('\u{2028}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').collect()
}

/// The same with a line feed and what would be taken for a message.
fn forging() -> String {
    format!("{}\nerror: forged", hostile())
}

/// The same in a string of the text format.
fn quoted(text: &str) -> String {
    text.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}

#[track_caller]
fn assert_plain(what: &str, output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let text = std::str::from_utf8(text).expect("UTF-8");
        let raw = text.chars().find(|&letter| hostile().contains(letter) && letter != '\t');
        assert_eq!(raw, None, "{what}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("error: forged")), "{what}: {text}");
        assert!(text.lines().all(|line| line.matches('\t').count() <= 1), "{what}: {text:?}");
    }
}

#[test]
fn text_of_modules_is_never_more_than_text() {
    let name = quoted(&forging());
    let imports =
        format!("(module (import \"{name}\" \"{name}\" (func)) (func (export \"{name}\")) (func (export \"_start\")))");
    let component = format!(
        "(component (import \"a:b/c@1.0.0\" (func)) (export \"x\" (func 0)) (core module (import \"{name}\" \"x\" (func))))"
    );
    let routes = format!("/{0} {0}\n", hostile().replace(char::is_whitespace, ""));
    let data = quoted(&routes);
    let list = format!(
        "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))
           (memory (export \"memory\") 1) (data (i32.const 0) \"\\10\\00\\00\\00{:08x}\") (data (i32.const 16) \"{data}\")
           (func (export \"_start\")) (func (export \"{}\"))
           (func (export \"_routes\") (i32.store (i32.const 4) (i32.const {})) (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))",
        0,
        quoted(&hostile().replace(char::is_whitespace, "")),
        routes.len(),
    );
    let trap = format!(
        "(module (func $\"{name}\" (export \"_routes\") (call $b)) (func $b unreachable) (func (export \"_start\")))"
    );
    let site = Site::new();
    for (file, text) in
        [("imports.wat", &imports), ("component.wat", &component), ("list.wat", &list), ("trap.wat", &trap)]
    {
        site.file(file, text);
        for arguments in [
            &["inspect", file][..],
            &["inspect", "--json", file],
            &["compile", file],
            &["preinit", file, "-o", "x.wasm"],
            &[file, "--check"],
        ] {
            assert_plain(&format!("{arguments:?}"), &run(site.path(), arguments));
        }
    }
    assert!(both(&run(site.path(), &["list.wat", "--check"])).contains("\\u{9b}"));
    assert!(both(&run(site.path(), &["trap.wat", "--check"])).contains("error: forged"), "the function is named");
    let json = run(site.path(), &["inspect", "--json", "imports.wat"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["imports"][0]["name"].as_str(), Some(forging().as_str()));
}

#[test]
fn text_of_files_and_of_their_names_is_never_more_than_text() {
    let site = Site::new().text_module(&format!("/{}", "x"), &printing("\n\n"), "");
    site.file(
        "bad.toml",
        format!(
            "[[module]]\nroute = '/' # {0}\nmodule = 3 # {0}\n",
            hostile().replace(|c: char| c < ' ' && c != '\t' || c == '\u{7f}', "")
        ),
    );
    assert_plain("a source line", &run(site.path(), &["-c", "bad.toml"]));
    site.file(
        "key.toml",
        format!(
            "[[module]]\nroute = \"/\"\n\"{}\" = 1\n",
            forging().chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect::<String>()
        ),
    );
    assert_plain("a key", &run(site.path(), &["-c", "key.toml"]));
    let name = format!("{}.wasm", forging());
    for arguments in [
        &["inspect", &name][..],
        &["compile", &name],
        &[&name],
        &["-c", &name],
        &["pull", &name, "--module-cache", "m"],
        &["push", &name, &name],
        &["logout", &name],
        &["--log-format", &name],
        &[&format!("--{name}")],
    ] {
        assert_plain(&format!("missing {arguments:?}"), &run(site.path(), arguments));
    }
    site.file(&name, "hello");
    for arguments in [
        &["inspect", &name][..],
        &["compile", &name],
        &["preinit", &name, "-o", "x"],
        &[&name],
        &["-c", &name],
        &["push", &name, "127.0.0.1:1/a"],
    ] {
        assert_plain(&format!("there {arguments:?}"), &run(site.path(), arguments));
    }
    site.file(&name, "(module (func (export \"_start\")))");
    for arguments in [&["compile", &name][..], &[&name, "--check"]] {
        assert_plain(&format!("good {arguments:?}"), &run(site.path(), arguments));
    }
}

#[test]
fn messages_of_registries_are_never_more_than_text() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let registry = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            let body = serde_json::json!({ "errors": [{ "code": forging(), "message": forging() }] }).to_string();
            let _ = write!(
                stream,
                "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let site = Site::new();
    let reference = format!("{registry}/hello:1");
    for arguments in [["pull", &reference, "--module-cache", "m"], ["inspect", &reference, "--module-cache", "m"]] {
        let output = run(site.path(), &arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_plain(&format!("{arguments:?}"), &output);
    }
}

#[test]
fn a_file_that_is_no_module_is_called_what_it_is() {
    let whole = wat::parse_str(printing("\n\n")).expect("a module");
    for (name, bytes, what, cure) in [
        ("page.wasm", &b"<!DOCTYPE html><html>"[..], "an HTML page", "download the module again"),
        ("pointer.wasm", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "git lfs pull"),
        ("packed.wasm", b"\x1f\x8b\x08\0\0\0", "compressed with gzip", "gunzip"),
        ("empty.wasm", b"", "the file is empty", "again"),
        ("main.rs", b"fn main() {}", "source code in Rust", "cargo build --target wasm32-wasip1"),
        ("settings.wasm", b"[[module]]\n", "TOML", "wagi --config"),
        ("short.wasm", &whole[..whole.len() / 2], "unexpected end", "cut off"),
        ("text.wat", b"hello", "not WebAssembly", "(module"),
        (
            "library.wat",
            b"(module (func (export \"add\") (param i32)))",
            "exports no function `_start`",
            "`wasm32-wasip1`",
        ),
        (
            "reactor.wat",
            b"(module (func (export \"_initialize\")) (func (export \"handle\")))",
            "a reactor",
            "entrypoint = \"handle\"",
        ),
        (
            "browser.wat",
            b"(module (import \"wbg\" \"x\" (func)) (func (export \"_start\")))",
            "imports `wbg.x`",
            "without wasm-bindgen",
        ),
        (
            "threads.wat",
            b"(module (memory 1 1 shared) (func (export \"_start\")))",
            "threads must be enabled",
            "one thread",
        ),
        ("nothing.wat", b"(component)", "exports nothing", "wasi:cli/run"),
    ] {
        let site = Site::new();
        site.file(name, bytes);
        for arguments in [&[name][..], &["-l", "127.0.0.1:0", name, "--check"]] {
            let output = run(site.path(), arguments);
            let shown = both(&output);
            assert_eq!(output.status.code(), Some(1), "{shown}");
            assert!(shown.contains(what) && shown.contains(cure) && shown.contains("help: "), "{name}: {shown}");
            assert!(!shown.contains("\\n") && !shown.contains("<anon>"), "{name}: {shown}");
        }
    }
}

#[test]
fn commands_for_files_say_the_cure_too() {
    let site = Site::new();
    site.file("page.wasm", "<html>");
    for arguments in [&["inspect", "page.wasm"][..], &["compile", "page.wasm"], &["preinit", "page.wasm", "-o", "x"]] {
        let output = run(site.path(), arguments);
        let shown = both(&output);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert!(shown.contains("an HTML page") && shown.contains("help: download the module again"), "{shown}");
    }
}

/// The time that a check of so many wrong entries takes.
fn check(entries: usize) -> Duration {
    let site = Site::new();
    site.file("modules.toml", "[[module]]\nroute = 1\n".repeat(entries));
    let started = Instant::now();
    let output = run(site.path(), &["-c", "modules.toml", "--check"]);
    let took = started.elapsed();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.len() < 1 << 20, "{} bytes", output.stderr.len());
    assert!(both(&output).contains("more problems are not shown"));
    took
}

#[test]
fn many_wrong_entries_take_no_more_than_their_number() {
    // Other tests run meanwhile, and may hold up one check and not the other.
    let is_linear = |_| {
        let (few, many) = (check(4_000), check(32_000));
        println!("{few:?} for 4,000 and {many:?} for 32,000");
        many < few * 24 + Duration::from_secs(1)
    };
    assert!((0..5).any(is_linear));
}

#[test]
fn long_lines_and_lists_are_cut_with_a_count() {
    let site = Site::new();
    site.file("long.toml", format!("[[module]]\nroute = '/'\nmodule = '{}'\n", "x".repeat(1 << 20)));
    let output = run(site.path(), &["-c", "long.toml"]);
    assert!(output.stderr.len() < 16 << 10 && both(&output).contains("more characters"), "{}", output.stderr.len());
    let imports: String = (0..5_000).map(|n| format!("(import \"env\" \"{n}\" (func))")).collect();
    site.file("many.wat", format!("(module {imports} (func (export \"_start\")))"));
    let output = run(site.path(), &["many.wat"]);
    assert!(output.stderr.len() < 16 << 10 && both(&output).contains("and 4980 more"), "{}", both(&output));
    let output = run(site.path(), &["inspect", "many.wat"]);
    assert!(output.stdout.len() < 64 << 10 && both(&output).contains("... and 4500 more"), "{}", output.stdout.len());
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let site = Site::new();
    site.file("hello.wat", printing("Content-Type: text/plain\n\nhello"));
    for arguments in [&["hello.wat", "--check"][..], &["inspect", "hello.wat"], &["cache", "list"], &["--help"]] {
        let mut child = command(site.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("wagi can be started");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let complaints: Vec<_> =
            both(&output).lines().filter(|line| !line.contains(" INFO ")).map(str::to_owned).collect();
        assert_eq!((output.status.code(), complaints.as_slice()), (Some(0), &[][..]), "{arguments:?}");
    }
}

#[test]
fn a_server_whose_output_and_log_nobody_reads_serves_on() {
    let site = Site::new();
    site.file("hello.wat", printing("Content-Type: text/plain\n\nhello"));
    let address = port::free();
    let child = command(site.path())
        .args(["hello.wat", "-l", &address.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("wagi can be started");
    let mut child = Ending(child);
    drop((child.0.stdout.take(), child.0.stderr.take()));
    at_leisure(|| {
        assert!(child.0.try_wait().expect("it can be asked").is_none(), "the server has ended");
        std::net::TcpStream::connect(address).ok()
    });
    for _ in 0..3 {
        assert_eq!(Connection::open(address).get("/").text(), "hello");
    }
}

#[test]
fn signals_that_other_servers_reload_at_do_not_end_this_one() {
    let site = Site::new();
    site.file("hello.wat", printing("Content-Type: text/plain\n\nhello"));
    let wagi = Wagi::start_one(site.path(), "hello.wat");
    for (signal, event) in [("HUP", "reload: nothing has changed"), ("USR1", ""), ("USR2", "SIGUSR2")] {
        wagi.signal(signal);
        wagi.logged(&[event]);
        assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello");
    }
}
