//! What does an operator see of the server on a terminal? Tables of what is JSON otherwise. All text in it may be hostile.

use std::fmt::Write as _;

use serde_json::Value;

use wagi::counted;
use wagi::printable;

use crate::cli::commands::size;

/// The most characters of one cell.
const MAX_CELL: usize = 60;

/// The state of the server, and its routes.
pub fn status(status: &Value) -> String {
    let uptime = status["uptime_seconds"].as_u64();
    let mut shown = format!(
        "wagi {}  {}  generation {}  up {}\n",
        text(&status["version"]),
        text(&status["state"]),
        text(&status["generation"]),
        uptime.map_or_else(|| "-".to_owned(), whole_time)
    );
    let listeners: Vec<String> = items(&status["listeners"]).iter().map(text).collect();
    // Writing to a string does not fail.
    let _ = writeln!(shown, "listeners  {}", listeners.join(" "));
    let starting = &status["starting"];
    let not_ready = items(&starting["not_ready"]);
    if let Some(ready) = starting["ready"].as_u64() {
        let _ = writeln!(shown, "routes     {ready} of {} ready", ready.saturating_add(not_ready.len() as u64));
    }
    let last = &status["last_reload"];
    if last.is_object() {
        let _ = writeln!(shown, "reload     {} at {}", text(&last["result"]), text(&last["when"]));
        shown += &problems(last);
    }
    let totals = &status["totals"];
    let totals = [
        numbered(&totals["requests"], "request", "requests"),
        numbered(&totals["errors"], "error", "errors"),
        format!("{} in flight", text(&totals["in_flight"])),
        format!("{} queued", text(&totals["queued"])),
    ];
    let _ = writeln!(shown, "totals     {}\n", totals.join(", "));
    if !not_ready.is_empty() {
        return shown + &table(&["NOT READY", "HOST", "LEADS TO"], not_ready.iter().map(place).collect());
    }
    let rows = items(&status["routes"]).iter().map(route).collect();
    shown
        + &table(
            &["ROUTE", "HOST", "LEADS TO", "REQUESTS", "ERRORS", "RUNNING", "QUEUED", "P50", "P99", "MEMORY"],
            rows,
        )
}

/// The pattern of a route, its hosts, and what it leads to.
fn place(route: &Value) -> Vec<String> {
    let hosts: Vec<String> = items(&route["host"]).iter().map(text).collect();
    let leads_to = [&route["module"], &route["files"]].into_iter().find(|value| value.is_string());
    vec![
        text(&route["pattern"]),
        if hosts.is_empty() { "-".to_owned() } else { hosts.join(",") },
        leads_to.map_or_else(|| "(built in)".to_owned(), text),
    ]
}

fn route(route: &Value) -> Vec<String> {
    let errors: Option<u64> = route["errors"].as_object().map(|ends| ends.values().filter_map(Value::as_u64).sum());
    let memory = route["memory_peak"].as_u64().map_or_else(|| "-".to_owned(), size);
    // Those in flight are those that wait for a permit, and all others.
    let running = route["in_flight"].as_u64().map(|all| all.saturating_sub(route["queued"].as_u64().unwrap_or(0)));
    let numbers = [
        text(&route["requests"]),
        errors.map_or_else(|| "-".to_owned(), |count| count.to_string()),
        running.map_or_else(|| "-".to_owned(), |count| count.to_string()),
        text(&route["queued"]),
        seconds(&route["p50"]),
        seconds(&route["p99"]),
        memory,
    ];
    place(route).into_iter().chain(numbers).collect()
}

/// The requests in flight, and those that have failed.
pub fn requests(requests: &Value) -> String {
    let row = |request: &Value| {
        let memory = request["memory"].as_u64().map_or_else(|| "-".to_owned(), size);
        vec![
            text(&request["id"]),
            text(&request["route"]),
            text(&request["client"]),
            text(&request["method"]),
            text(&request["target"]),
            seconds(&request["age"]),
            text(&request["phase"]),
            seconds(&request["cpu_time"]),
            memory,
        ]
    };
    let columns = ["ID", "ROUTE", "CLIENT", "METHOD", "TARGET", "AGE", "PHASE", "CPU", "MEMORY"];
    let shown = table(&columns, items(&requests["in_flight"]).iter().map(row).collect());
    let failed = items(&requests["failed"]);
    if failed.is_empty() {
        return shown;
    }
    let row = |request: &Value| {
        let names = ["time", "id", "route", "method", "target", "status", "end", "reason"];
        names.iter().map(|name| text(&request[*name])).collect()
    };
    let columns = ["FAILED", "ID", "ROUTE", "METHOD", "TARGET", "STATUS", "END", "REASON"];
    shown + "\n" + &table(&columns, failed.iter().map(row).collect())
}

/// What came of a reload.
pub fn reload(outcome: &Value) -> String {
    let generation = text(&outcome["generation"]);
    if outcome.get("errors").is_some() {
        return format!("reload refused; generation {generation} goes on serving\n{}", problems(outcome));
    }
    let said = match outcome["changed"] == false {
        true => format!("nothing has changed; generation {generation} goes on serving\n"),
        false => format!(
            "generation {generation}: {}, {}, {} of them compiled, in {} ms\n",
            numbered(&outcome["routes"], "route", "routes"),
            numbered(&outcome["modules"], "module", "modules"),
            text(&outcome["compiled"]),
            text(&outcome["took_ms"])
        ),
    };
    said + &problems(outcome)
}

/// The errors and warnings, each with its place and what helps.
fn problems(outcome: &Value) -> String {
    let mut shown = String::new();
    for (key, severity) in [("errors", "error"), ("warnings", "warning")] {
        for problem in items(&outcome[key]) {
            let _ = writeln!(shown, "{severity}: {}", text(&problem["message"]));
            if problem["file"].is_string() {
                let place = ["file", "line", "column"].map(|name| text(&problem[name])).join(":");
                let _ = writeln!(shown, "  --> {place}");
            }
            for cause in items(&problem["causes"]) {
                let _ = writeln!(shown, "  caused by: {}", text(cause));
            }
            if problem["help"].is_string() {
                let _ = writeln!(shown, "  help: {}", text(&problem["help"]));
            }
        }
    }
    shown
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One line of text, safe to print.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable::line(text).into_owned(),
        other => printable::line(&other.to_string()).into_owned(),
    }
}

/// A number, and what it counts.
fn numbered(value: &Value, one: &str, several: &str) -> String {
    let number = value.as_u64().map(|number| counted(number, one, several));
    number.unwrap_or_else(|| format!("{} {several}", text(value)))
}

fn seconds(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), time)
}

/// A number of seconds for people.
fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds < 0.001 => format!("{:.0} us", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        _ if seconds < 120.0 => format!("{seconds:.1} s"),
        _ => format!("{:.0} min", seconds / 60.0),
    }
}

/// A whole number of seconds for people.
fn whole_time(seconds: u64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { time(seconds as f64) }
}

/// Columns under their names, as wide as their longest cell.
pub fn table(columns: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = columns.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(head).chain(rows).map(|row| row.into_iter().map(cut).collect()).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut shown = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(shown, "{}", cells.join("  ").trim_end());
    }
    shown
}

fn cut(cell: String) -> String {
    if cell.chars().count() <= MAX_CELL {
        return cell;
    }
    cell.chars().take(MAX_CELL - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::commands::admin::table::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = vec![vec!["/a".to_owned(), "1".to_owned()], vec!["/longer".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["ROUTE", "N"], rows), "ROUTE    N\n/a       1\n/longer  22\n");
        let long = table(&["A"], vec![vec!["x".repeat(100)]]);
        assert!(long.lines().all(|line| line.len() <= MAX_CELL) && long.contains("..."));
    }

    #[test]
    fn whatever_the_server_says_is_text() {
        let hostile = "\u{1b}]0;owned\u{7}\n\u{202e}";
        let request = json!({ "id": hostile, "target": hostile, "phase": hostile, "memory": "?", "age": "?" });
        let value = json!({ "in_flight": [request], "failed": [{ "reason": hostile }] });
        let status_value = json!({ "version": hostile, "routes": [{ "pattern": hostile, "host": [hostile] }] });
        let refused =
            json!({ "errors": [{ "message": hostile, "file": hostile, "help": hostile, "causes": [hostile] }] });
        for shown in
            [requests(&value), status(&status_value), reload(&refused), status(&json!([1])), requests(&json!(7))]
        {
            assert!(
                !shown.chars().any(|character| character != '\n' && printable::is_unprintable(character)),
                "{shown:?}"
            );
        }
        // A line feed in a value does not make a line.
        assert_eq!(requests(&value).lines().count(), 5);
    }

    #[test]
    fn one_is_counted_in_the_singular() {
        let shown = status(&json!({ "totals": { "requests": 1, "errors": 2, "in_flight": 1, "queued": "?" } }));
        assert!(shown.contains("totals     1 request, 2 errors, 1 in flight, ? queued\n"), "{shown}");
    }

    #[test]
    fn a_server_that_has_just_started_is_up_for_no_second() {
        for (seconds, shown) in [(0, "up 0 s"), (119, "up 119 s"), (7200, "up 120 min")] {
            let status = status(&json!({ "uptime_seconds": seconds }));
            assert!(status.contains(shown), "{status}");
        }
    }

    #[test]
    fn times_have_units() {
        for (seconds, shown) in [(0.00025, "250 us"), (0.0125, "12.5 ms"), (3.0, "3.0 s"), (7200.0, "120 min")] {
            assert_eq!(time(seconds), shown);
        }
    }
}
