//! A real Prometheus scrapes a real server, and answers the queries that the page has.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::metrics::prometheus::{RULES, file, queries_of_the_page};
use crate::support::admin::Administered;
use crate::support::guest::{printing, printing_then};
use crate::support::http1::Connection;
use crate::support::process::{Ending, Wagi};
use crate::support::site::Site;
use crate::support::tree::text;
use crate::support::{at_leisure, eventually, port};

struct Prometheus {
    _process: Ending,
    address: SocketAddr,
    _directory: TempDir,
}

impl Prometheus {
    /// Scrapes `admin` with the configuration of the page, and with the alerts.
    fn start(admin: SocketAddr) -> Self {
        let page = text("docs/metrics.md");
        let scrape = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a configuration");
        assert!(scrape.contains("127.0.0.1:9901"), "{scrape}");
        let scrape = scrape.replace("127.0.0.1:9901", &admin.to_string());
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("prometheus.yml");
        let mut config = std::fs::File::create(&path).expect("a file");
        writeln!(config, "global: {{ scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 2s }}")
            .expect("written");
        writeln!(config, "rule_files: ['{}']\n{scrape}", file(RULES).display()).expect("written");
        let address = port::free();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.path().join("log")).expect("a file"))
            .spawn()
            .expect("there is prometheus");
        Self { _process: Ending(process), address, _directory: directory }
    }

    fn get(&self, path: &str) -> Option<Value> {
        std::net::TcpStream::connect(self.address).ok()?;
        let answer = Connection::open(self.address).get(path);
        serde_json::from_slice(&answer.body).ok()
    }

    /// The values that a query has now.
    fn query(&self, query: &str) -> Vec<f64> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let Some(answer) = self.get(&format!("/api/v1/query?query={encoded}")) else { return Vec::new() };
        let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        found.iter().filter_map(|sample| sample["value"][1].as_str()?.parse().ok()).collect()
    }

    /// The health of each alert.
    fn rules(&self) -> Vec<String> {
        let answer = self.get("/api/v1/rules").unwrap_or_default();
        let rules = answer["data"]["groups"][0]["rules"].as_array().cloned().unwrap_or_default();
        rules.iter().filter_map(|rule| rule["health"].as_str().map(str::to_owned)).collect()
    }
}

/// A server with a route that responds and one that fails.
fn server() -> Administered {
    let site = Site::new().text_module("/good", &printing("Content-Type: text/plain\n\nhi"), "").text_module(
        "/bad",
        &printing_then("", "(unreachable)"),
        "",
    );
    Administered::start(site, &[])
}

/// Sends some requests, a quarter of which fail.
fn load(wagi: &Wagi) {
    let mut connection = Connection::open(wagi.address());
    for path in ["/good", "/good", "/good", "/bad"].repeat(5) {
        connection.get(path);
    }
}

#[test]
#[ignore = "needs prometheus"]
fn prometheus_answers_the_queries_of_the_page() {
    let server = server();
    let prometheus = Prometheus::start(server.address());
    let queries = queries_of_the_page();
    assert_eq!(queries.len(), 3);
    let ask = |query: &str, is_answer: &dyn Fn(&[f64]) -> bool| {
        at_leisure(|| {
            load(&server.wagi);
            let values = prometheus.query(query);
            is_answer(&values).then_some(())
        });
    };
    ask(&queries[0], &|rates| rates.len() >= 2 && rates.iter().filter(|rate| **rate > 0.0).count() == 2);
    ask(&queries[1], &|p99| p99.iter().filter(|p99| **p99 > 0.0 && **p99 <= 30.0).count() == 2);
    ask(&queries[2], &|share| share.len() == 1 && (share[0] - 0.25).abs() < 0.1);
    let alerts = text(RULES).matches("- alert:").count();
    at_leisure(|| (prometheus.rules() == vec!["ok"; alerts]).then_some(()));
}

#[test]
fn the_admin_listener_serves_both_formats() {
    let server = server();
    load(&server.wagi);
    eventually(|| {
        let plain = server.ask("GET", "/metrics");
        assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4"));
        plain.text().contains("wagi_guest_ends_total{http_route=\"/bad\",end=\"trap\"} 5\n").then_some(())
    });
    let mut connection = Connection::open(server.address());
    connection.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\n\r\n");
    let open = connection.answer();
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.text().ends_with("# EOF\n"), "{}", open.text());
}
