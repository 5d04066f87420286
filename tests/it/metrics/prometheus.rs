//! Does promtool understand the metrics, and are the alerts and the dashboard about metrics that are there?

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wagi::observe::MetricsFormat;

use crate::metrics::server::{A, Served};
use crate::support::tree::text;

pub(super) const RULES: &str = "packaging/prometheus/wagi.rules.yml";
const DASHBOARD: &str = "packaging/grafana/wagi.json";

pub(super) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs promtool, and fails with what it prints.
fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    let piped = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("there is promtool");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}\n{input}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs promtool"]
async fn promtool_has_no_complaint_about_the_metrics() {
    let served = Served::start(A, true).await;
    promtool(&["check", "metrics"], &served.gateway().render_metrics());
    served.get(&["/a", "/nowhere"]).await;
    promtool(&["check", "metrics"], &served.gateway().render_metrics());
}

#[test]
#[ignore = "needs promtool"]
fn promtool_accepts_the_alerts_and_the_queries_of_the_dashboard_and_of_the_page() {
    promtool(&["check", "rules", &file(RULES).display().to_string()], "");
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, query) in queries_of_the_dashboard().into_iter().chain(queries_of_the_page()).enumerate() {
        let query = query.replace("$__rate_interval", "5m").replace('\n', " ");
        writeln!(rules, "  - record: query:{number}\n    expr: {}", serde_json::Value::from(query)).expect("text");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("queries.yml");
    std::fs::write(&path, rules).expect("a file");
    promtool(&["check", "rules", &path.display().to_string()], "");
}

#[test]
#[ignore = "needs promtool"]
fn the_alerts_fire_for_the_routes_and_servers_that_they_are_about_and_for_no_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("alerts.yml");
    let rules = format!("rule_files: ['{}']", file(RULES).display());
    std::fs::write(&path, text("tests/fixtures/alerts.yml").replace("rule_files: [RULES]", &rules)).expect("a file");
    promtool(&["test", "rules", &path.display().to_string()], "");
}

/// All values of the keys `expr` and `query` of a JSON document, and the queries of variables.
fn queries_of_the_dashboard() -> Vec<String> {
    fn gather(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(object) => {
                found.extend(object.get("expr").and_then(|query| query.as_str()).map(str::to_owned));
                object.values().for_each(|value| gather(value, found));
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| gather(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    gather(&serde_json::from_str(&text(DASHBOARD)).expect("JSON"), &mut found);
    found
}

/// The blocks of docs/metrics.md that are queries, in their order.
pub(super) fn queries_of_the_page() -> Vec<String> {
    let page = text("docs/metrics.md");
    let blocks = page.split("```promql\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(|block| block.trim().to_owned()).collect()
}

/// The names of metrics in a text, without what is added to those of histograms.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter));
    let ours = words.filter(|word| ["wagi_", "http_server_", "process_"].iter().any(|begin| word.starts_with(begin)));
    let ends = ["_bucket", "_count", "_sum"];
    ours.map(|word| ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()).collect()
}

/// The labels of a text that compares, groups or names some.
fn labels(text: &str) -> BTreeSet<String> {
    let (mut found, mut rest) = (BTreeSet::new(), text);
    while let Some((_, after)) = rest.split_once('{') {
        let inside = after.split('}').next().unwrap_or_default();
        let names = inside.split(',').filter_map(|item| item.split(['=', '!']).next());
        found.extend(names.map(|name| name.trim().to_owned()));
        rest = after;
    }
    for (before, after) in text.match_indices("by (").map(|(at, by)| text.split_at(at + by.len())) {
        assert!(before.ends_with('('));
        found.extend(after.split(')').next().unwrap_or_default().split(',').map(|name| name.trim().to_owned()));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alerts_the_dashboard_and_the_page_name_only_metrics_and_labels_that_are_there() {
    let served = Served::start(A, true).await;
    served.get(&["/a"]).await;
    let metrics = served.gateway().render_metrics();
    let there: BTreeSet<String> = metrics
        .lines()
        .filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned()))
        .chain(["wagi".to_owned()])
        .collect();
    for path in [RULES, DASHBOARD, "docs/metrics.md"] {
        let unknown: Vec<_> = names(&text(path)).into_iter().filter(|name| !there.contains(name)).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
    // What Prometheus adds, and labels of samples that this server does not have.
    let mut known: BTreeSet<String> = ["job", "instance", "result", ""].map(str::to_owned).into();
    known.extend(labels(&metrics));
    for query in queries_of_the_dashboard().iter().chain(&queries_of_the_page()) {
        let unknown: Vec<_> = labels(query).into_iter().filter(|label| !known.contains(label)).collect();
        assert!(unknown.is_empty(), "{query}: {unknown:?}");
    }
}

#[test]
fn every_metric_of_the_page_that_an_operator_watches_is_in_the_alerts_or_in_the_dashboard() {
    let page = names(&text("docs/metrics.md"));
    let (mut shown, alerts) = (names(&text(DASHBOARD)), names(&text(RULES)));
    shown.extend(alerts);
    // Facts to join others with.
    let facts = ["wagi_module_info", "wagi_config_last_reload_timestamp_seconds"];
    let absent: Vec<_> = page.iter().filter(|name| !shown.contains(*name) && !facts.contains(&name.as_str())).collect();
    assert!(absent.is_empty(), "{absent:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus_client for Python"]
async fn a_strict_parser_of_open_metrics_understands_it() {
    let served = Served::start(A, true).await;
    served.get(&["/a", "/nowhere"]).await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("metrics.txt");
    std::fs::write(&path, served.gateway().render_metrics_as(MetricsFormat::OpenMetrics)).expect("a file");
    let script = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families\n\
                  print(len(list(text_string_to_metric_families(open(sys.argv[1]).read()))))";
    let output = Command::new("/usr/bin/python3").args(["-c", script]).arg(&path).output().expect("there is Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
