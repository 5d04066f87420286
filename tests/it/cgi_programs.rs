//! Programs for CGI under wagi and under lighttpd: they see the same URLs, schemes and bodies.
//!
//! Go's package is compiled for both. CPython's wsgiref, PHP, Perl's CGI.pm and Ruby's `cgi` run natively: in the environment that lighttpd gives them, and
//! in the one that a guest of wagi has seen.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::guest::built_from_source;
use crate::support::process::{Ending, Wagi};
use crate::support::site::Site;
use crate::support::tls::fixture;
use crate::support::{at_leisure, port};

/// A program that prints its environment.
const ENV: &str = include_str!("../../examples/env.wat");

/// Where programs are mounted: below a path, and everywhere.
const MOUNTS: [&str; 2] = ["/app", ""];

/// What is asked for below that.
const TARGETS: [&str; 6] = ["/", "/hello", "/hello?x=1&y=%20z", "/a%20b/c", "/deep/er/?", "/x?redirect"];

const PYTHON: &str = r#"
from wsgiref.handlers import CGIHandler
from wsgiref.util import request_uri

def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    names = ["REQUEST_METHOD", "REQUEST_URI", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "HTTP_HOST", "wsgi.url_scheme"]
    seen = [environ[name] for name in names] + [repr(body)]
    # It joins SCRIPT_NAME and PATH_INFO, which makes two slashes where a program is mounted everywhere.
    if environ["SCRIPT_NAME"] not in ("", "/"):
        seen.append(request_uri(environ))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["\n".join(seen).encode()]

CGIHandler().run(app)
"#;

const PHP: &str = r#"<?php
header('Content-Type: text/plain');
$names = ['REQUEST_METHOD', 'REQUEST_URI', 'PATH_INFO', 'QUERY_STRING', 'CONTENT_TYPE', 'HTTP_HOST', 'HTTPS', 'REQUEST_SCHEME'];
// PHP joins SCRIPT_NAME and PATH_INFO, which makes two slashes where a program is mounted everywhere.
if (!in_array($_SERVER['SCRIPT_NAME'], ['', '/'])) array_push($names, 'SCRIPT_NAME', 'PHP_SELF');
foreach ($names as $name) echo $name, '=', $_SERVER[$name] ?? '', "\n";
echo json_encode([$_GET, $_POST, file_get_contents('php://input')]), "\n";
"#;

/// What CGI.pm makes of the environment. It builds URLs from REQUEST_URI, SCRIPT_NAME and PATH_INFO.
const PERL: &str = r#"
use strict;
use warnings;
use CGI;

my $cgi = CGI->new;
my @seen = (
    $cgi->request_method, $cgi->request_uri, $cgi->path_info, $cgi->protocol, $cgi->https ? "on" : "", $cgi->virtual_host,
    $cgi->content_type, join("&", map { "$_=" . $cgi->param($_) } sort $cgi->param), join("&", sort $cgi->url_param),
);
my $script = $cgi->script_name;
push @seen, $script, $cgi->url, $cgi->url(-path_info => 1), $cgi->url(-path_info => 1, -query => 1), $cgi->self_url
    if $script ne "" && $script ne "/";
print "Content-Type: text/plain\n\n", map { ($_ // "") . "\n" } @seen;
"#;

const RUBY: &str = r##"
require "cgi"

cgi = CGI.new
seen = [cgi.request_method, ENV["REQUEST_URI"], cgi.path_info, cgi.query_string, cgi.content_type, cgi.content_length,
        cgi.host, ENV["HTTPS"], cgi.params.sort.map { |name, values| "#{name}=#{values.join(",")}" }.join("&")]
seen << cgi.script_name unless ["", "/", nil].include?(cgi.script_name)
print "Content-Type: text/plain\n\n", seen.map { |value| "#{value}\n" }.join
"##;

struct Lighttpd {
    _process: Ending,
    url: String,
}

impl Lighttpd {
    /// Serves one program at a mount. `interpreter` is empty for a program that is started itself.
    fn start(directory: &Path, program: &Path, interpreter: &str, mount: &str, is_secure: bool) -> Self {
        let port = port::free().port();
        let (name, place) = (program.file_name().unwrap().to_str().unwrap(), program.display());
        // What is below an alias is the path below the program.
        let alias =
            if mount.is_empty() { format!("\"/\" => \"{place}/\"") } else { format!("\"{mount}\" => \"{place}\"") };
        let tls = if is_secure {
            let pem =
                [fixture("ec.cert.pem"), fixture("ec.pkcs8.pem")].map(|file| std::fs::read_to_string(file).unwrap());
            std::fs::write(directory.join("tls.pem"), pem.concat()).unwrap();
            format!("ssl.engine = \"enable\"\nssl.pemfile = \"{}/tls.pem\"\n", directory.display())
        } else {
            String::new()
        };
        let configuration = format!(
            "server.document-root = \"{}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n\
             server.modules = (\"mod_alias\", \"mod_cgi\", \"mod_openssl\")\nalias.url = ({alias})\n\
             cgi.assign = (\"{name}\" => \"{interpreter}\")\n{tls}",
            directory.display()
        );
        std::fs::write(directory.join("lighttpd.conf"), configuration).unwrap();
        let mut lighttpd = Command::new("/usr/sbin/lighttpd");
        lighttpd.arg("-D").arg("-f").arg(directory.join("lighttpd.conf")).stderr(Stdio::null());
        let process = Ending(lighttpd.spawn().expect("lighttpd is installed"));
        at_leisure(|| TcpStream::connect(("127.0.0.1", port)).ok());
        let scheme = if is_secure { "https" } else { "http" };
        Self { _process: process, url: format!("{scheme}://127.0.0.1:{port}") }
    }
}

fn wagi(site: Site, is_secure: bool) -> Wagi {
    let (cert, key) = (fixture("ec.cert.pem"), fixture("ec.pkcs8.pem"));
    let tls = ["--tls-cert", &cert, "--tls-key", &key];
    site.start(if is_secure { &tls } else { &[] })
}

/// Status, Location and body of the answer to a GET or, with a form, to a POST.
fn ask(url: &str, form: Option<&str>) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--http1.1", "--noproxy", "*", "--max-time", "300"]);
    curl.args(["--path-as-is", "--header", "Host: example.test"]);
    curl.args(["--write-out", "\n%{http_code} %header{location}\n"])
        .args(form.iter().flat_map(|form| ["--data", form]));
    let output = curl.arg(url).output().expect("curl is installed");
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
#[ignore = "needs lighttpd, curl and WAGI_GUESTS_DIR: go"]
fn go_s_package_for_cgi_sees_what_it_sees_under_lighttpd() {
    let (native, module) = (built_from_source("go-cgi"), built_from_source("go-cgi.wasm"));
    for (mount, is_secure) in MOUNTS.into_iter().flat_map(|mount| [(mount, false), (mount, true)]) {
        let directory = tempfile::tempdir().unwrap();
        let wagi = wagi(Site::new().module(&format!("{mount}/..."), &module, ""), is_secure);
        let lighttpd = Lighttpd::start(directory.path(), &native, "", mount, is_secure);
        for (target, form) in TARGETS.into_iter().flat_map(|target| [(target, None), (target, Some("a=b&c=%20"))]) {
            let [found, expected] = [wagi.url(), &lighttpd.url].map(|url| ask(&format!("{url}{mount}{target}"), form));
            assert_eq!(found, expected, "{mount} {target}");
            let status = if target.ends_with("redirect") { "303" } else { "200" };
            assert!(found.contains(&format!("\n{status} ")), "{found}");
        }
    }
}

/// What a native program prints behind its head when it is started with the environment that a guest has seen.
fn print(command: &mut Command, environment: &str, more: &[(&str, &str)], body: &str) -> String {
    let variables = environment.lines().filter_map(|line| line.split_once('='));
    let mut child = command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(variables)
        .envs(more.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is installed");
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).expect("text").replace("\r\n", "\n");
    output.split_once("\n\n").unwrap_or_else(|| panic!("no head: {output}")).1.to_owned()
}

/// Compares a script under lighttpd with the same script in the environment that wagi gives.
fn compare(script: &str, source: &str, interpreter: &str) {
    for (mount, is_secure) in MOUNTS.into_iter().flat_map(|mount| [(mount, false), (mount, true)]) {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join(script);
        std::fs::write(&program, source).unwrap();
        let wagi = wagi(Site::new().text_module(&format!("{mount}/..."), ENV, ""), is_secure);
        let lighttpd = Lighttpd::start(directory.path(), &program, interpreter, mount, is_secure);
        for target in TARGETS {
            let form = "a=b&c=%20";
            let expected = ask(&format!("{}{mount}{target}", lighttpd.url), Some(form));
            let environment = ask(&format!("{}{mount}{target}", wagi.url()), Some(form));
            // What PHP wants besides, as `environment` of the entry would give it.
            let more = [("SCRIPT_FILENAME", program.to_str().unwrap()), ("REDIRECT_STATUS", "200")];
            let found = print(Command::new(interpreter).arg(&program), &environment, &more, form);
            let (expected, _) = expected.rsplit_once("\n200 ").unwrap_or_else(|| panic!("{target}: {expected}"));
            assert_eq!(found, expected, "{mount} {target}");
        }
    }
}

#[test]
#[ignore = "needs lighttpd, curl and python3"]
fn python_s_cgi_handler_sees_what_it_sees_under_lighttpd() {
    compare("show.py", PYTHON, "/usr/bin/python3");
}

#[test]
#[ignore = "needs lighttpd, curl and php-cgi"]
fn php_sees_what_it_sees_under_lighttpd() {
    compare("show.php", PHP, "/usr/bin/php-cgi");
}

#[test]
#[ignore = "needs lighttpd, curl and libcgi-pm-perl"]
fn perl_s_cgi_module_sees_what_it_sees_under_lighttpd() {
    compare("show.pl", PERL, "/usr/bin/perl");
}

#[test]
#[ignore = "needs lighttpd, curl and ruby"]
fn ruby_s_cgi_library_sees_what_it_sees_under_lighttpd() {
    compare("show.rb", RUBY, "/usr/bin/ruby");
}
