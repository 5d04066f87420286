//! Where paths lead, over a directory that is only a list.

use std::cell::Cell;

use crate::route::script_path::*;

/// Paths, of directories with a slash at their end. What is not in the list is not served.
const TREE: [&str; 24] = [
    "index.php",
    "blog.php",
    "other.php",
    "UPPER.PHP",
    "style.css",
    "a b.php",
    "ä.php",
    "a+b.php",
    "100%.php",
    "x.php/",
    "x.php/index.php",
    "x.php/y.php",
    "x.php/logo.png",
    "x.php/x.php/",
    "x.php/x.php/z.php",
    "app/",
    "app/main.inc",
    "app/index.php",
    "app/deep/",
    "app/deep/page.phtml",
    "bare/",
    "bare/notes.txt",
    "html/",
    "html/index.html",
];

struct List {
    looks: Cell<usize>,
}

impl ScriptDirectory for List {
    type Error = &'static str;

    fn kind(&self, path: &str) -> Result<Option<PathKind>, Self::Error> {
        self.looks.set(self.looks.get() + 1);
        assert!(!path.starts_with('/') && !path.ends_with('/') && !path.contains("//"), "{path}");
        assert!(path.split('/').all(|name| !name.starts_with('.') && !name.contains('\0')), "{path}");
        let directory = format!("{path}/");
        Ok(match path {
            "" => Some(PathKind::Directory),
            "broken.php" => return Err("the disk is broken"),
            path if TREE.contains(&path) => Some(PathKind::File),
            _ if TREE.contains(&directory.as_str()) => Some(PathKind::Directory),
            _ => None,
        })
    }
}

fn rules() -> ScriptRules {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    ScriptRules::new(&owned(&["php", "phtml"]), &owned(&["index.php", "index.html"]))
}

/// Where a path leads, and how often the directory was asked.
fn walked(path: &str) -> (Result<ScriptWalk, &'static str>, usize) {
    let list = List { looks: Cell::new(0) };
    (rules().walk(path, &list), list.looks.get())
}

/// No script, or the path of a directory without its slash.
const NOTHING: &str = "nothing";
const REDIRECT: &str = "directory";

#[test]
fn a_path_leads_to_the_first_script_in_it() {
    for (path, script, path_info) in [
        // A script, and what is behind it.
        ("/blog.php", "blog.php", ""),
        ("/blog.php/", "blog.php", "/"),
        ("/blog.php/a/b", "blog.php", "/a/b"),
        ("/blog.php//a//", "blog.php", "//a//"),
        ("/blog.php/a%2Fb%20c", "blog.php", "/a%2Fb%20c"),
        ("/blog.php/../other.php", "blog.php", "/../other.php"),
        ("/blog.php/.hidden", "blog.php", "/.hidden"),
        ("/blog.php/%00", "blog.php", "/%00"),
        ("/blog.php/%ff", "blog.php", "/%ff"),
        ("/blog.php/ä", "blog.php", "/ä"),
        ("/app/deep/page.phtml", "app/deep/page.phtml", ""),
        ("/app/deep/page.phtml/x", "app/deep/page.phtml", "/x"),
        // PATH_INFO that looks like a script, or like a directory.
        ("/blog.php/other.php", "blog.php", "/other.php"),
        ("/blog.php/blog.php", "blog.php", "/blog.php"),
        ("/blog.php/missing.php", "blog.php", "/missing.php"),
        ("/blog.php/app/", "blog.php", "/app/"),
        ("/blog.php/style.css", "blog.php", "/style.css"),
        // A directory stands for its index.
        ("/", "index.php", ""),
        ("//", "index.php", ""),
        ("/app/", "app/index.php", ""),
        ("/app//", "app/index.php", ""),
        ("/x.php/", "x.php/index.php", ""),
        ("/index.php", "index.php", ""),
        ("/index.php/", "index.php", "/"),
        // Directories that are called like scripts.
        ("/x.php/y.php", "x.php/y.php", ""),
        ("/x.php/y.php/z.php", "x.php/y.php", "/z.php"),
        ("/x.php/x.php/z.php/x.php", "x.php/x.php/z.php", "/x.php"),
        ("/x.php", REDIRECT, ""),
        ("/x.php/x.php", REDIRECT, ""),
        ("/x.php/x.php/", NOTHING, ""),
        ("/x.php/missing", NOTHING, ""),
        ("/x.php/logo.png", NOTHING, ""),
        // Directories without their slash; without an index.
        ("", REDIRECT, ""),
        ("/app", REDIRECT, ""),
        ("//app", REDIRECT, ""),
        ("/bare", REDIRECT, ""),
        ("/bare/", NOTHING, ""),
        ("/html/", NOTHING, ""),
        // Encoded names are decoded, each segment by itself.
        ("/a%20b.php", "a b.php", ""),
        ("/%C3%A4.php", "ä.php", ""),
        ("/ä.php", "ä.php", ""),
        ("/a%2Bb.php", "a+b.php", ""),
        ("/a+b.php", "a+b.php", ""),
        ("/100%25.php", "100%.php", ""),
        ("/100%.php", "100%.php", ""),
        ("/%62log%2ephp/x", "blog.php", "/x"),
        ("/%61pp/%64eep/page.phtml", "app/deep/page.phtml", ""),
        ("//app///deep//page.phtml//x", "app/deep/page.phtml", "//x"),
        // Encoded slashes and NUL are in no name.
        ("/app%2Findex.php", NOTHING, ""),
        ("/app%2findex.php", NOTHING, ""),
        ("/blog.php%2Fx", NOTHING, ""),
        ("/%2Fblog.php", NOTHING, ""),
        ("/blog.php%00", NOTHING, ""),
        ("/blog.php%00.css", NOTHING, ""),
        ("/%ff.php", NOTHING, ""),
        ("/%C3.php", NOTHING, ""),
        // Names that begin with a dot do not exist, however they are written.
        ("/.", NOTHING, ""),
        ("/..", NOTHING, ""),
        ("/./blog.php", NOTHING, ""),
        ("/app/../blog.php", NOTHING, ""),
        ("/app/%2e%2e/blog.php", NOTHING, ""),
        ("/app/.%2E/blog.php", NOTHING, ""),
        ("/.php", NOTHING, ""),
        ("/.hidden.php", NOTHING, ""),
        ("/%2ehidden.php", NOTHING, ""),
        ("/.git/blog.php", NOTHING, ""),
        ("/.well-known/blog.php", NOTHING, ""),
        ("/..;/blog.php", NOTHING, ""),
        // Case counts, in names and in extensions.
        ("/Blog.php", NOTHING, ""),
        ("/blog.PHP", NOTHING, ""),
        ("/blog.Php/x", NOTHING, ""),
        ("/UPPER.PHP", NOTHING, ""),
        ("/upper.php", NOTHING, ""),
        // Almost a script.
        ("/blog.php~", NOTHING, ""),
        ("/blog.php.bak", NOTHING, ""),
        ("/blog.php%20", NOTHING, ""),
        ("/blog.php.", NOTHING, ""),
        ("/blog.php;x", NOTHING, ""),
        ("/blog.php::$DATA", NOTHING, ""),
        ("/blogphp", NOTHING, ""),
        ("/php", NOTHING, ""),
        ("\\blog.php", NOTHING, ""),
        ("/app\\index.php", NOTHING, ""),
        ("/app%5Cindex.php", NOTHING, ""),
        ("/%252e%252e/blog.php", NOTHING, ""),
        // Other files, and nothing at all.
        ("/style.css", NOTHING, ""),
        ("/style.css/", NOTHING, ""),
        ("/style.css/blog.php", NOTHING, ""),
        ("/app/main.inc", NOTHING, ""),
        ("/html/index.html", NOTHING, ""),
        ("/missing.php", NOTHING, ""),
        ("/missing.php/blog.php", NOTHING, ""),
        ("/missing/blog.php", NOTHING, ""),
        ("/missing", NOTHING, ""),
        ("/missing/", NOTHING, ""),
        ("/app/missing/x", NOTHING, ""),
        ("*", NOTHING, ""),
    ] {
        let expected = match script {
            NOTHING => ScriptWalk::Nothing,
            REDIRECT => ScriptWalk::Directory,
            script => ScriptWalk::Script(ScriptPath { script: script.to_owned(), path_info: path_info.to_owned() }),
        };
        assert_eq!(walked(path).0, Ok(expected), "{path}");
    }
}

#[test]
fn a_directory_that_fails_is_not_one_without_scripts() {
    assert_eq!(walked("/broken.php/x").0, Err("the disk is broken"));
}

/// A path may be long, and everything in it a name of a script.
#[test]
fn the_directory_is_asked_about_few_paths() {
    for (path, looks) in [
        ("/blog.php/".to_owned() + &"a.php/".repeat(1000), 1),
        ("/missing.php".repeat(1000), 1),
        ("/missing".repeat(1000), 1),
        ("/missing/".repeat(1000), 2),
        ("/".repeat(1000), 1),
        ("/app/deep/page.phtml".to_owned(), 1),
    ] {
        assert_eq!(walked(&path).1, looks, "{path}");
    }
}

#[test]
fn names_that_hold_an_extension_may_be_sources() {
    for (name, expected) in [
        ("a.php", true),
        ("a.PHP", true),
        ("a.pHtMl", true),
        ("a.php~", true),
        ("a.php.bak", true),
        ("a.php5", true),
        (".php", true),
        ("#a.php#", true),
        ("a.php.gz", true),
        ("aphp", false),
        ("php", false),
        ("a.ph", false),
        ("a.ph.p", false),
        ("a.html", false),
        ("", false),
    ] {
        assert_eq!(rules().may_be_source(name.as_bytes()), expected, "{name}");
    }
    assert!(rules().may_be_source(b"\xff.php\xff"));
    assert_eq!(rules().other_indexes().collect::<Vec<_>>(), ["index.html"]);
}
