//! Which components of a manifest answer HTTP requests, and where? Versions 1 and 2 of the manifest say it in different places.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;
use wagi::config::SourceFile;

use crate::cli::commands::import::notes::{ManifestValue, Notes, value};

/// A manifest, as far as it is about HTTP.
pub(super) struct SpinManifest<'f> {
    /// The name of the application.
    pub name: Option<String>,
    /// The path before all routes; `/` if there is none.
    pub base: String,
    pub triggers: Vec<HttpTrigger<'f>>,
    /// The variables of the application.
    pub variables: Option<DeTable<'f>>,
}

/// A component at a route.
pub(super) struct HttpTrigger<'f> {
    pub component: DeTable<'f>,
    pub id: String,
    pub route: String,
    pub span: Range<usize>,
    /// How the component is run, if the manifest says it.
    pub executor: Option<Spanned<toml::de::DeValue<'f>>>,
}

impl<'f> SpinManifest<'f> {
    /// Reads a manifest. `None` if it is none.
    pub fn read(file: &'f Arc<SourceFile>, notes: &mut Notes<'_>) -> Option<Self> {
        let root = match DeTable::parse(file.text()) {
            Ok(root) => root.into_inner(),
            Err(error) => {
                let message = format!("not valid TOML: {}", error.message());
                notes.error(error.span().unwrap_or_default(), message, "this has to be a spin.toml");
                return None;
            }
        };
        let version = value(&root, "spin_manifest_version").or_else(|| value(&root, "spin_version"));
        let Some(version) = version else {
            notes.fail(
                "this is no manifest of Spin: there is no `spin_manifest_version`",
                "name the spin.toml; a modules.toml of WAGI is served as it is: `wagi -c modules.toml`",
            );
            return None;
        };
        let number = version.get_ref().as_str().map(str::to_owned);
        let number = number.or_else(|| Some(version.get_ref().as_integer()?.as_str().to_owned()));
        match number.as_deref() {
            Some("1") => Some(Self::first(&root, notes)),
            Some("2") => Some(Self::second(&root, notes)),
            _ => {
                notes.error(
                    version.span(),
                    "the manifest has a version that is not known here",
                    "versions 1 and 2 are",
                );
                None
            }
        }
    }

    /// Version 1: each component has its trigger.
    fn first(root: &DeTable<'f>, notes: &mut Notes<'_>) -> Self {
        let trigger = value(root, "trigger").and_then(|trigger| notes.table("trigger", trigger));
        let kind = trigger.and_then(|trigger| value(trigger, "type"));
        let mut triggers = Vec::new();
        if let Some(kind) = kind.filter(|kind| kind.get_ref().as_str() != Some("http")) {
            other_trigger(kind, kind.get_ref().as_str().unwrap_or_default(), notes);
        } else if let Some(components) = value(root, "component") {
            for component in notes.array("component", components) {
                triggers
                    .extend(notes.table("component", component).and_then(|component| of_component(component, notes)));
            }
        }
        let base = trigger.and_then(|trigger| value(trigger, "base")).and_then(|base| notes.text("base", base));
        Self {
            name: text(root, "name"),
            base: base.unwrap_or("/").to_owned(),
            triggers,
            variables: variables(root, notes),
        }
    }

    /// Version 2: triggers name their components.
    fn second(root: &DeTable<'f>, notes: &mut Notes<'_>) -> Self {
        let empty = DeTable::new();
        let components = value(root, "component").and_then(|found| notes.table("component", found)).unwrap_or(&empty);
        let kinds = value(root, "trigger").and_then(|found| notes.table("trigger", found)).unwrap_or(&empty);
        let mut triggers = Vec::new();
        for (kind, list) in kinds {
            if kind.get_ref() != "http" {
                other_trigger(list, kind.get_ref(), notes);
                continue;
            }
            for trigger in notes.array("trigger.http", list) {
                let table = notes.table("trigger.http", trigger);
                triggers.extend(table.and_then(|table| of_trigger(table, trigger.span(), components, notes)));
            }
        }
        let application = value(root, "application").and_then(|found| notes.table("application", found));
        let http = application.and_then(|application| {
            value(value(application, "trigger")?.get_ref().as_table()?, "http")?.get_ref().as_table()
        });
        Self {
            name: application.and_then(|application| text(application, "name")),
            base: http.and_then(|http| text(http, "base")).unwrap_or_else(|| "/".to_owned()),
            triggers,
            variables: variables(root, notes),
        }
    }
}

fn text(table: &DeTable<'_>, key: &str) -> Option<String> {
    value(table, key)?.get_ref().as_str().map(str::to_owned)
}

fn variables<'f>(root: &DeTable<'f>, notes: &mut Notes<'_>) -> Option<DeTable<'f>> {
    value(root, "variables").and_then(|found| notes.table("variables", found)).cloned()
}

/// A trigger of another kind.
fn other_trigger(at: &ManifestValue<'_>, kind: &str, notes: &mut Notes<'_>) {
    let help = match kind {
        "redis" | "mqtt" | "sqs" => "let a program that reads the messages send them to a route of wagi over HTTP",
        "cron" | "timer" => "let cron or a systemd timer run it: `wagi run`, or a request to a route of its own",
        _ => "wagi serves HTTP, and nothing else",
    };
    notes.add(at.span(), format!("components with a trigger of the kind `{kind}` are left out"), help);
}

/// The trigger of a component of version 1.
fn of_component<'f>(component: &DeTable<'f>, notes: &mut Notes<'_>) -> Option<HttpTrigger<'f>> {
    let id = text(component, "id").unwrap_or_else(|| "component".to_owned());
    let found = value(component, "trigger")?;
    let trigger = notes.table("trigger", found)?;
    let Some(route) = value(trigger, "route") else {
        let help = "wagi serves what has a `route`";
        notes.add(found.span(), format!("component `{id}` has no route, and is left out"), help);
        return None;
    };
    let (text, executor) = (notes.text("route", route)?.to_owned(), value(trigger, "executor").cloned());
    Some(HttpTrigger { component: component.clone(), id, route: text, span: route.span(), executor })
}

/// A trigger of version 2.
fn of_trigger<'f>(
    trigger: &DeTable<'f>,
    span: Range<usize>,
    components: &DeTable<'f>,
    notes: &mut Notes<'_>,
) -> Option<HttpTrigger<'f>> {
    let Some(found) = value(trigger, "component") else {
        without_component(trigger, span, notes);
        return None;
    };
    let (id, component) = match found.get_ref().as_str() {
        None => ("inline", notes.table("component", found)?),
        Some(id) => match value(components, id) {
            Some(component) => (id, notes.table(id, component)?),
            None => {
                notes.error(found.span(), format!("there is no component `{id}`"), format!("add `[component.{id}]`"));
                return None;
            }
        },
    };
    let Some(route) = value(trigger, "route") else {
        notes.error(span, "this trigger has no route", "write `route = \"/...\"`");
        return None;
    };
    if route.get_ref().is_table() {
        let help = "wagi has no routes for other components alone: compose the components, or give it a route";
        notes.add(route.span(), format!("component `{id}` is private, and is left out"), help);
        return None;
    }
    let (text, executor) = (notes.text("route", route)?.to_owned(), value(trigger, "executor").cloned());
    Some(HttpTrigger { component: component.clone(), id: id.to_owned(), route: text, span: route.span(), executor })
}

/// A trigger of version 2 that no component belongs to: it has a response of its own, or is incomplete.
fn without_component(trigger: &DeTable<'_>, span: Range<usize>, notes: &mut Notes<'_>) {
    let Some(response) = value(trigger, "static_response") else {
        return notes.error(span, "this trigger names no component", "write `component = \"ID\"`");
    };
    let status = response.get_ref().as_table().and_then(|response| value(response, "status_code"));
    let is_404 = status.and_then(|status| status.get_ref().as_integer()).is_some_and(|status| status.as_str() == "404");
    let help = match is_404 {
        true => "wagi answers 404 where no entry matches; entries that match more paths answer here, too",
        false => {
            "serve a file with its body by `[[static]]`, or let a program print it: `wagi new --template wat` makes one"
        }
    };
    notes.add(response.span(), "this response without a program is left out", help);
}
