//! `wagi inspect`, of files and of what is in registries.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::oci::{digest, manifest, program, registry, shelf};
use crate::support::process::run;
use crate::support::site::Site;

#[track_caller]
fn shown(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{out}{err}");
    out
}

fn inspect(directory: &Path, arguments: &[&str]) -> Output {
    run(directory, &[&["inspect"], arguments].concat())
}

#[track_caller]
fn json(directory: &Path, arguments: &[&str]) -> Value {
    let text = shown(&inspect(directory, &[&["--json"], arguments].concat()));
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_file_is_shown_with_all_a_start_would_find() {
    let site = Site::new();
    let greet = include_str!("../../examples/greet.wat");
    site.file("greet.wat", greet);
    let text = shown(&inspect(site.path(), &["greet.wat"]));
    for part in [
        "kind      module, as text\n",
        &format!("({} bytes)\ndigest    {}\n", greet.len(), digest(greet)),
        "imports from wasi_snapshot_preview1:\n  fd_write (function)\n",
        "entry points:\n  _start\n",
        "sub-routes:\n  /hello -> hello\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("cannot be served"), "{text}");
    let json = json(site.path(), &["greet.wat"]);
    assert_eq!(json["subroutes"][0]["route"], "/hello");
    assert_eq!((&json["imports"][0]["served"], &json["artifact"]), (&Value::Bool(true), &Value::Null));
    assert_eq!((json["kind"].as_str(), json["size"].as_u64()), (Some("module"), Some(greet.len() as u64)));
}

#[test]
fn what_cannot_be_served_is_shown_with_the_reason() {
    let site = Site::new();
    site.file(
        "odd.wat",
        "(module (import \"env\" \"\\1b[2J\" (func)) (memory 3 9) (func (export \"run\") (param i32)))",
    );
    let text = shown(&inspect(site.path(), &["odd.wat"]));
    assert!(text.contains("\\u{1b}[2J (function), which nothing here provides") && !text.contains('\u{1b}'), "{text}");
    assert!(
        text.contains("192.0 KiB at the start, at most 576.0 KiB") && text.contains("entry points: none"),
        "{text}"
    );
    assert!(text.contains("cannot be served as it is:"), "{text}");
    site.file("component.wat", "(component)");
    assert_eq!(json(site.path(), &["component.wat"])["kind"], "component, of another world");
    for (what, part) in
        [("missing.wasm", "cannot read `missing.wasm`"), ("text.wasm", "neither a module nor a component")]
    {
        site.file("text.wasm", "hello");
        let output = inspect(site.path(), &[what]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(part), "{said}");
    }
}

#[test]
fn what_is_in_a_registry_is_shown_with_its_manifest() {
    let content = program("hello");
    let server = registry(shelf(&content));
    let site = Site::new();
    let name = format!("127.0.0.1:{}/app:1", server.port());
    for reference in [name.clone(), format!("oci:{name}"), format!("oci://{name}")] {
        let json = json(site.path(), &[reference.as_str(), "--module-cache", "cache"]);
        assert_eq!(json["digest"], digest(&content));
        assert_eq!(json["artifact"]["manifest"], digest(&manifest(&content)));
        assert_eq!(
            (&json["artifact"]["layout"], &json["artifact"]["reference"]),
            (&"legacy".into(), &format!("oci:{name}").into())
        );
    }
    let text = shown(&inspect(site.path(), &[name.as_str(), "--module-cache", "cache"]));
    assert!(text.contains("layout    legacy\n"), "{text}");
    let missing = format!("127.0.0.1:{}/app:2", server.port());
    let output = inspect(site.path(), &[&missing]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_documentation_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/caches.md")).expect("there is a page");
    let line = "$ wagi inspect examples/greet.wat\n";
    let (_, block) = page.split_once(line).expect("the page has an example");
    let (expected, _) = block.split_once("```").expect("the block ends");
    assert_eq!(shown(&inspect(root, &["examples/greet.wat"])), expected);
}
