//! The same program in each language: as a module, as a component, and as a script of an interpreter as it is published. And the
//! examples that begin with two commands. The interpreters come from npm; a download that fails, or has another checksum, fails the test.

use std::path::Path;
use std::process::Command;

use crate::support::guest::built_from_source;
use crate::support::http1::{Answer, Connection};
use crate::support::process::{self, Wagi};
use crate::support::registry::Done;
use crate::support::site::Site;
use crate::support::tree::root;

/// A language in which there is the program.
struct Language {
    /// Below which path it is, and the ending of its scripts.
    name: &'static str,
    module: &'static str,
    /// Whether the module is an interpreter, and the program a script.
    runs_scripts: bool,
    /// More keys of its entry.
    keys: &'static str,
}

const fn compiled(name: &'static str, module: &'static str) -> Language {
    Language { name, module, runs_scripts: false, keys: "" }
}

const fn interpreted(name: &'static str, module: &'static str, keys: &'static str) -> Language {
    Language { name, module, runs_scripts: true, keys }
}

const PYTHON: &str = "argv = ['python', '${SCRIPT_FILENAME}']\nenvironment = { PYTHONHOME = '/usr/local' }";

const LANGUAGES: [Language; 16] = [
    compiled("rust", "conform.wasm"),
    compiled("c", "c-conform.wasm"),
    compiled("cpp", "cpp-conform.wasm"),
    compiled("zig", "zig-conform.wasm"),
    compiled("go", "go-conform.wasm"),
    compiled("assemblyscript", "as-conform.wasm"),
    compiled("http-rust", "http-rust-conform.wasm"),
    compiled("http-c", "http-c-conform.wasm"),
    compiled("http-python", "http-python-conform.wasm"),
    compiled("http-js", "http-js-conform.wasm"),
    compiled("http-quickjs", "http-quickjs-conform.wasm"),
    interpreted("php", "php-cgi.wasm", ""),
    interpreted("py", "python.wasm", PYTHON),
    interpreted("rb", "ruby.wasm", "argv = ['ruby', '${SCRIPT_FILENAME}']"),
    interpreted("js", "quickjs.wasm", "argv = ['qjs', '-m', '${SCRIPT_FILENAME}']"),
    interpreted("lua", "lua.wasm", "argv = ['lua', '${SCRIPT_FILENAME}']"),
];

impl Language {
    fn add_to(&self, site: Site) -> Site {
        let Self { name, module, runs_scripts, keys } = self;
        let scripts = root().join("guests/scripts");
        let module = built_from_source(module);
        let library = module.with_file_name("python-usr");
        let mut volumes = Vec::new();
        if *name == "py" {
            volumes.push(format!("'/usr' = {{ path = '{}', read_only = true }}", library.display()));
        }
        let scripts = match runs_scripts {
            true => format!("scripts = {{ directory = '{}', extensions = ['{name}'] }}", scripts.display()),
            false => {
                volumes.push(format!("'/www' = {{ path = '{}', read_only = true }}", scripts.display()));
                String::new()
            }
        };
        let keys = format!("{keys}\n{scripts}\nvolumes = {{ {} }}", volumes.join(", "));
        site.module(&format!("/{name}/..."), &module, &keys)
    }

    /// The path of the program.
    fn path(&self) -> String {
        let name = self.name;
        if self.runs_scripts { format!("/{name}/conform.{name}") } else { format!("/{name}") }
    }
}

/// Starts a server that keeps the code of interpreters: compiling one takes half a minute.
fn started(directory: &Path, manifest: &str) -> Wagi {
    let mut command = process::command(directory);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).args(["-l", "127.0.0.1:0", "-c", manifest]);
    Wagi::spawn(&mut command)
}

fn sent(wagi: &Wagi, head: &str, body: &[u8]) -> Answer {
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("{head}\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len()));
    connection.send(body);
    connection.answer()
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: conform, c, cpp, zig, go, assemblyscript, http-rust, http-c, http-python, http-js, http-quickjs, interpreters, lua, quickjs"]
fn the_same_program_in_each_language_answers_the_same_from_one_process() {
    let site = LANGUAGES.iter().fold(Site::new(), |site, language| language.add_to(site));
    site.write();
    let wagi = started(site.path(), "modules.toml");
    let bytes: Vec<u8> = (0..=255).collect();
    let reversed: Vec<u8> = (0..=255).rev().collect();
    for language in LANGUAGES {
        let (name, script) = (language.name, language.path());
        let head = format!(
            "POST {script}/some/path?name=w%C3%B6rld&n=2 HTTP/1.1\r\nCookie: one=a; two=b\r\n\
             Content-Type: application/x-www-form-urlencoded"
        );
        let answer = sent(&wagi, &head, b"a=1&b=x+y%26");
        let expected =
            "method: POST\npath: /some/path\nquery: wörld 2\nform: 1 x y&\ncookies: a b\nfile: read from a file\n";
        assert_eq!((answer.status, answer.text().as_str()), (201, expected), "{name}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{name}");
        let cookies: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
        let values: Vec<_> = cookies.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["first=1; Path=/", "second=2; Path=/"], "{name}");
        let line = wagi.logged(&["stderr \"", "to standard error\"", language.module]);
        assert!(line.contains(&format!("route=\"/{name}/...\"")), "{line}");

        let head = format!("POST {script}/binary HTTP/1.1\r\nContent-Type: application/octet-stream");
        let answer = sent(&wagi, &head, &bytes);
        assert_eq!((answer.status, answer.body), (200, reversed.clone()), "{name}");

        let answer = sent(&wagi, &format!("GET {script}/x HTTP/1.1"), b"");
        let expected = "method: GET\npath: /x\nquery:  \nform:  \ncookies:  \nfile: read from a file\n";
        assert_eq!((answer.status, answer.text().as_str()), (201, expected), "{name}");
    }
}

/// A copy of an example, fetched and served by the two commands at the top of its modules.toml.
struct Example {
    wagi: Wagi,
    directory: tempfile::TempDir,
}

impl Example {
    fn start(name: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (from, to) = (root().join("examples").join(name), directory.path().join("examples"));
        std::fs::create_dir(&to).expect("writable");
        // Without what was fetched already.
        let script = format!("cp -r '{}' . && cd {name} && rm -rf *.wasm usr data sessions", from.display());
        run(&to, "sh", &["-c", &script]);
        let manifest = std::fs::read_to_string(from.join("modules.toml")).expect("readable");
        let commands: Vec<&str> = manifest.lines().next().expect("a comment").split('`').skip(1).step_by(2).collect();
        let [fetch, serve] = commands[..] else { panic!("two commands: {commands:?}") };
        run(directory.path(), "sh", &["-c", fetch]);
        let manifest = serve.strip_prefix("wagi -c ").expect("it starts wagi");
        Self { wagi: started(directory.path(), manifest), directory }
    }
}

fn run(directory: &Path, program: &str, arguments: &[&str]) {
    Done::from(Command::new(program).args(arguments).current_dir(directory).output()).well();
}

/// The value of a cookie or of a field of a form, between two texts.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).map_or(rest, |(value, _)| value)
}

/// A form with files, as browsers send it.
fn multipart(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (disposition, content) in fields {
        body.extend_from_slice(format!("--edge\r\nContent-Disposition: form-data; {disposition}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--edge--\r\n");
    body
}

/// The smallest GIF.
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

#[test]
#[ignore = "needs npm"]
fn the_guest_book_in_php_has_sessions_uploads_and_a_database() {
    let Example { wagi, directory } = Example::start("php");
    let first = Connection::open(wagi.address()).get("/");
    let text = first.text();
    assert!(first.status == 200 && text.contains("Your visits: 1"), "{text}\n{}", wagi.log());
    let cookie = between(first.header("set-cookie").expect("a session"), "", ";").to_owned();
    let token = between(&text, "name=\"token\" value=\"", "\"").to_owned();
    let post = |token: &str, picture: &[u8]| {
        let fields: [(&str, &[u8]); 4] = [
            ("name=\"token\"", token.as_bytes()),
            ("name=\"name\"", b"<Ann>"),
            ("name=\"message\"", b"Hello & goodbye"),
            ("name=\"picture\"; filename=\"a.gif\"\r\nContent-Type: image/gif", picture),
        ];
        let head = format!("POST / HTTP/1.1\r\nCookie: {cookie}\r\nContent-Type: multipart/form-data; boundary=edge");
        sent(&wagi, &head, &multipart(&fields))
    };
    let written = post(&token, GIF);
    assert_eq!((written.status, written.header("location")), (303, Some("/index.php")), "{}", wagi.log());
    assert_eq!(post("wrong", GIF).status, 403);
    assert_eq!(post(&token, b"<?php echo 1;").status, 415);
    assert_eq!(post(&token, &vec![0; 3 << 20]).status, 413);
    let again = sent(&wagi, &format!("GET / HTTP/1.1\r\nCookie: {cookie}"), b"").text();
    for part in ["&lt;Ann&gt;", "Hello &amp; goodbye", "value=\"&lt;Ann&gt;\"", "src=\"/index.php/picture/1\""] {
        assert!(again.contains(part), "{part}: {again}");
    }
    assert_eq!(again.matches("<article>").count(), 1);
    let picture = Connection::open(wagi.address()).get("/index.php/picture/1");
    assert_eq!((picture.header("content-type"), picture.body.as_slice()), (Some("image/gif"), GIF));
    assert_eq!(
        Connection::open(wagi.address()).get("/style.css").header("content-type"),
        Some("text/css; charset=utf-8")
    );
    let stored = std::fs::read_dir(directory.path().join("examples/php/data/pictures")).expect("readable").count();
    assert_eq!(stored, 1, "pictures that are refused are not kept");
}

#[test]
#[ignore = "needs npm"]
fn the_application_in_python_is_a_wsgi_application() {
    let Example { wagi, directory: _directory } = Example::start("python");
    let greeted = sent(&wagi, "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded", b"name=A%26n");
    assert!(greeted.text().contains("<h1>Hello, A&amp;n</h1>"), "{}\n{}", greeted.text(), wagi.log());
    let page = Connection::open(wagi.address()).get("/");
    assert!(page.text().contains("Python 3.11") && page.text().contains("action=\"/index.py\""), "{}", page.text());
    assert_eq!(Connection::open(wagi.address()).get("/index.py/x").status, 404);
}

#[test]
#[ignore = "needs npm"]
fn the_page_in_ruby_uses_its_standard_library() {
    let Example { wagi, directory: _directory } = Example::start("ruby");
    let greeted = sent(&wagi, "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded", b"name=A%26n");
    assert!(greeted.text().contains("<h1>Hello, A&amp;n</h1>"), "{}\n{}", greeted.text(), wagi.log());
    assert!(Connection::open(wagi.address()).get("/").text().contains("Ruby 3.2"), "{}", wagi.log());
}

#[test]
fn the_page_about_php_shows_the_files_of_the_example() {
    let page = std::fs::read_to_string(root().join("docs/php.md")).expect("there is a page");
    for file in ["modules.toml", "config/php.ini"] {
        let path = format!("examples/php/{file}");
        let content = std::fs::read_to_string(root().join(&path)).expect("readable");
        let (_, below) = page.split_once(&format!("[`{path}`](../{path}):\n\n")).expect(&path);
        assert!(
            below.split_once('\n').is_some_and(|(_, block)| block.starts_with(&format!("{content}```\n"))),
            "{path}"
        );
    }
    let manifest = std::fs::read_to_string(root().join("examples/php/modules.toml")).expect("readable");
    for command in manifest.lines().next().expect("a comment").split('`').skip(1).step_by(2) {
        assert!(page.contains(&format!("\n{command}\n")), "{command}");
    }
}
