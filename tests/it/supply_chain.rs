//! What the program is made of: its bill of materials, and the checksums of what is given away.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::support::process::{output, output_of};
use crate::support::registry::Done;

fn script(name: &str) -> String {
    format!("{}/packaging/supply-chain/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn bill() -> String {
    Done::from(output(Command::new("python3").arg(script("sbom.py")))).well()
}

fn json(bill: &str) -> Value {
    serde_json::from_str(bill).expect("JSON")
}

/// Names with versions, and checksums, as Cargo.lock has them.
fn locked() -> BTreeMap<String, String> {
    let text = include_str!("../../Cargo.lock");
    let lock: toml::Table = text.parse().expect("TOML");
    let packages = lock["package"].as_array().expect("a list").iter();
    let text = |package: &toml::Value, key: &str| {
        package.get(key).map_or("", |value| value.as_str().expect("text")).to_owned()
    };
    packages
        .map(|package| (format!("{}@{}", text(package, "name"), text(package, "version")), text(package, "checksum")))
        .collect()
}

#[test]
#[ignore = "needs python3 with cyclonedx-python-lib"]
fn the_bill_of_materials_is_valid_and_always_the_same() {
    let bill = bill();
    assert_eq!(bill, self::bill());
    let validate =
        |bill: &str| -> Done { output_of(Command::new("python3").arg(script("validate.py")), bill.as_bytes()).into() };
    assert_eq!(validate(&bill).well(), "valid\n");
    let broken = bill.replace("\"bomFormat\": \"CycloneDX\"", "\"bomFormat\": \"Another\"");
    assert!(validate(&broken).badly().contains("error: "), "the validator is one that finds mistakes");
}

#[test]
#[ignore = "needs python3 with cyclonedx-python-lib"]
fn the_bill_of_materials_has_what_is_linked_with_the_checksums_of_the_lock_file() {
    let bill = json(&bill());
    let (components, locked) = (bill["components"].as_array().expect("a list"), locked());
    let of = |component: &Value, key: &str| component[key].as_str().expect(key).to_owned();
    for component in components {
        let name = format!("{}@{}", of(component, "name"), of(component, "version"));
        assert_eq!(component["hashes"][0]["content"].as_str(), locked.get(&name).map(String::as_str), "{name}");
        assert!(component["licenses"][0]["expression"].is_string(), "{name}");
    }
    let has = |name: &str| components.iter().any(|component| component["name"] == name);
    assert!(["wasmtime", "hyper", "rustls", "prost", "tokio"].into_iter().all(has));
    // What only tests need, what another platform needs, and the program itself.
    assert!(!["axum", "clap_mangen", "windows-sys", "wagi"].into_iter().any(has));
    assert_eq!(bill["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(bill["dependencies"].as_array().expect("a list").len(), components.len() + 1);
}

#[test]
fn checksums_are_checked_in_the_folder_that_files_were_loaded_into() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    for name in ["a/wagi", "b/bill.json"] {
        std::fs::create_dir_all(path(name).parent().expect("a directory")).expect("it can be made");
        std::fs::write(path(name), name).expect("writable");
    }
    let files = ["b/bill.json", "a/wagi"].map(path);
    let sums = Done::from(output(Command::new("bash").arg(script("checksums.sh")).args(&files))).well();
    assert_eq!(sums.lines().map(|line| &line[64..]).collect::<Vec<_>>(), [" *bill.json", " *wagi"]);
    for (file, name) in files.iter().zip(["bill.json", "wagi"]) {
        std::fs::copy(file, path(name)).expect("it can be copied");
    }
    let check = || -> Done {
        output_of(Command::new("sha256sum").arg("--check").current_dir(directory.path()), sums.as_bytes()).into()
    };
    check().well();
    std::fs::write(path("wagi"), "another").expect("writable");
    assert_eq!(check().code, Some(1));
}
