//! Which programs are there that build modules? They are looked for, and only `rustc` is run: it says where its targets are.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::commands::doctor::finding::Finding;

/// How long a program may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of an answer that count.
const MAX_ANSWER: u64 = 4096;

/// What builds modules of one language.
struct Toolchain {
    language: &'static str,
    /// All of these must be there.
    programs: &'static [&'static str],
    cure: &'static str,
}

const TOOLCHAINS: [Toolchain; 9] = [
    Toolchain {
        language: "Rust",
        programs: &["cargo", "rustc"],
        cure: "install Rust with rustup, or `apt install cargo rustc`",
    },
    Toolchain {
        language: "C, C++",
        programs: &["clang", "wasm-ld"],
        cure: "`apt install clang lld wasi-libc libclang-rt-14-dev-wasm32`, or unpack the WASI SDK and put its `bin` on the PATH",
    },
    Toolchain {
        language: "Zig",
        programs: &["zig"],
        cure: "`pip install ziglang`, or install Zig and put it on the PATH",
    },
    Toolchain { language: "Go", programs: &["go"], cure: "`apt install golang`; WASI needs Go 1.21 or later" },
    Toolchain { language: "TinyGo", programs: &["tinygo"], cure: "install TinyGo and put it on the PATH" },
    Toolchain {
        language: "JavaScript",
        programs: &["node", "npm"],
        cure: "`apt install nodejs npm`; AssemblyScript and jco come from npm",
    },
    Toolchain { language: "Python", programs: &["python3", "componentize-py"], cure: "`pip install componentize-py`" },
    Toolchain { language: "wasm-tools", programs: &["wasm-tools"], cure: "`cargo install wasm-tools`" },
    Toolchain { language: "wasm-opt", programs: &["wasm-opt"], cure: "`apt install binaryen`" },
];

/// The target of modules in Rust.
const RUST_TARGET: &str = "wasm32-wasip1";

/// Looks for each toolchain in the directories of `search_path`.
pub(super) fn look(search_path: &OsStr) -> Vec<Finding> {
    let mut findings: Vec<Finding> = TOOLCHAINS.iter().map(|toolchain| toolchain.look(search_path)).collect();
    let rustc = find("rustc", search_path);
    findings.extend(rustc.map(|rustc| rust_target(&rustc)));
    findings
}

impl Toolchain {
    fn look(&self, search_path: &OsStr) -> Finding {
        let found: Vec<(&str, Option<PathBuf>)> =
            self.programs.iter().map(|program| (*program, find(program, search_path))).collect();
        let missing: Vec<&str> = found.iter().filter(|(_, path)| path.is_none()).map(|(program, _)| *program).collect();
        if missing.is_empty() {
            let paths = found.iter().filter_map(|(_, path)| path.as_ref()).map(|path| path.display().to_string());
            return Finding::good("toolchain", format!("{}: {}", self.language, paths.collect::<Vec<_>>().join(", ")));
        }
        Finding::missing("toolchain", format!("{}: no {} on the PATH", self.language, missing.join(", ")), self.cure)
    }
}

/// The first file of this name in the directories of a search path that can be executed.
pub(super) fn find(program: &str, search_path: &OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(search_path).map(|directory| directory.join(program)).find(is_program)
}

fn rust_target(rustc: &Path) -> Finding {
    let answer = answer_of(Command::new(rustc).args(["--print", "target-libdir", "--target", RUST_TARGET]));
    match answer {
        Some(directory) if Path::new(directory.trim()).is_dir() => {
            Finding::good("toolchain", format!("Rust: the target {RUST_TARGET}"))
        }
        Some(_) => Finding::missing(
            "toolchain",
            format!("Rust: no target {RUST_TARGET}"),
            format!(
                "`rustup target add {RUST_TARGET}`, or `apt install libstd-rust-dev-wasm32` for the rustc of Debian"
            ),
        ),
        None => Finding::missing(
            "toolchain",
            format!("`{}` does not say where its targets are", rustc.display()),
            "run it by hand: it may wait for something, or be of a version without WASI",
        ),
    }
}

/// The first line that a program prints; `None` if it fails, or does not end in time.
fn answer_of(command: &mut Command) -> Option<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let begun = Instant::now();
    let line = first_line(child.stdout.take()?);
    let status = loop {
        match child.try_wait().ok()? {
            Some(status) => break status,
            None if begun.elapsed() < ANSWER_TIMEOUT => thread::sleep(Duration::from_millis(5)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    if !status.success() {
        return None;
    }
    // What the program has left running may have its output open for ever.
    line.recv_timeout(ANSWER_TIMEOUT.saturating_sub(begun.elapsed())).ok()
}

/// The first line of an output, read by a thread of its own, which goes on until the output ends.
fn first_line(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let (mut output, mut line) = (BufReader::new(output), String::new());
        if (&mut output).take(MAX_ANSWER).read_line(&mut line).is_ok() {
            // The receiver is gone if it took too long.
            let _ = sender.send(line);
        }
        // So that a program that prints more does not fail.
        let _ = io::copy(&mut output, &mut io::sink());
    });
    receiver
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use crate::cli::commands::doctor::finding::FindingState;
    use crate::cli::commands::doctor::toolchains::*;

    fn script(directory: &Path, name: &str, text: &str) {
        let path = directory.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    #[test]
    fn a_toolchain_is_there_if_all_its_programs_are() {
        let directory = tempfile::tempdir().expect("a directory");
        script(directory.path(), "go", "");
        script(directory.path(), "node", "");
        std::fs::write(directory.path().join("zig"), "cannot be executed").expect("a file");
        let findings = look(directory.path().as_os_str());
        let of = |language: &str| {
            findings.iter().find(|finding| finding.what.starts_with(language)).expect("it is looked for")
        };
        assert_eq!(of("Go").state, FindingState::Good);
        assert_eq!((of("Zig").state, of("Zig").what.as_str()), (FindingState::Missing, "Zig: no zig on the PATH"));
        assert_eq!(of("JavaScript").what, "JavaScript: no npm on the PATH");
        assert!(findings.iter().all(|finding| (finding.state == FindingState::Good) == finding.cure.is_none()));
    }

    #[test]
    fn a_program_that_does_not_answer_is_given_up() {
        let begun = Instant::now();
        assert_eq!(answer_of(Command::new("sleep").arg("600")), None);
        assert!(begun.elapsed() >= ANSWER_TIMEOUT);
    }

    #[test]
    fn what_a_program_leaves_running_is_not_waited_for() {
        let shell = |text: &str| answer_of(Command::new("sh").args(["-c", text]));
        // The child of the shell ends with the test at the latest, as its reader does.
        let answer = shell("sleep 60 & echo one; echo two");
        assert_eq!(answer.as_deref(), Some("one\n"));
        assert_eq!(shell("sleep 60 & true"), None);
    }

    #[test]
    fn the_target_of_rust_is_where_rustc_says() {
        for (text, state) in [
            ("echo /", FindingState::Good),
            ("echo /no/such", FindingState::Missing),
            ("exit 1", FindingState::Missing),
        ] {
            let directory = tempfile::tempdir().expect("a directory");
            script(directory.path(), "rustc", text);
            assert_eq!(rust_target(&directory.path().join("rustc")).state, state, "{text}");
        }
    }
}
