//! The JSON Schema of `modules.toml` in `packaging/`: it follows from the pages, has the keys that are promised, and says the same of
//! files as wagi does. `WAGI_BLESS=1 cargo test --test it schema` writes it anew.

mod generate;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::frozen::{promised, promised_names};
use crate::schema::generate::Pages;
use crate::support::registry::Done;
use crate::support::tree::text;

const FILE: &str = "packaging/modules.schema.json";

fn generated() -> Value {
    generate::schema(&Pages { keys: &text("docs/modules-toml.md"), limits: &text("docs/limits.md") })
}

#[test]
fn the_schema_is_what_the_pages_say() {
    let written = serde_json::to_string_pretty(&generated()).expect("JSON") + "\n";
    if std::env::var_os("WAGI_BLESS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE), &written).expect("writable");
    }
    assert_eq!(text(FILE), written, "WAGI_BLESS=1 cargo test --test it schema writes it anew");
}

/// So the tables of the pages have the same keys as the program, which is compared with the same promises.
#[test]
fn the_schema_has_the_keys_that_are_promised() {
    let schema = generated();
    for table in promised_names(&["keys", "modules.toml"]) {
        let of = if table == "top_level" { &schema } else { &schema["definitions"][&table] };
        let found: BTreeSet<_> = of["properties"].as_object().expect(&table).keys().cloned().collect();
        let expected: BTreeSet<_> = promised(&["keys", "modules.toml", &table]).into_iter().collect();
        assert_eq!(found, expected, "{table}");
    }
}

/// What only wagi finds: files that are not there, and values that contradict each other or are not what they name.
const BEYOND_A_SCHEMA: [&str; 11] = [
    "admin_address",
    "admin_open",
    "bindle_modules",
    "client_ca",
    "default_host",
    "missing_module_file",
    "module_references",
    "multi_line_value",
    "proxy_protocol",
    "sockets",
    "web_servers",
];

fn files(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".toml")).map(|name| format!("{directory}/{name}")).collect()
}

#[test]
#[ignore = "needs python3 with jsonschema"]
fn a_validator_of_others_says_the_same_of_files_as_wagi() {
    let (good, bad) = (files("tests/manifests/good"), files("tests/manifests/bad"));
    let examples = fs::read_dir("examples").expect("a directory").map(|entry| entry.expect("an entry").path());
    let examples = examples.map(|path| path.join("modules.toml")).filter(|path| path.is_file());
    let mut served: Vec<_> = examples.map(|path| path.display().to_string()).collect();
    assert!(served.len() >= 7, "{served:?}");
    served.extend(["examples/modules.toml", "examples/production.toml", "packaging/modules.toml"].map(str::to_owned));
    let mut python = Command::new("python3");
    python.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tests/it/schema/validate.py", FILE]);
    let printed = Done::from(python.args(&served).args(&good).args(&bad).output()).well();
    let mut seen = 0;
    for line in printed.lines() {
        let [path, found, reason] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let stem = Path::new(path).file_stem().expect("a name").to_string_lossy().into_owned();
        let is_bad = path.starts_with("tests/manifests/bad") && !BEYOND_A_SCHEMA.contains(&&*stem);
        // Unknown keys are warnings for wagi, since a newer version may know them.
        let expects_error = is_bad || stem == "unknown_keys";
        assert_eq!(found != "valid", expects_error, "{path}: {found} {reason}");
        seen += 1;
    }
    assert_eq!(seen, served.len() + good.len() + bad.len());
}
