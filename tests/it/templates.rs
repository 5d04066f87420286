//! `wagi new`: what it makes, builds with the commands of its README, passes its own test, and is served.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::http1::Connection;
use crate::support::process::{Wagi, command, run};
use crate::support::registry::{Done, installed};
use crate::support::site::Site;

/// A project in a directory of its own.
struct Project {
    directory: TempDir,
}

impl Project {
    fn new(template: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let said = Done::from(Ok(run(directory.path(), &["new", "hello", "--template", template]))).well();
        assert!(said.ends_with("Next:\n  cd hello && wagi dev\n"), "{said}");
        for file in ["modules.toml", "README.md", "test.sh", ".gitignore"] {
            assert!(said.contains(&format!("  hello/{file}\n")), "{said}");
        }
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("hello")
    }

    /// Types what the README says, with programs of `tools` before those of the system, and variables.
    fn build(self, tools: &[(&str, &str)], variables: &[(String, String)]) -> Self {
        let readme = fs::read_to_string(self.path().join("README.md")).expect("there is one");
        let commands: Vec<&str> = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(!commands.is_empty(), "{readme}");
        let shims = self.directory.path().join("tools");
        fs::create_dir(&shims).expect("writable");
        // The code that its own test compiles is what is served.
        let cache = env!("CARGO_TARGET_TMPDIR");
        let wagi = format!("XDG_CACHE_HOME='{cache}' exec '{}' \"$@\"", env!("CARGO_BIN_EXE_wagi"));
        for (name, script) in tools.iter().chain([&("wagi", wagi.as_str())]) {
            let file = shims.join(name);
            fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("writable");
            Done::from(Command::new("chmod").arg("+x").arg(&file).output()).well();
        }
        let path = format!("{}:{}", shims.display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("bash");
        let commands = commands.concat();
        shell.current_dir(self.path()).args(["-euxo", "pipefail", "-c", &commands]).env("PATH", path);
        // What builds this test is not what builds the project.
        shell.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        let printed = Done::from(shell.envs(variables.iter().cloned()).stdin(Stdio::null()).output()).well();
        assert!(printed.ends_with("passed\n"), "{printed}");
        self
    }

    /// Serves it as its `modules.toml` says, with no warning.
    fn serve(self) -> Wagi {
        let mut serve = command(&self.path());
        serve.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        let wagi = Wagi::spawn(serve.args(["-c", "modules.toml", "-l", "127.0.0.1:0"]));
        assert!(!wagi.log().to_lowercase().contains("warn"), "{}", wagi.log());
        wagi.keeping(self.directory)
    }
}

/// What all programs answer that greet.
fn greets(wagi: &Wagi) {
    let mut connection = Connection::open(wagi.address());
    let answer = connection.post("/some/path?x=1&name=Ann", "12345");
    assert_eq!(answer.text(), "Hello, Ann!\nYou asked for /some/path and sent 5 bytes.\n", "{}", wagi.log());
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(connection.get("/").text().starts_with("Hello, world!\n"));
}

/// How Debian's compiler is told what rustup's knows. `target` as in variables.
fn rust_of_debian(target: &str) -> Vec<(String, String)> {
    installed("rustc-web", "/usr/bin/rustc");
    let root = env!("CARGO_MANIFEST_DIR");
    let cargo =
        std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").expect("set")));
    // The same as in guests/build.sh, so that the standard library that it has built is used.
    let flags = format!(
        " --remap-path-prefix={root}= --remap-path-prefix={cargo}=cargo --remap-path-prefix=/usr/lib/rustlib/src/rust=rust \
         -Clink-self-contained=no -Clinker-flavor=wasm-ld -L/usr/lib/wasm32-wasi"
    );
    let variables = [
        ("RUSTC", "/usr/bin/rustc"),
        ("RUSTC_BOOTSTRAP", "1"),
        ("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort"),
        ("CARGO_UNSTABLE_BUILD_STD_FEATURES", "optimize_for_size"),
        (&format!("CARGO_TARGET_{target}_LINKER"), "link-program"),
        (&format!("CARGO_TARGET_{target}_RUSTFLAGS"), &flags),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

const CARGO_OF_DEBIAN: (&str, &str) = ("cargo", "exec /usr/bin/cargo \"$@\"");

#[test]
fn a_project_as_text_passes_its_own_test_and_is_served() {
    let wagi = Project::new("wat").build(&[], &[]).serve();
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "Hello from WebAssembly!\n");
}

#[test]
#[ignore = "needs rustc-web"]
fn a_project_in_rust_builds_passes_its_own_test_and_is_served() {
    let project = Project::new("rust");
    // Where CI builds guests, if this is CI.
    let built = std::env::var_os("WAGI_GUESTS_DIR").map(|guests| Path::new(&guests).with_file_name("guests-build"));
    if let Some(built) = built.filter(|built| built.is_dir()) {
        std::os::unix::fs::symlink(built, project.path().join("target")).expect("a link can be made");
    }
    let linker = ("link-program", "exec wasm-ld \"$@\" /usr/lib/wasm32-wasi/crt1-command.o");
    greets(&project.build(&[CARGO_OF_DEBIAN, linker], &rust_of_debian("WASM32_WASIP1")).serve());
}

#[test]
#[ignore = "needs rustc-web, jco"]
fn a_component_in_rust_builds_passes_its_own_test_and_is_served() {
    // What rustup's linker does for this target: a component of the module, with the adapter.
    let linker = "for word; do [ \"$last\" = -o ] && out=$word; last=$word; done\n\
                  wasm-ld \"$@\" /usr/lib/wasm32-wasi/crt1-reactor.o && \
                  jco new \"$out\" --wasi-reactor -o \"$out.component\" >/dev/null && mv \"$out.component\" \"$out\"";
    let tools = [CARGO_OF_DEBIAN, ("link-program", linker)];
    greets(&Project::new("rust-component").build(&tools, &rust_of_debian("WASM32_WASIP2")).serve());
}

#[test]
#[ignore = "needs clang, wasi-libc, libc++-dev-wasm32"]
fn projects_in_c_and_cpp_build_pass_their_own_tests_and_are_served() {
    for template in ["c", "cpp"] {
        greets(&Project::new(template).build(&[], &[]).serve());
    }
}

#[test]
#[ignore = "needs ziglang"]
fn a_project_in_zig_builds_passes_its_own_test_and_is_served() {
    greets(&Project::new("zig").build(&[("zig", "exec python-zig \"$@\"")], &[]).serve());
}

#[test]
#[ignore = "needs go"]
fn a_project_in_go_builds_passes_its_own_test_and_is_served() {
    greets(&Project::new("go").build(&[], &[("GOTOOLCHAIN".to_owned(), "local".to_owned())]).serve());
}

#[test]
#[ignore = "needs npm"]
fn a_project_in_assemblyscript_builds_passes_its_own_test_and_is_served() {
    greets(&Project::new("assemblyscript").build(&[], &[]).serve());
}

#[test]
#[ignore = "needs componentize-py"]
fn a_component_in_python_builds_passes_its_own_test_and_is_served() {
    greets(&Project::new("python-component").build(&[], &[]).serve());
}

#[test]
#[ignore = "needs npm"]
fn a_component_in_javascript_builds_passes_its_own_test_and_is_served() {
    greets(&Project::new("javascript-component").build(&[], &[]).serve());
}

#[test]
#[ignore = "needs npm"]
fn scripts_in_php_and_python_are_fetched_pass_their_own_tests_and_are_served() {
    for (template, script) in [("php", "/index.php"), ("python", "/index.py")] {
        let wagi = Project::new(template).build(&[], &[]).serve();
        let mut connection = Connection::open(wagi.address());
        let answer = connection.post(&format!("{script}/some/path?name=Ann"), "12345");
        assert_eq!(answer.text(), "Hello, Ann!\nYou asked for /some/path and sent 5 bytes.\n", "{}", wagi.log());
        assert!(connection.get("/").text().starts_with("Hello, world!\n"), "{}", wagi.log());
    }
}

#[test]
fn a_site_with_an_api_passes_its_own_test_and_is_served() {
    let wagi = Project::new("static").build(&[], &[]).serve();
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/api/message").text(), "{\"message\": \"Hello from the API!\"}\n");
    for (path, media_type) in [("/", "text/html"), ("/style.css", "text/css"), ("/app.js", "text/javascript")] {
        let answer = connection.get(path);
        assert!(answer.header("content-type").is_some_and(|found| found.starts_with(media_type)), "{path}");
    }
}

#[test]
fn a_module_that_is_not_built_yet_is_missed_with_its_command() {
    let project = Project::new("rust");
    let output = run(&project.path(), &["-c", "modules.toml", "--check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("build it with `cargo build --release --target wasm32-wasip1`"), "{said}");
}

#[test]
fn nothing_is_overwritten_and_names_are_simple() {
    let project = Project::new("wat");
    let readme = fs::read(project.path().join("README.md")).expect("readable");
    let again = Done::from(Ok(run(project.directory.path(), &["new", "hello", "--template", "rust"])));
    assert!(again.code == Some(1) && again.stderr.contains("`hello` exists"), "{}", again.stderr);
    assert_eq!(fs::read(project.path().join("README.md")).expect("readable"), readme);
    assert!(!project.path().join("Cargo.toml").exists());
    for name in ["../x", "/tmp/x", "a/b", ".", "", "-x", "Hello", "a b", "x\u{1b}[31m"] {
        let done = Done::from(Ok(run(project.directory.path(), &["new", "--template=wat", "--", name])));
        assert_eq!(done.code, Some(2), "{name:?}");
        assert!(done.stderr.contains("cannot be the name") && !done.stderr.contains('\u{1b}'), "{}", done.stderr);
    }
    let entries = fs::read_dir(project.directory.path()).expect("readable").count();
    assert_eq!(entries, 1);
}

#[test]
fn what_is_missing_is_said_where_there_is_no_terminal() {
    let site = Site::new();
    for words in [&["new"][..], &["new", "hello"], &["new", "-t", "wat"]] {
        let done = Done::from(command(site.path()).args(words).stdin(Stdio::null()).output());
        assert_eq!(done.code, Some(2), "{words:?}");
        assert!(done.stderr.contains("wagi new hello --template rust"), "{}", done.stderr);
    }
    let unknown = Done::from(Ok(run(site.path(), &["new", "hello", "-t", "rusty"])));
    assert!(unknown.code == Some(2) && unknown.stderr.contains("'rust'"), "{}", unknown.stderr);
    assert_eq!(fs::read_dir(site.path()).expect("readable").count(), 0);
}

#[test]
fn the_templates_are_listed_with_what_they_need() {
    let list = Done::from(Ok(run(Site::new().path(), &["new", "--list"]))).well();
    let named = list.lines().filter_map(|line| line.split_whitespace().next());
    let expected = [
        "rust",
        "rust-component",
        "c",
        "cpp",
        "zig",
        "go",
        "assemblyscript",
        "python-component",
        "javascript-component",
        "php",
        "python",
        "static",
        "wat",
    ];
    assert!(named.eq(expected), "{list}");
}

/// On a terminal of its own, which util-linux's `script` makes.
#[test]
#[ignore = "needs script (bsdutils)"]
fn on_a_terminal_name_and_template_are_asked_for() {
    let site = Site::new();
    let mut script = Command::new(installed("bsdutils", "/usr/bin/script"));
    script.current_dir(site.path()).args(["-qefc", &format!("{} new", env!("CARGO_BIN_EXE_wagi")), "/dev/null"]);
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut keys, mut screen) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut shown = String::new();
    for (question, typed) in [
        ("Name of the project: ", "No Name\n"),
        ("Name of the project: ", "hello\n"),
        ("name or number: ", "99\n"),
        ("name or number: ", "wat\n"),
    ] {
        let begin = shown.len();
        while !shown[begin..].contains(question) {
            let mut bytes = [0; 256];
            let read = screen.read(&mut bytes).expect("readable");
            assert!(read > 0, "{shown}");
            shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        keys.write_all(typed.as_bytes()).expect("it reads");
    }
    screen.read_to_string(&mut shown).expect("readable");
    assert!(child.wait().expect("it is our child").success(), "{shown}");
    for part in ["`No Name` cannot be", "there is no template `99`", "cd hello && wagi dev"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(site.path().join("hello/app.wat").is_file());
}
