//! Which variables does a component get?
//!
//! Those of its `environment`, and those that Spin gives through an interface of its own: `variables`, which version 1 calls `config`.
//! Here all of them are variables of the environment.

use std::ops::Range;

use toml::de::DeTable;

use crate::cli::commands::import::notes::{Notes, value};

/// What Spin's own provider puts before the names of variables of the application.
const PREFIX: &str = "SPIN_VARIABLE_";

/// The variables of a component, with their values as modules.toml has them.
pub(super) fn environment(
    component: &DeTable<'_>,
    application: Option<&DeTable<'_>>,
    notes: &mut Notes<'_>,
) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    if let Some(table) = value(component, "environment").and_then(|found| notes.table("environment", found)) {
        for (name, found) in table {
            if let Some(text) = notes.text("environment", found) {
                variables.push((name.get_ref().to_string(), expanded(text, found.span(), application, notes)));
            }
        }
    }
    for key in ["variables", "config"] {
        let Some(table) = value(component, key).and_then(|found| notes.table(key, found)) else { continue };
        for (name, found) in table {
            let Some(text) = notes.text(key, found) else { continue };
            let (old, new) = (name.get_ref(), name.get_ref().to_uppercase().replace('-', "_"));
            if variables.iter().any(|(known, _)| *known == new) {
                continue;
            }
            notes.add(
                name.span(),
                format!("the variable `{old}` becomes `{new}` of the environment"),
                "let the program read it there: Spin's interface for variables is not provided",
            );
            variables.push((new, expanded(text, found.span(), application, notes)));
        }
    }
    variables
}

/// A value with variables of the application in it, as `{{ name }}`.
fn expanded(text: &str, span: Range<usize>, application: Option<&DeTable<'_>>, notes: &mut Notes<'_>) -> String {
    let (mut value, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        value.push_str(&literal(before));
        value.push_str(&of_application(name.trim(), &span, application, notes));
        rest = behind;
    }
    value + &literal(rest)
}

/// Text in which nothing is replaced.
fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// The value of a variable of the application.
fn of_application(name: &str, span: &Range<usize>, application: Option<&DeTable<'_>>, notes: &mut Notes<'_>) -> String {
    let declared =
        application.and_then(|variables| value(variables, name)).and_then(|found| found.get_ref().as_table());
    let of_server = format!("{PREFIX}{}", name.to_uppercase());
    let default = declared.and_then(|declared| value(declared, "default")).and_then(|found| found.get_ref().as_str());
    match default {
        Some(default) if !default.contains('}') => format!("${{{of_server}:-{default}}}"),
        Some(default) => literal(default),
        None => {
            notes.add(
                span.clone(),
                format!("`{name}` comes from `{of_server}` of the server's environment, which has to be set"),
                format!("`export {of_server}=...`; for a secret in a file, see `secrets` in docs/modules-toml.md"),
            );
            format!("${{{of_server}}}")
        }
    }
}
