//! What compiling a module of a third party may take.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use crate::oci::{registry, shelf};
use crate::support::guest::hello;
use crate::support::http1::Connection;
use crate::support::process::{Ending, Wagi, command, output};
use crate::support::registry::Done;
use crate::support::site::Site;
use crate::support::terminal::Terminal;
use crate::support::upstream::Upstream;
use crate::support::{at_leisure, eventually};

/// A module that takes minutes to compile: nested loops, each of which uses the variable.
pub fn slow() -> String {
    loops(40_000)
}

/// One that takes some seconds and about a hundred MiB.
fn demanding() -> String {
    loops(6_000)
}

fn loops(depth: usize) -> String {
    let body = "loop local.get 0 local.get 0 i32.add local.set 0 ".repeat(depth) + &"end ".repeat(depth);
    format!("(module (func (export \"_start\") (local i32) {body}))")
}

fn server(content: &str) -> Upstream {
    registry(shelf(content))
}

/// A site whose only module is in a registry, below a table of limits.
fn site(server: &Upstream, limits: &str) -> Site {
    let reference = format!("oci:127.0.0.1:{}/app:1", server.port());
    let site = Site::new().top(&format!("[limits]\n{limits}\n")).module("/", Path::new(&reference), "");
    site.write();
    site
}

fn start(site: &Site) -> Command {
    let mut command = command(site.path());
    command.args(["-l", "127.0.0.1:0", "-c", "modules.toml", "--module-cache", "modules"]);
    command
}

/// What a start says that is refused.
#[track_caller]
fn refused(site: &Site) -> String {
    Done::from(output(&mut start(site))).badly()
}

#[test]
fn a_module_of_a_registry_may_take_no_more_time_than_the_limit_and_one_of_the_operator_may() {
    let said = refused(&site(&server(&slow()), "compile_time = '2s'"));
    assert!(said.contains("compiling it takes longer than `compile_time` allows: 2s"), "{said}");
    assert!(said.contains("modules.toml:6:10") && said.contains("raise `compile_time` in the limits"), "{said}");
    assert!(said.contains("keep it as a file of your own"), "{said}");
    let own = Site::new().top("[limits]\ncompile_time = '1ms'").text_module("/", &hello(), "");
    assert_eq!(Connection::open(own.start(&[]).address()).get("/").text(), "hello");
}

#[test]
fn nor_more_memory() {
    let server = server(&demanding());
    let said = refused(&site(&server, "compile_time = '10m'\ncompile_memory = '64MiB'"));
    assert!(said.contains("compiling it takes more memory than `compile_memory` allows: 67108864 bytes"), "{said}");
    assert!(said.contains("raise `compile_memory` in the limits"), "{said}");
    Wagi::spawn(&mut start(&site(&server, "compile_time = '10m'\ncompile_memory = '1GiB'")));
}

#[test]
fn code_of_another_process_is_kept_like_any_other() {
    let server = server(&hello());
    let with_engine_cache = site(&server, "");
    let engine_cache = with_engine_cache.path().join("engine").display().to_string();
    with_engine_cache.file("cache.toml", format!("[cache]\nenabled = true\ndirectory = '{engine_cache}'\n"));
    for (site, is_kept) in [(site(&server, ""), true), (with_engine_cache, true), (site(&server, ""), false)] {
        let home = if is_kept { site.path().join("home") } else { "".into() };
        for code in ["compiled", if is_kept { "cached" } else { "compiled" }] {
            let wagi = Wagi::spawn(start(&site).env("XDG_CACHE_HOME", &home));
            assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello");
            wagi.logged(&["loaded", &format!("code=\"{code}\"")]);
        }
    }
}

#[test]
fn what_cannot_be_compiled_is_refused_in_the_same_words() {
    for content in ["<html>", "(module", "(module (func (export \"_start\") i32.add))", "(component (type $x \"?\"))"] {
        let remote = refused(&site(&server(content), ""));
        let local = Site::new().text_module("/", content, "").run(&[]);
        let local = String::from_utf8_lossy(&local.stderr).into_owned();
        let causes = |said: &str| said.split_once("cannot use the module").map(|(_, causes)| causes.trim().to_owned());
        assert!(causes(&local).is_some(), "{local}");
        assert_eq!(causes(&remote), causes(&local), "{content}");
    }
}

/// The processes below one that compile.
fn compilers(wagi: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc")
        .expect("/proc is there")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |process: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(1)) == Some(wagi.to_string().as_str())
    };
    processes.filter(is_child).collect()
}

#[test]
fn a_compiler_ends_with_its_server() {
    let site = site(&server(&slow()), "compile_time = '10m'");
    let wagi = start(&site).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("wagi can be started");
    let wagi = Ending(wagi);
    let compiler = at_leisure(|| compilers(wagi.0.id()).first().copied());
    let is_compiling = || {
        let arguments = std::fs::read_to_string(format!("/proc/{compiler}/cmdline")).unwrap_or_default();
        arguments.contains("__compile").then_some(())
    };
    at_leisure(is_compiling);
    drop(wagi);
    eventually(|| is_compiling().is_none().then_some(()));
}

#[test]
fn a_start_that_compiles_for_long_says_so() {
    let site = Site::new().text_module("/", &slow(), "");
    site.write();
    let log = site.path().join("log");
    let stderr = std::fs::File::create(&log).expect("a file");
    let wagi = start(&site).stdout(Stdio::null()).stderr(stderr).spawn().expect("wagi can be started");
    let _wagi = Ending(wagi);
    let line = at_leisure(|| {
        let log = std::fs::read_to_string(&log).ok()?;
        log.lines().find(|line| line.contains(": compiling ")).map(str::to_owned)
    });
    let (_, took) = line.split_once("guest0.wat took=").expect(&line);
    let seconds = took.split(' ').next().and_then(|took| took.trim_end_matches('s').parse::<f64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds >= 3.0), "{line}");
}

#[test]
#[ignore = "needs tmux"]
fn a_terminal_has_a_bar_for_each_module_that_is_compiled() {
    let site = Site::new().text_module("/", &slow(), "").text_module(
        "/other",
        &slow().replace("(local i32)", "(local i32 i32)"),
        "",
    );
    site.write();
    let program = env!("CARGO_BIN_EXE_wagi");
    let line = format!("cd {} && exec {program} -l 127.0.0.1:0 -c modules.toml", site.path().display());
    let terminal = Terminal::open(100, &line);
    // As many at once as there are processors.
    let at_once = available_parallelism().map_or(1, usize::from).min(2);
    let shown = terminal.shows(&[&["guest0.wat", "guest1.wat"][..at_once], &["compiling,"]].concat());
    // A bar is as wide as the terminal, so that tmux takes two for one line.
    assert_eq!(shown.matches("compiling, ").count(), at_once, "{shown}");
    terminal.press("C-c");
}
