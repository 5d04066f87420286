//! How do the figures look as tables?
//!
//! In Markdown with padded columns, which a terminal shows just as well.

use serde_json::Value;

use crate::measures::{Bound, Outcome, show};

/// The servers of the comparison, as far as there was one.
pub fn servers(outcomes: &[Outcome]) -> String {
    let Some(servers) = servers_of(outcomes) else { return String::new() };
    let mut missing = String::new();
    let mut rows = vec![["server", "requests/s", "ratio", "lowest to highest", "median", "CPU"].map(str::to_owned)];
    for server in servers {
        let number = |key: &str| server[key].as_f64().unwrap_or(f64::NAN);
        let what = server["what"].as_str().unwrap_or_default().to_owned();
        if let Some(why) = server["missing"].as_str() {
            missing += &format!("\nMissing: {what}, because {why}.\n");
            continue;
        }
        rows.push([
            what,
            thousands(number("per_second")),
            format!("{:.3}", number("ratio")),
            format!("{:.3} to {:.3}", number("ratio_lowest"), number("ratio_highest")),
            show(number("median_ms"), "ms"),
            show(number("cpu_us"), "µs"),
        ]);
    }
    render(&rows) + &missing
}

/// What `hello` saw of each server, in the order of their list.
pub fn servers_of(outcomes: &[Outcome]) -> Option<&Vec<Value>> {
    outcomes.iter().find_map(|outcome| outcome.detail["servers"].as_array())
}

/// All figures with what they are held against.
pub fn outcomes(outcomes: &[Outcome]) -> String {
    let mut rows = vec![["measure", "must", "aim", "measured", "verdict"].map(str::to_owned)];
    for outcome in outcomes {
        let bound = |bound: Option<Bound>| bound.map_or_else(String::new, |bound| bound.show(outcome.unit));
        let value = match &outcome.value {
            Ok(value) => show(*value, outcome.unit),
            Err(why) => why.lines().next().unwrap_or_default().to_owned(),
        };
        let verdict = outcome.verdict().to_owned();
        rows.push([outcome.what.clone(), bound(outcome.must), bound(outcome.aim), value, verdict]);
    }
    render(&rows)
}

/// 12,345 instead of 12345.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn render<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [3; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += &format!("| {} |\n", cells.join(" | "));
        if index == 0 {
            let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
            text += &format!("| {} |\n", rules.join(" | "));
        }
    }
    text
}
