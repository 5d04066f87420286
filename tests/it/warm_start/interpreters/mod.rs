//! Interpreters as they are published, cold and warm.

mod edits;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::guest::built_from_source;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;

use crate::warm_start::asked;

const PHP: &str = r#"<?php
header('Content-Type: text/plain');
setcookie('seen', 'yes');
ksort($_SERVER);
foreach (['REQUEST_METHOD', 'QUERY_STRING', 'PATH_INFO', 'CONTENT_TYPE', 'HTTP_X_OWN'] as $name) {
    echo $name, '=', $_SERVER[$name] ?? 'none', "\n";
}
var_dump($_GET, $_POST, $_COOKIE, strlen(file_get_contents('php://input')));
"#;

const PYTHON: &str = r#"
import json, random, sys, importlib.util, os.path, os
os.path.exists('/.wagi/checkpoint')
spec = importlib.util.find_spec('posix')
posix = importlib.util.module_from_spec(spec)
spec.loader.exec_module(posix)
os.environ._data.clear()
os.environ._data.update(posix.environ)
random.seed()
names = ['REQUEST_METHOD', 'QUERY_STRING', 'PATH_INFO', 'CONTENT_TYPE', 'HTTP_X_OWN', 'HTTP_COOKIE']
print('Content-Type: text/plain\n')
print(json.dumps([os.environ.get(name) for name in names]), sys.stdin.read())
"#;

const RUBY: &str = r#"
require 'json'
File.exist?('/.wagi/checkpoint')
names = %w[REQUEST_METHOD QUERY_STRING PATH_INFO CONTENT_TYPE HTTP_X_OWN HTTP_COOKIE]
puts "Content-Type: text/plain\n\n"
puts JSON.dump(names.map { |name| ENV[name] }), $stdin.read
"#;

const REQUESTS: [(&str, &str); 5] = [
    ("GET /ROUTE HTTP/1.1", ""),
    ("GET /ROUTE?a=1&b[]=2&b[]=3 HTTP/1.1\r\nCookie: sid=AAA; x=y\r\nX-Own: one", ""),
    ("POST /ROUTE?q=zwei HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded", "x=2&y=3"),
    ("POST /ROUTE HTTP/1.1\r\nContent-Type: application/json\r\nCookie: k=v", "{\"json\":1}"),
    ("GET /ROUTE?word HTTP/1.1", ""),
];

const SHARED: &str = "warm_start = { shared_random = true }";

/// The same interpreter at `/warm`, which has `warm_start` with this value, and at `/cold`. Code and snapshots are made with a cache that
/// stays.
fn both(module: &Path, script: &str, text: &str, (warm_start, keys): (&str, &str)) -> Wagi {
    let extension = script.rsplit('.').next().unwrap_or_default();
    let keys = format!("scripts = {{ directory = 'www', extensions = ['{extension}'] }}\n{keys}");
    let site = Site::new();
    site.file(&format!("www/{script}"), text);
    let site = site.module("/warm/...", module, &format!("{warm_start}\n{keys}")).module("/cold/...", module, &keys);
    site.write();
    let mut command = process::command(site.path());
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).args(["-l", "127.0.0.1:0", "-c", "modules.toml"]);
    let wagi = Wagi::spawn(&mut command);
    wagi.keeping(site.into_directory())
}

/// Asks at both routes, until a snapshot was made: the one for requests without a query.
fn answers_are_the_same(wagi: &Wagi, script: &str) {
    for (head, body) in REQUESTS {
        let ask = |route: &str| asked(wagi, &head.replace("ROUTE", &format!("{route}/{script}")), body);
        ask("warm");
        if !head.contains('?') {
            is_warm(wagi);
        }
        let (warm, cold) = (ask("warm"), ask("cold"));
        assert_eq!((warm.status, warm.text()), (cold.status, cold.text()), "{head}");
        assert_eq!(warm.header("set-cookie"), cold.header("set-cookie"), "{head}");
    }
}

/// Waits for a snapshot. The compiler needs minutes for an interpreter when it has the cores not for itself.
fn is_warm(wagi: &Wagi) {
    let deadline = Instant::now() + Duration::from_secs(900);
    loop {
        let log = wagi.log();
        let mut lines = log.lines().filter(|line| line.contains("no query"));
        assert!(!lines.clone().any(|line| line.contains("warm start: served cold")), "{log}");
        if lines.any(|line| line.contains("warm start: ready")) {
            return;
        }
        assert!(Instant::now() < deadline, "{log}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: interpreters"]
fn php_begins_warm_and_answers_the_same() {
    let wagi = both(&built_from_source("php-cgi.wasm"), "index.php", PHP, ("warm_start = true", ""));
    answers_are_the_same(&wagi, "index.php");
    std::fs::write(wagi.directory().join("www/index.php"), "<?php echo 'edited';").expect("writable");
    assert_eq!(asked(&wagi, "GET /warm/index.php HTTP/1.1", "").text(), "edited");
}

#[test]
fn the_page_shows_the_bootstrap_of_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("readable");
    let page = read("docs/warm-start.md");
    let ini = read("examples/php-bootstrap/config/php.ini");
    assert!(page.contains(&format!("```ini\n{}```", ini.split("\n\n").next().expect("a part").to_owned() + "\n")));
    let bootstrap = read("examples/php-bootstrap/lib/bootstrap.php");
    let lines = bootstrap.find("file_exists('/.wagi/checkpoint')").map(|at| &bootstrap[at..]);
    assert!(page.contains(&format!("```php\n{}```", lines.expect("a checkpoint"))));
    assert!(BOOTSTRAP.contains(lines.expect("a checkpoint")));
}

/// Its script is open by then, and it has read its request.
const BOOTSTRAP: &str = r#"<?php
final class Table {
    public array $squares = [];
    public function __construct() { for ($i = 0; $i < 20000; $i++) $this->squares[] = $i * $i; }
}
$table = new Table();
file_exists('/.wagi/checkpoint');
parse_str(getenv('QUERY_STRING') ?: '', $_GET);
$_COOKIE = [];
foreach (explode(';', getenv('HTTP_COOKIE') ?: '') as $cookie) {
    [$name, $value] = explode('=', ltrim($cookie), 2) + ['', ''];
    $_COOKIE += $name === '' ? [] : [$name => rawurldecode($value)];
}
$_REQUEST = $_GET + $_POST;
"#;

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: interpreters"]
fn php_begins_behind_a_bootstrap() {
    let page = PHP.replace("var_dump(", "echo count($table->squares), $table->squares[9]; var_dump($_REQUEST, ");
    let config = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(config.path().join(name), text).expect("writable");
    write("php.ini", "auto_prepend_file = /config/bootstrap.php\nregister_argc_argv = Off\nrealpath_cache_size = 0\n");
    write("bootstrap.php", BOOTSTRAP);
    let keys = format!(
        "environment = {{ PHPRC = '/config' }}\nvolumes = {{ '/config' = {{ path = '{}', read_only = true }} }}",
        config.path().display()
    );
    let wagi = both(&built_from_source("php-cgi.wasm"), "index.php", &page, (SHARED, &keys));
    answers_are_the_same(&wagi, "index.php");
    let log = wagi.log();
    let ready = log.lines().find(|line| line.contains("warm start: ready")).expect("it is ready");
    assert!(!ready.contains("open=0") && ready.contains("requests=\"get\""), "{ready}");
    write("bootstrap.php", &BOOTSTRAP.replace("$i * $i", "$i + 1"));
    let text = asked(&wagi, "GET /warm/index.php HTTP/1.1", "").text();
    assert!(text.contains("2000010"), "the next answer is that of the new bootstrap: {text}");
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: interpreters"]
fn python_begins_warm_and_answers_the_same() {
    let module = built_from_source("python.wasm");
    let library = module.with_file_name("python-usr");
    let keys = format!(
        "argv = ['python', '${{SCRIPT_FILENAME}}']\nenvironment = {{ PYTHONHOME = '/usr/local', PYTHONDONTWRITEBYTECODE = '1' }}\n\
         volumes = {{ '/usr' = {{ path = '{}', read_only = true }} }}",
        library.display()
    );
    answers_are_the_same(&both(&module, "index.py", PYTHON, (SHARED, &keys)), "index.py");
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: interpreters"]
fn ruby_begins_warm_and_answers_the_same() {
    let keys = "argv = ['ruby', '${SCRIPT_FILENAME}']";
    answers_are_the_same(&both(&built_from_source("ruby.wasm"), "index.rb", RUBY, (SHARED, keys)), "index.rb");
}
