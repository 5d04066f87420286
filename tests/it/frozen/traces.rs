//! Variables, spans and attributes of traces.

use std::collections::BTreeSet;

use super::{are_the_same, promised, text};

/// The sources without their tests.
fn sources(names: &[&str]) -> String {
    let source = |name: &&str| text(&format!("src/observe/traces/{name}.rs"));
    names.iter().map(source).map(|text| text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()).collect()
}

/// The texts in quotes.
fn quoted(source: &str) -> BTreeSet<String> {
    source.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn variables_of_traces_are_as_promised() {
    let found = quoted(&sources(&["settings"])).into_iter().filter(|text| text.starts_with("OTEL_"));
    are_the_same("variables of traces", &promised(&["traces", "variables"]), found);
}

#[test]
fn names_and_attributes_of_spans_are_as_promised() {
    let source = sources(&["request", "calls", "span"]);
    let is_name = |text: &String| {
        text.contains('.') && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte))
    };
    let found: BTreeSet<String> =
        quoted(&source).into_iter().filter(is_name).filter(|text| !text.ends_with('.')).collect();
    are_the_same("attributes of spans", &promised(&["traces", "attributes"]), found);
    for span in promised(&["traces", "spans"]) {
        assert!(source.contains(&format!("\"{span}\".into()")), "{span}");
    }
}
