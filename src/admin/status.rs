//! What is the server doing?

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use crate::admin::configuration;
use crate::admin::reload;
use crate::admin::state::{AdminState, PastReload, ServedParts};
use crate::config::{Diagnostic, Severity};
use crate::gateway::{ColdSpan, ReloadOutcome, ServedRoute, StartingRoute, StartingRoutes, WarmStartView};
use crate::observe::RouteFigures;

/// The ends of requests that are no errors. `none` is that of a health check, and of a request that is refused before a guest
/// starts.
const GOOD_ENDS: [&str; 4] = ["ok", "static", "stopped", "none"];

/// The end of a request whose client left. Routes list it, and no sum has it.
const CLIENT_GONE: &str = "client-gone";

/// The most problems of a reload that are shown as a terminal shows them: it takes time.
const MAX_REPORTED: usize = 20;

/// The state of the server, also while it starts.
pub(super) fn status(state: &AdminState) -> Value {
    let stage = state.stage();
    let mut status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "state": stage.as_str(),
        "reason": stage.reason(),
        "started": time(state.started),
        "uptime_seconds": state.started.elapsed().unwrap_or_default().as_secs(),
        "starting": stage.starting_routes().as_ref().map(starting),
        "generation": Value::Null,
        "last_reload": (**state.last_reload()).as_ref().map(last_reload),
    });
    if let (Some(parts), Some(status)) = (stage.parts(), status.as_object_mut()) {
        add_served(parts, status);
    }
    status
}

/// How many routes are served while the others start, and which these are.
fn starting(routes: &StartingRoutes) -> Value {
    let not_ready = routes.not_ready.iter().map(|StartingRoute { route, hosts, module }| {
        json!({ "pattern": route, "host": configuration::hosts(hosts), "module": module })
    });
    json!({ "ready": routes.ready, "not_ready": not_ready.collect::<Value>() })
}

fn add_served(parts: &ServedParts, status: &mut Map<String, Value>) {
    let figures = parts.gateway.route_figures();
    let routes: Vec<Value> = parts.gateway.routes().iter().map(|route| route_status(route, &figures)).collect();
    status.insert("generation".to_owned(), parts.gateway.generation().into());
    status.insert("listeners".to_owned(), parts.server.urls().into());
    status.insert("limits".to_owned(), configuration::server_limits(&parts.config()));
    status.insert("totals".to_owned(), totals(parts, &figures));
    status.insert("routes".to_owned(), routes.into());
    status.insert("certificates".to_owned(), certificates(parts));
}

fn totals(parts: &ServedParts, figures: &[RouteFigures]) -> Value {
    let sum = |count: fn(&RouteFigures) -> u64| figures.iter().map(count).fold(0, u64::saturating_add);
    let counters = parts.server.counters();
    json!({
        "requests": sum(|figures| figures.requests),
        "errors": sum(errors),
        "in_flight": sum(|figures| figures.in_flight),
        "queued": sum(|figures| figures.queued),
        "connections_accepted": counters.accepted.load(Relaxed),
        "connections_refused": counters.refused.load(Relaxed),
    })
}

fn errors(figures: &RouteFigures) -> u64 {
    figures.ends.iter().filter(|(end, _)| is_error(end) && *end != CLIENT_GONE).map(|(_, count)| count).sum()
}

fn is_error(end: &str) -> bool {
    !GOOD_ENDS.contains(&end)
}

/// How the guests of a route begin: `warm` as soon as there is a snapshot.
fn warm_start(view: &WarmStartView) -> Value {
    let state = match view {
        WarmStartView { ready: 1.., .. } => "warm",
        WarmStartView { making: 1.., .. } => "making",
        _ => "cold",
    };
    let reasons = view.refusals.iter().map(|refusal| {
        json!({
            "reason": refusal.reason,
            "text": refusal.text,
            "passing": refusal.span == ColdSpan::Passing,
            "retry_in_seconds": refusal.retry_in.map(|time| time.as_secs()),
        })
    });
    json!({
        "state": state,
        "snapshots": view.ready,
        "for_some_requests": view.for_some,
        "making": view.making,
        "requests": { "warm": view.counts.warm, "cold": view.counts.cold, "unfit": view.counts.unfit },
        "refused": reasons.collect::<Value>(),
    })
}

/// A route with what was counted of it.
fn route_status(route: &ServedRoute, figures: &[RouteFigures]) -> Value {
    let mut status = configuration::route(route);
    if let (Some(view), Some(status)) = (&route.warm_start, status.as_object_mut()) {
        status.insert("warm_start".to_owned(), warm_start(view));
    }
    let pattern = route.pattern.to_string();
    let found = figures.iter().find(|figures| figures.route == pattern);
    if let (Some(figures), Some(status)) = (found, status.as_object_mut()) {
        let errors = figures.ends.iter().filter(|(end, _)| is_error(end));
        let errors: Map<String, Value> = errors.map(|(end, count)| ((*end).to_owned(), (*count).into())).collect();
        let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
        status.insert("requests".to_owned(), figures.requests.into());
        status.insert("errors".to_owned(), errors.into());
        status.insert("in_flight".to_owned(), figures.in_flight.into());
        status.insert("queued".to_owned(), figures.queued.into());
        status.insert("p50".to_owned(), seconds(figures.p50).into());
        status.insert("p90".to_owned(), seconds(figures.p90).into());
        status.insert("p99".to_owned(), seconds(figures.p99).into());
        status.insert("memory_peak".to_owned(), figures.memory_peak.into());
    }
    status
}

fn certificates(parts: &ServedParts) -> Value {
    let certificates = parts.server.certificates();
    let shown = certificates
        .iter()
        .map(|certificate| json!({ "subject": certificate.subject, "not_after": time(certificate.not_after) }));
    shown.collect()
}

fn last_reload(last: &PastReload) -> Value {
    let (result, generation, problems): (_, _, &[Diagnostic]) = match &last.outcome {
        ReloadOutcome::Swapped(report) => ("swapped", report.generation, &report.warnings),
        ReloadOutcome::Unchanged(report) => ("unchanged", report.generation, &report.warnings),
        ReloadOutcome::Refused { generation, problems } => ("refused", *generation, problems),
    };
    json!({
        "when": time(last.when),
        "result": result,
        "generation": generation,
        "errors": reload::shown(problems, Severity::Error),
        "warnings": reload::shown(problems, Severity::Warning),
        "report": report(problems),
    })
}

/// The time as text; `None` for one that has no such form.
fn time(time: SystemTime) -> Option<String> {
    let mut text = String::new();
    time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    write!(text, "{}", humantime::format_rfc3339_millis(time)).ok()?;
    Some(text)
}

/// The problems as a terminal shows them.
fn report(problems: &[Diagnostic]) -> String {
    let left_out = problems.len().saturating_sub(MAX_REPORTED);
    let mut report: Vec<String> = problems.iter().take(MAX_REPORTED).map(|problem| problem.render(false)).collect();
    report.extend((left_out > 0).then(|| format!("and {left_out} more")));
    report.join("\n\n")
}
