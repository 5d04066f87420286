//! In which order are routes tried, and what does each lead to?

use std::process::ExitCode;

use serde_json::Value;

use wagi::ServedRoute;
use wagi::admin::configuration;
use wagi::config::{Limits, Options};
use wagi::printable;

use crate::cli::commands::admin::table;
use crate::cli::commands::check::loaded::{CheckedConfig, WarningPolicy};
use crate::cli::terminal::{OutputFormat, print_json, print_problems, print_result};

/// The options of `wagi routes`.
pub struct RoutesCommand {
    pub options: Options,
    pub format: OutputFormat,
}

impl RoutesCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let checked = CheckedConfig::load(&self.options).await?;
        print_problems(&checked.problems);
        let routes = checked.gateway.as_ref().map(wagi::Gateway::routes).unwrap_or_default();
        match self.format {
            OutputFormat::Json => print_json(&json_list(&routes))?,
            OutputFormat::Text if routes.is_empty() => {}
            OutputFormat::Text => print_result(&text(&routes))?,
        }
        Ok(checked.exit_code(WarningPolicy::Accept))
    }
}

fn json_list(routes: &[ServedRoute]) -> Value {
    let numbered = routes.iter().enumerate().map(|(order, route)| {
        let mut shown = configuration::route(route);
        shown["order"] = order.into();
        shown
    });
    numbered.collect()
}

const HEAD: [&str; 8] = ["ORDER", "HOST", "ROUTE", "LEADS TO", "KIND", "ENTRY POINT", "LIMITS", "REMARKS"];

fn text(routes: &[ServedRoute]) -> String {
    let defaults = limits(&Limits::default());
    let rows = routes.iter().enumerate().map(|(order, route)| {
        let hosts: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
        let leads_to = route.module.as_deref().or(route.files.as_deref()).unwrap_or("(built in)");
        let limits = route.limits.as_ref().map_or_else(|| "-".to_owned(), |own| differing(&limits(own), &defaults));
        vec![
            order.to_string(),
            if hosts.is_empty() { "-".to_owned() } else { hosts.join(",") },
            route.pattern.to_string(),
            leads_to.to_owned(),
            route.kind.unwrap_or(if route.files.is_some() { "files" } else { "-" }).to_owned(),
            route.entry_point.clone().unwrap_or_else(|| "-".to_owned()),
            limits,
            remarks(route, routes),
        ]
    });
    let rows = rows.map(|row| row.iter().map(|cell| printable::line(cell).into_owned()).collect());
    table::table(&HEAD, rows.collect())
}

/// The limits as keys of modules.toml with their values.
fn limits(limits: &Limits) -> Value {
    configuration::limits(limits)
}

/// The limits that are not the defaults.
fn differing(limits: &Value, defaults: &Value) -> String {
    let own = limits.as_object().into_iter().flatten().filter(|(key, value)| defaults[key.as_str()] != **value);
    let shown: Vec<String> = own
        .map(|(key, value)| match value {
            Value::Null => format!("{key}=unlimited"),
            seconds if seconds.is_f64() => format!("{key}={}s", seconds.as_f64().unwrap_or_default()),
            number => format!("{key}={number}"),
        })
        .collect();
    if shown.is_empty() { "defaults".to_owned() } else { shown.join(" ") }
}

fn remarks(route: &ServedRoute, routes: &[ServedRoute]) -> String {
    let sub_route = route.sub_route_of.as_ref().map(|entry| format!("sub-route of {entry}"));
    let hidden = route.hidden_by.as_ref().map(|hidden| {
        let earlier = routes.get(hidden.position).map(|route| route.pattern.to_string()).unwrap_or_default();
        let hosts: Vec<String> = hidden.hosts.iter().map(ToString::to_string).collect();
        let hosts = if hosts.is_empty() { String::new() } else { format!(" for {}", hosts.join(",")) };
        format!("hidden by {} ({earlier}){hosts}", hidden.position)
    });
    let remarks: Vec<String> = [sub_route, hidden].into_iter().flatten().collect();
    if remarks.is_empty() { "-".to_owned() } else { remarks.join("; ") }
}
