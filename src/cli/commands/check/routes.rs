//! In which order are routes tried, and what does each lead to?

use std::process::ExitCode;

use serde_json::Value;

use wagi::admin::configuration;
use wagi::config::{Limits, Options};
use wagi::printable;
use wagi::{ColdExplanation, ServedRoute, WarmStartChance};

use crate::cli::commands::admin::table;
use crate::cli::commands::check::loaded::{CheckedConfig, WarningPolicy};
use crate::cli::commands::check::warm::warm_start_json;
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
        let gateway = checked.gateway.as_ref();
        let routes = gateway.map(wagi::Gateway::routes).unwrap_or_default();
        let chances = gateway.map(wagi::Gateway::warm_start_chances).unwrap_or_default();
        match self.format {
            OutputFormat::Json => print_json(&json_list(&routes, &chances))?,
            OutputFormat::Text if routes.is_empty() => {}
            OutputFormat::Text => print_result(&text(&routes, &chances))?,
        }
        Ok(checked.exit_code(WarningPolicy::Accept))
    }
}

fn json_list(routes: &[ServedRoute], chances: &[WarmStartChance]) -> Value {
    let numbered = routes.iter().zip(chances).enumerate().map(|(order, (route, chance))| {
        let mut shown = configuration::route(route);
        shown["order"] = order.into();
        shown["warm_start"] = match chance {
            WarmStartChance::NotWanted => Value::Null,
            WarmStartChance::Possible => warm_start_json(None),
            WarmStartChance::Impossible(cold) => warm_start_json(Some(cold)),
        };
        shown
    });
    numbered.collect()
}

const HEAD: [&str; 8] = ["ORDER", "HOST", "ROUTE", "LEADS TO", "KIND", "ENTRY POINT", "LIMITS", "REMARKS"];

fn text(routes: &[ServedRoute], chances: &[WarmStartChance]) -> String {
    let defaults = limits(&Limits::default());
    let rows = routes.iter().zip(chances).enumerate().map(|(order, (route, chance))| {
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
            remarks(route, routes, chance),
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

fn remarks(route: &ServedRoute, routes: &[ServedRoute], chance: &WarmStartChance) -> String {
    let sub_route = route.sub_route_of.as_ref().map(|entry| format!("sub-route of {entry}"));
    let hidden = route.hidden_by.as_ref().map(|hidden| {
        let earlier = routes.get(hidden.position).map(|route| route.pattern.to_string()).unwrap_or_default();
        let hosts: Vec<String> = hidden.hosts.iter().map(ToString::to_string).collect();
        let hosts = if hosts.is_empty() { String::new() } else { format!(" for {}", hosts.join(",")) };
        format!("hidden by {} ({earlier}){hosts}", hidden.position)
    });
    let warm = match chance {
        WarmStartChance::NotWanted => None,
        WarmStartChance::Possible => Some("warm start".to_owned()),
        WarmStartChance::Impossible(ColdExplanation { reason, .. }) => Some(format!("never warm: {reason}")),
    };
    let remarks: Vec<String> = [sub_route, hidden, warm].into_iter().flatten().collect();
    if remarks.is_empty() { "-".to_owned() } else { remarks.join("; ") }
}
