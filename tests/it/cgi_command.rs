//! `wagi cgi`: a module as a CGI program, started alone as a web server would, and under Apache and lighttpd as docs/cgi.md says.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::guest::{printing, probe};
use crate::support::http1::Connection;
use crate::support::output::text;
use crate::support::process::{Ending, Wagi, command, output_of};
use crate::support::site::Site;
use crate::support::{at_leisure, port};

const GET: (&str, &str) = ("REQUEST_METHOD", "GET");

/// A process of `wagi cgi` with these words after it, and with these variables.
fn prepared(directory: &Path, words: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = command(directory);
    command.arg("cgi").args(words).envs(variables.iter().copied());
    command
}

fn run(directory: &Path, words: &[&str], variables: &[(&str, &str)], body: &[u8]) -> Output {
    output_of(&mut prepared(directory, words, variables), body).expect("wagi can be started")
}

/// A directory with `hello.wat`, which prints this, and `probe.wasm`.
fn directory(output: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("hello.wat"), printing(output)).expect("a file can be written");
    std::fs::copy(probe(), directory.path().join("probe.wasm")).expect("a file can be copied");
    directory
}

#[test]
fn head_and_body_are_printed_for_the_web_server() {
    let directory = directory("Status: 404 Gone Fishing\nContent-Type: text/plain\nX-A: b\n\nhello");
    let output = run(directory.path(), &["hello.wat"], &[GET, ("REQUEST_URI", "/x")], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (head, body) = text(&output.stdout)
        .split_once("\r\n\r\n")
        .map(|(head, body)| (head.to_owned(), body.to_owned()))
        .expect("a head");
    assert_eq!(body, "hello");
    let mut lines: Vec<_> = head.split("\r\n").collect();
    assert_eq!(lines.remove(0), "Status: 404 Not Found");
    assert!(lines.contains(&"content-type: text/plain") && lines.contains(&"x-a: b"), "{head}");
    assert!(text(&output.stderr).contains("\"GET /x HTTP/1.1\" 404 5B"), "{}", text(&output.stderr));
}

#[test]
fn words_behind_the_file_are_ignored() {
    let directory = directory("");
    for (words, query) in [
        (&["probe.wasm"][..], "-s"),
        (&["probe.wasm", "-s"], "-s"),
        (&["probe.wasm", "--help"], "--help"),
        (&["probe.wasm", "--version"], "--version"),
        (&["probe.wasm", "-c", "x"], "-c+x"),
        (&["probe.wasm", "--cache", "/nowhere", "-e", "A=b"], "--cache+/nowhere"),
        (&["--access-log", "off", "-e", "A=b", "--", "probe.wasm", "--", "-h"], "--+-h"),
    ] {
        let target = format!("/args?{query}");
        let output = run(directory.path(), words, &[GET, ("REQUEST_URI", &target)], b"");
        let printed = text(&output.stdout);
        assert!(printed.ends_with(&format!("\r\n\r\n\"/args\"\n\"{query}\"\n")), "{words:?}: {printed}");
        let is_logged = !output.stderr.is_empty();
        assert_eq!(is_logged, !words.contains(&"off"), "{words:?}: {}", text(&output.stderr));
    }
}

#[test]
fn what_cannot_be_run_says_why() {
    let directory = directory("");
    std::fs::write(directory.path().join("bad.wat"), "(module").expect("a file can be written");
    for (words, variables, message) in [
        (&["hello.wat"][..], &[][..], "there is no REQUEST_METHOD in the environment"),
        (&["missing.wasm"], &[GET], "missing.wasm"),
        (&["bad.wat"], &[GET], "bad.wat"),
        (&["-e", "A", "hello.wat"], &[GET], "no `=` in `A`"),
        (&["--access-log", "maybe", "hello.wat"], &[GET], "`on` or `off` is expected"),
    ] {
        let output = run(directory.path(), words, variables, b"");
        assert_ne!(output.status.code(), Some(0), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}: {}", text(&output.stdout));
        assert!(text(&output.stderr).contains(message), "{words:?}: {}", text(&output.stderr));
    }
}

#[test]
fn variables_that_make_no_request_get_400() {
    let directory = directory("");
    for variables in [
        &[GET, ("REQUEST_URI", "/a b")][..],
        &[("REQUEST_METHOD", "G(T")],
        &[GET, ("CONTENT_LENGTH", "-1")],
        &[GET, ("HTTP_A", "b\nc")],
    ] {
        let output = run(directory.path(), &["hello.wat"], variables, b"");
        assert_eq!(text(&output.stdout), "Status: 400 Bad Request\r\n\r\n", "{variables:?}");
    }
}

#[test]
fn standard_input_is_the_body_up_to_its_length() {
    let directory = directory("");
    let post = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/echo")];
    for (variable, expected) in [
        (("CONTENT_LENGTH", "5"), "hello"),
        (("CONTENT_LENGTH", "0"), ""),
        (("CONTENT_LENGTH", ""), ""),
        (("HTTP_TRANSFER_ENCODING", "chunked"), "hello, and more"),
    ] {
        let output = run(directory.path(), &["probe.wasm"], &[post[0], post[1], variable], b"hello, and more");
        let printed = text(&output.stdout);
        assert_eq!(printed.split_once("\r\n\r\n").map(|(_, body)| body), Some(expected), "{variable:?}: {printed}");
    }
}

/// The files of compiled code in a cache, with their inodes: a file that is written anew has another.
fn compiled(cache: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = std::fs::read_dir(cache.join("compiled")) else { return Vec::new() };
    let entries = entries.map(|entry| entry.expect("an entry").path());
    entries.map(|path| (path.clone(), path.metadata().expect("a file").ino())).collect()
}

#[test]
fn compiled_code_is_kept_beside_the_file_or_where_the_operator_says() {
    let directory = directory("Content-Type: text/plain\n\nhello");
    let path = |name: &str| directory.path().join(name);
    let ask = |words: &[&str]| {
        let output = run(directory.path(), words, &[GET], b"");
        assert!(text(&output.stdout).ends_with("\r\n\r\nhello"), "{}", text(&output.stderr));
    };
    std::fs::write(path("off.toml"), "[cache]\nenabled = false\n").expect("a file can be written");
    ask(&["--cache", "off.toml", "hello.wat"]);
    assert!(!path(".wagi-cache").exists());
    ask(&["--cache", "chosen/cache", "hello.wat"]);
    assert!(!path(".wagi-cache").exists());
    assert_eq!(compiled(&path("chosen/cache")).len(), 1);
    ask(&["hello.wat"]);
    let first = compiled(&path(".wagi-cache"));
    assert_eq!(first.len(), 1);
    ask(&["hello.wat"]);
    assert_eq!(compiled(&path(".wagi-cache")), first);
    assert_eq!(path(".wagi-cache").metadata().expect("a directory").permissions().mode() & 0o777, 0o700);
}

/// The probe, asked for this by a web server that reads what it prints.
fn started(directory: &Path, target: (&str, &str)) -> Ending {
    let mut command = prepared(directory, &["probe.wasm"], &[GET, target]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ending(command.spawn().expect("wagi can be started"))
}

#[test]
fn output_leaves_at_once_and_a_web_server_that_leaves_ends_the_process() {
    let directory = directory("");
    let target = ("REQUEST_URI", "/slow-lines?2&600000");
    let mut child = started(directory.path(), target);
    let lines = BufReader::new(child.0.stdout.take().expect("stdout is piped")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "line 1"), "the guest is still asleep");
    drop(child);

    let target = ("REQUEST_URI", "/slow-lines?1000000&1");
    let mut child = started(directory.path(), target);
    let mut begin = [0; 10];
    child.0.stdout.take().expect("stdout is piped").read_exact(&mut begin).expect("it prints");
    let ended = at_leisure(|| child.0.try_wait().expect("it is our child"));
    assert_eq!(ended.code(), Some(1));
}

/// The block of this kind on the page.
fn page_block(kind: &str) -> String {
    let page = include_str!("../../docs/cgi.md");
    let (_, rest) = page.split_once(&format!("```{kind}\n")).expect("a block of this kind");
    rest.split_once("```").expect("its end").0.to_owned()
}

#[track_caller]
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in {text}");
    text.replace(from, to)
}

/// A web server that runs the program of the page with the probe, at `/hello`.
struct WebServer {
    process: Ending,
    address: SocketAddr,
    directory: TempDir,
}

impl WebServer {
    /// Starts it with a configuration that is made of the directory of programs and a port.
    fn start(program: &str, arguments: &[&str], configuration: impl Fn(&Path, u16) -> String) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        // For the user of the web server, who is another one if root starts it.
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("it is ours");
        std::fs::copy(probe(), path.join("probe.wasm")).expect("a file can be copied");
        let cache = path.join("cache");
        let made =
            Command::new("install").args(["-d", "-o", "www-data", "-g", "www-data", "-m", "700"]).arg(&cache).status();
        assert!(made.expect("there is an install").success());
        let script = replaced(&page_block("sh"), "/usr/bin/wagi", env!("CARGO_BIN_EXE_wagi"));
        let script = replaced(&script, "/var/cache/wagi-cgi", &cache.display().to_string());
        let script = replaced(&script, "/srv/wagi/hello.wasm", &path.join("probe.wasm").display().to_string());
        std::fs::write(path.join("hello.cgi"), script).expect("a file can be written");
        std::fs::set_permissions(path.join("hello.cgi"), PermissionsExt::from_mode(0o755)).expect("it is ours");
        let address = port::free();
        let file = path.join("server.conf");
        std::fs::write(&file, configuration(path, address.port())).expect("a file can be written");
        let log = std::fs::File::create(path.join("log")).expect("a file can be made");
        let child = Command::new(program).args(arguments).arg(&file).stderr(log).spawn();
        let child = child.unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut server = Self { process: Ending(child), address, directory };
        at_leisure(|| {
            let ended = server.process.0.try_wait().expect("it is our child");
            assert!(ended.is_none(), "{program} has ended: {}", server.log());
            TcpStream::connect(address).ok()
        });
        server
    }

    fn apache() -> Self {
        let site = page_block("apache");
        Self::start("/usr/sbin/apache2", &["-D", "FOREGROUND", "-f"], |path, port| {
            let site = replaced(&site, "*:80", &format!("127.0.0.1:{port}"));
            let site = replaced(&site, "/usr/lib/cgi-bin", &path.display().to_string());
            let modules = ["mpm_event", "authz_core", "alias", "cgid"]
                .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
                .concat();
            format!(
                "{modules}ServerRoot {0}\nPidFile {0}/pid\nScriptSock {0}/cgi\nErrorLog /dev/stderr\nServerName localhost\n\
                 User www-data\nGroup www-data\nListen 127.0.0.1:{port}\n{site}",
                path.display()
            )
        })
    }

    fn lighttpd() -> Self {
        let settings = page_block("lighttpd");
        Self::start("/usr/sbin/lighttpd", &["-D", "-f"], |path, port| {
            let settings = replaced(&settings, "/usr/lib/cgi-bin", &path.display().to_string());
            format!(
                "server.document-root = \"{}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n\
                 server.username = \"www-data\"\nserver.groupname = \"www-data\"\nserver.modules = ()\n{settings}",
                path.display()
            )
        })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for WebServer {
    /// Asks it to end, so that its own children end too.
    fn drop(&mut self) {
        self.process.ask();
    }
}

/// Requests: method, target below `/hello`, more fields, body.
const REQUESTS: [(&str, &str, &str, &str); 36] = [
    ("GET", "", "", ""),
    ("GET", "/", "", ""),
    ("GET", "/?-s", "", ""),
    ("GET", "/?--help", "", ""),
    ("GET", "/?-c+x", "", ""),
    ("GET", "/env", "", ""),
    ("GET", "/env?a=b&c=%20d", "", ""),
    ("GET", "/env?-s", "", ""),
    ("GET", "/env?--help", "", ""),
    ("GET", "/env?-c+x", "", ""),
    ("GET", "/env?", "", ""),
    ("GET", "/env", "X-Custom: a, b\r\nAccept: text/*\r\nCookie: a=b; c=d\r\n", ""),
    ("GET", "/env", "Proxy: evil\r\nAuthorization: Basic YTpi\r\n", ""),
    ("GET", "/args", "", ""),
    ("GET", "/args?-s", "", ""),
    ("GET", "/args?--help", "", ""),
    ("GET", "/args?-c+x", "", ""),
    ("GET", "/args?one+two%20three", "", ""),
    ("GET", "/args?a=b", "", ""),
    ("GET", "/missing/a%20b", "", ""),
    ("GET", "/status?404", "", ""),
    ("GET", "/status?500", "", ""),
    ("GET", "/status?204", "", ""),
    ("GET", "/redirect?https://example.org/x", "", ""),
    ("GET", "/cookies", "", ""),
    ("GET", "/trap", "", ""),
    ("GET", "/exit?1", "", ""),
    ("GET", "/flood?100000", "", ""),
    ("GET", "/slow-lines?3&1", "", ""),
    ("POST", "/echo", "Content-Type: text/csv\r\n", "hello"),
    ("POST", "/stdin", "", "a long body, which is hashed"),
    ("POST", "/raw", "", "Status: 201\nContent-Type: text/x-a\nX-A: b\n\nmade"),
    ("POST", "/raw", "", "Status: 302\nLocation: /elsewhere\n\n"),
    ("PUT", "/echo", "Content-Type: text/plain\r\n", "put"),
    ("PATCH", "/env", "", "patch"),
    ("DELETE", "/env", "", ""),
];

/// What differs from one request to the next, and from one server to another.
const OF_ONE_REQUEST: [&str; 3] = ["REQUEST_ID=", "X_REQUEST_ID=", "REMOTE_PORT="];

/// The answer without what the web server adds.
fn seen(address: SocketAddr, (method, target, fields, body): (&str, &str, &str, &str)) -> String {
    let mut connection = Connection::open(address);
    let length = if method == "GET" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    connection.send(format!(
        "{method} /hello{target} HTTP/1.1\r\nHost: example.test:8080\r\nConnection: close\r\n{fields}{length}\r\n{body}"
    ));
    let answer = connection.answer();
    let field = |name: &str| answer.headers.iter().filter(|(found, _)| found == name).cloned().collect::<Vec<_>>();
    // Apache sends no Content-Type with a 204.
    let names: &[&str] = if answer.status == 204 { &[] } else { &["content-type", "location", "set-cookie", "x-a"] };
    let fields: Vec<_> = names.iter().flat_map(|name| field(name)).collect();
    let answer_text = answer.text();
    let lines = answer_text.lines().filter(|line| !OF_ONE_REQUEST.iter().any(|name| line.contains(name)));
    format!("{} {fields:?}\n{}", answer.status, lines.collect::<Vec<_>>().join("\n"))
}

/// Under the web server there is the same to see as on a server of wagi.
fn responds_as_a_server(web_server: &WebServer) {
    let wagi: Wagi = Site::new().module("/hello/...", &probe(), "").start(&[]);
    for request in REQUESTS {
        let (found, expected) = (seen(web_server.address, request), seen(wagi.address(), request));
        assert_eq!(found, expected, "{request:?}\n{}", web_server.log());
    }
    assert!(web_server.log().contains("\"GET /hello/trap HTTP/1.1\" 500"), "{}", web_server.log());
    assert_eq!(compiled(&web_server.directory.path().join("cache")).len(), 1);
    let mut connection = Connection::open(web_server.address);
    connection.send("GET /hello/slow-lines?2&20000 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(connection.head().status, 200);
    assert_eq!(connection.chunk().expect("a chunk").as_deref(), Some(&b"line 1\n"[..]), "the guest is still asleep");
}

#[test]
#[ignore = "needs apache2 and root"]
fn under_apache_responses_are_those_of_a_server() {
    responds_as_a_server(&WebServer::apache());
}

#[test]
#[ignore = "needs lighttpd and root"]
fn under_lighttpd_responses_are_those_of_a_server() {
    responds_as_a_server(&WebServer::lighttpd());
}
