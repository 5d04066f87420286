//! What is a guest told of its script, and can a client say otherwise?

use crate::scripts::{SCRIPTS, tree};
use crate::support::guest::probe;
use crate::support::http1::Connection;

/// Prints its variables.
const ENV: &str = include_str!("../../../examples/env.wat");

/// The value of a variable in what [`ENV`] prints, which has it once.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = values.next();
    assert_eq!(values.next(), None, "{name} is there twice: {text}");
    value
}

#[test]
fn variables_name_the_script_and_what_is_behind_it() {
    let mounted = "scripts = { directory = 'www', extensions = ['php'], mount = '/srv/site/' }";
    let at_the_root = "scripts = { directory = 'www', extensions = ['php'], mount = '/' }";
    let wagi = tree()
        .text_module("/mounted/...", ENV, mounted)
        .text_module("/root/...", ENV, at_the_root)
        .text_module("/sh%20op/...", ENV, SCRIPTS)
        .text_module("/shop/...", ENV, SCRIPTS)
        .text_module("/...", ENV, SCRIPTS)
        .start(&[]);
    let mut connection = Connection::open(wagi.address());
    // Target; SCRIPT_NAME; SCRIPT_FILENAME; DOCUMENT_ROOT; PATH_INFO; PATH_TRANSLATED.
    for (target, script_name, filename, root, path_info, translated) in [
        ("/blog.php", "/blog.php", "/www/blog.php", "/www", "", None),
        ("/", "/index.php", "/www/index.php", "/www", "", None),
        ("/app/deep/page.php/a/b", "/app/deep/page.php", "/www/app/deep/page.php", "/www", "/a/b", Some("/www/a/b")),
        ("/blog.php/", "/blog.php", "/www/blog.php", "/www", "/", Some("/www/")),
        ("/blog.php/a%20b%2Fc?x", "/blog.php", "/www/blog.php", "/www", "/a b/c", Some("/www/a b/c")),
        ("/a%20b.php/x", "/a b.php", "/www/a b.php", "/www", "/x", Some("/www/x")),
        ("//app//index.php//x", "/app/index.php", "/www/app/index.php", "/www", "//x", Some("/www//x")),
        ("/alias.php", "/alias.php", "/www/alias.php", "/www", "", None),
        ("/shop/blog.php/x", "/shop/blog.php", "/www/blog.php", "/www", "/x", Some("/www/x")),
        ("/shop/app/", "/shop/app/index.php", "/www/app/index.php", "/www", "", None),
        ("/sh%20op/blog.php", "/sh%20op/blog.php", "/www/blog.php", "/www", "", None),
        ("/mounted/blog.php/x", "/mounted/blog.php", "/srv/site/blog.php", "/srv/site", "/x", Some("/srv/site/x")),
        ("/root/blog.php/x", "/root/blog.php", "/blog.php", "/", "/x", Some("/x")),
    ] {
        let text = connection.get(target).text();
        for (name, expected) in [
            ("SCRIPT_NAME", Some(script_name)),
            ("SCRIPT_FILENAME", Some(filename)),
            ("DOCUMENT_ROOT", Some(root)),
            ("PATH_INFO", Some(path_info)),
            ("PATH_TRANSLATED", translated),
            ("REDIRECT_STATUS", Some("200")),
            ("REQUEST_URI", Some(target)),
            ("QUERY_STRING", Some(target.split_once('?').map_or("", |(_, query)| query))),
            ("GATEWAY_INTERFACE", Some("CGI/1.1")),
        ] {
            assert_eq!(value(&text, name), expected, "{name} of {target}");
        }
    }
    assert_eq!(value(&connection.get("/shop/blog.php/x").text(), "X_MATCHED_ROUTE"), Some("/shop/..."));
    assert_eq!(value(&connection.get("/blog.php/a%2Fb").text(), "X_RAW_PATH_INFO"), Some("/a%2Fb"));
    assert_eq!(connection.get("/blog.php/%00").status, 400);
}

#[test]
fn no_header_field_and_no_variable_of_the_operator_says_otherwise() {
    let keys = "environment = { SCRIPT_FILENAME = '/own', DOCUMENT_ROOT = '/own', REDIRECT_STATUS = '1', MINE = '2' }";
    let site = tree().text_module("/...", ENV, &format!("{SCRIPTS}\n{keys}"));
    let wagi = site.text_module("/plain/...", ENV, keys).start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.send(
        "GET /blog.php/x?SCRIPT_FILENAME=/etc/passwd HTTP/1.1\r\nHost: localhost\r\nSCRIPT_FILENAME: /etc/passwd\r\n\
         Script-Filename: /etc/passwd\r\nDocument-Root: /etc\r\nDOCUMENT_ROOT: /etc\r\nRedirect-Status: 1\r\n\
         Script-Name: /etc\r\nPath-Info: /etc\r\nPath-Translated: /etc/passwd\r\nProxy: evil\r\n\r\n",
    );
    let text = connection.answer().text();
    for (name, expected) in [
        ("SCRIPT_FILENAME", "/www/blog.php"),
        ("DOCUMENT_ROOT", "/www"),
        ("REDIRECT_STATUS", "200"),
        ("SCRIPT_NAME", "/blog.php"),
        ("PATH_INFO", "/x"),
        ("PATH_TRANSLATED", "/www/x"),
        ("MINE", "2"),
    ] {
        assert_eq!(value(&text, name), Some(expected), "{name}");
    }
    let named =
        |line: &&str| line.contains("/etc") && !line.starts_with("HTTP_") && !line.contains("SCRIPT_FILENAME=/etc");
    assert_eq!(text.lines().find(named), None);
    assert_eq!(value(&text, "HTTP_PROXY"), None);
    for name in ["SCRIPT_FILENAME", "DOCUMENT_ROOT", "REDIRECT_STATUS"] {
        wagi.logged(&[&format!("route `/...`: the variable `{name}` is left out: `scripts` defines it")]);
    }
    // Without scripts these are names like others.
    drop(wagi);
    let wagi = tree().text_module("/plain/...", ENV, keys).start(&["--strict"]);
    let text = Connection::open(wagi.address()).get("/plain/x").text();
    assert_eq!(value(&text, "SCRIPT_FILENAME"), Some("/own"));
    assert_eq!(value(&text, "DOCUMENT_ROOT"), Some("/own"));
    assert!(!wagi.log().contains("left out"), "{}", wagi.log());
}

/// CVE-2012-1823: php-cgi took `?-s` for its option that shows the source.
#[test]
fn a_query_is_never_an_argument() {
    let wagi = tree().module("/...", &probe(), SCRIPTS).start(&[]);
    let mut connection = Connection::open(wagi.address());
    for query in ["", "?-s", "?-d+allow_url_include%3d1", "?a=b&-s&c", "?--", "?a+b+c", "?%2Ds", "?-s%00"] {
        let answer = connection.get(&format!("/blog.php/args{query}"));
        assert_eq!(answer.text(), "\"/www/blog.php\"\n", "{query}");
    }
    assert_eq!(connection.get("/a%20b.php/args?x").text(), "\"/www/a b.php\"\n");
}

#[test]
fn with_argv_as_an_array_the_script_is_where_the_operator_wants_it() {
    let keys = format!(
        "{SCRIPTS}\nargv = ['python', '-B', '${{SCRIPT_FILENAME}}', '${{PATH_INFO}}', '${{SCRIPT_NAME}}', '${{ARGS}}']"
    );
    let wagi = tree().module("/x/...", &probe(), &keys).start(&[]);
    let mut connection = Connection::open(wagi.address());
    let python = "\"python\"\n\"-B\"\n";
    for (target, rest) in [
        ("/x/blog.php/args?-s&b", "\"/www/blog.php\"\n\"/args\"\n\"/x/blog.php\"\n\"-s\"\n\"b\"\n"),
        ("/x/a%20b.php/args", "\"/www/a b.php\"\n\"/args\"\n\"/x/a b.php\"\n"),
    ] {
        assert_eq!(connection.get(target).text(), format!("{python}{rest}"), "{target}");
    }
}

#[test]
fn the_directory_is_a_volume_that_the_guest_may_only_read() {
    let site = tree();
    site.file("uploads/old.txt", "old");
    let wagi = site.module("/...", &probe(), &format!("{SCRIPTS}\nvolumes = {{ '/uploads' = 'uploads' }}")).start(&[]);
    let mut connection = Connection::open(wagi.address());
    assert!(connection.get("/blog.php/list?/www/app").text().contains("deep\nindex.php\n"));
    assert_eq!(connection.get("/blog.php/list?/uploads").text(), "old.txt\n");
    assert_eq!(connection.post("/blog.php/write/new.txt", "new").text(), "wrote 3 bytes\n");
    assert!(wagi.directory().join("uploads/new.txt").is_file());
    let only = tree().module("/...", &probe(), SCRIPTS).start(&[]);
    let refused = Connection::open(only.address()).post("/blog.php/write/new.php", "new");
    assert!(refused.status != 200 || !refused.text().contains("wrote"), "{}", refused.text());
    assert!(!only.directory().join("www/new.php").exists());
}
