//! A replica as the Deployment starts it: its arguments, its ConfigMap as kubelet lays it out, its probes and its grace, against
//! what the program says of itself.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{documents, of_kind};
use crate::support::eventually;
use crate::support::http1::{Answer, Connection};
use crate::support::process::{Wagi, command};
use crate::support::registry::program;

/// The time of the last lines of the log, of the last spans and of responses of the admin listener, in seconds.
pub const LAST_LINES: f64 = 6.0;

/// The `modules.toml` of a ConfigMap, and the ports in it.
fn configured(documents: &[Value]) -> &str {
    of_kind(documents, "ConfigMap")["data"]["modules.toml"].as_str().expect("text")
}

/// `text` with what is only in a cluster replaced; all of it must be there.
fn here(text: &str, module: &str) -> String {
    let reference = format!("oci:registry.example.com/hello@sha256:{}", "0".repeat(64));
    let changes = [
        ("0.0.0.0:3000", "127.0.0.1:0"),
        ("0.0.0.0:9901", "127.0.0.1:0"),
        ("/run/secrets/wagi/admin/token", "token"),
        (&reference, module),
    ];
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}: {text}");
        text.replace(from, to)
    })
}

/// Lays a version of a ConfigMap out as kubelet does: all names lead through one link, which is replaced.
fn lay_out(directory: &Path, version: &str, modules: &str) {
    let folder = directory.join(version);
    fs::create_dir(&folder).expect("a directory can be made");
    fs::write(folder.join("modules.toml"), modules).expect("writable");
    symlink(version, directory.join("..data_tmp")).expect("a link");
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).expect("it is replaced");
    if !directory.join("modules.toml").exists() {
        symlink("..data/modules.toml", directory.join("modules.toml")).expect("a link");
    }
}

/// A replica with the arguments of the Deployment, and its admin listener.
struct Replica {
    wagi: Wagi,
    admin: SocketAddr,
    directory: TempDir,
}

impl Replica {
    fn start(container: &Value, modules: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in [("one.wat", "one"), ("two.wat", "two")] {
            fs::write(directory.path().join(name), program(text)).expect("writable");
        }
        fs::write(directory.path().join("token"), "secret\n").expect("writable");
        lay_out(directory.path(), "..1", &here(modules, "one.wat"));
        let arguments = container["args"].as_array().expect("a list").iter().map(|word| word.as_str().expect("a word"));
        let arguments: Vec<_> = arguments.map(|word| word.replace("/etc/wagi/", "")).collect();
        let wagi = Wagi::spawn(command(directory.path()).args(arguments));
        let line = wagi.logged(&["the admin listener is open"]);
        let authority = line.split("http://").nth(1).and_then(|rest| rest.split('"').next()).expect("a URL");
        let admin = authority.trim_end_matches('\\').parse().expect("an address");
        Self { wagi, admin, directory }
    }

    /// What a probe gets, which has no token.
    fn probe(&self, probe: &Value) -> Answer {
        Connection::open(self.admin).get(probe["httpGet"]["path"].as_str().expect("a path"))
    }

    /// The configuration in force.
    fn config(&self) -> Value {
        let mut connection = Connection::open(self.admin);
        connection.send("GET /config HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n\r\n");
        serde_json::from_slice(&connection.answer().body).expect("JSON")
    }

    fn says(&self) -> String {
        Connection::open(self.wagi.address()).get("/").text()
    }
}

#[test]
#[ignore = "needs kubectl and kubernetes-validate"]
fn ports_and_times_of_the_deployment_are_those_of_the_program() {
    let documents = documents("base");
    let pod = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let modules: toml::Table = configured(&documents).parse().expect("TOML");
    let port = |name: &str| {
        let ports = container["ports"].as_array().expect("a list");
        ports.iter().find(|port| port["name"] == name).expect(name)["containerPort"].as_u64()
    };
    let listened =
        |address: &toml::Value| address.as_str().expect("text").parse::<SocketAddr>().expect("an address").port();
    assert_eq!(port("http"), Some(listened(&modules["server"]["listen"][0]).into()));
    assert_eq!(port("admin"), Some(listened(&modules["admin"]["listen"]).into()));
    assert_eq!(of_kind(&documents, "Service")["spec"]["ports"][0]["targetPort"], "http");

    let replica = Replica::start(container, configured(&documents));
    let config = replica.config();
    let seconds = |value: &Value| value.as_f64().expect("seconds");
    let delay = seconds(&config["server"]["shutdown_delay"]);
    let drain = delay + seconds(&config["limits"]["shutdown_grace"]);
    assert!(seconds(&pod["terminationGracePeriodSeconds"]) > drain + LAST_LINES, "{config}");
    let readiness = &container["readinessProbe"];
    let noticed = seconds(&readiness["periodSeconds"]) * seconds(&readiness["failureThreshold"])
        + seconds(&readiness["timeoutSeconds"]);
    assert!(delay > noticed, "{delay} {noticed}");
    let permits = &config["limits"]["total_concurrency"];
    let memory = seconds(permits) * seconds(&config["modules"][0]["limits"]["memory"]);
    assert_eq!(container["resources"]["limits"]["memory"], "2Gi");
    assert!(memory < 0.8 * f64::from(1 << 30) * 2.0, "{config}");
}

#[test]
#[ignore = "needs kubectl and kubernetes-validate"]
fn probes_see_a_replica_start_change_its_modules_and_drain() {
    let documents = documents("base");
    let container = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let mut replica = Replica::start(container, configured(&documents));
    let [start, ready, live] = ["startupProbe", "readinessProbe", "livenessProbe"].map(|name| &container[name]);
    for probe in [start, ready, live] {
        assert_eq!(probe["httpGet"]["port"], "admin");
        assert_eq!(replica.probe(probe).status, 200);
    }
    assert_eq!(replica.says(), "one");
    lay_out(replica.directory.path(), "..2", &here(configured(&documents), "two.wat"));
    eventually(|| (replica.says() == "two").then_some(()));

    replica.wagi.signal("TERM");
    eventually(|| (replica.probe(ready).status == 503).then_some(()));
    assert_eq!((replica.probe(live).status, replica.says().as_str()), (200, "two"));
    assert_eq!(replica.wagi.ended().code(), Some(0), "{}", replica.wagi.log());
}

#[test]
#[ignore = "needs kubectl and kubernetes-validate"]
fn a_replica_of_knative_is_probed_where_it_serves() {
    let documents = documents("scale-to-zero");
    let service = &of_kind(&documents, "Service")["spec"]["template"]["spec"];
    let modules: toml::Table = configured(&documents).parse().expect("TOML");
    assert_eq!(service["containerConcurrency"].as_i64(), modules["limits"]["total_concurrency"].as_integer());
    let port = &service["containers"][0]["ports"][0];
    assert_eq!((&port["name"], &port["containerPort"]), (&"http1".into(), &3000.into()));
    assert_eq!(modules["server"]["listen"][0].as_str(), Some("0.0.0.0:3000"));

    let site = crate::support::site::Site::new().text_module("/...", &program("one"), "");
    let wagi = site.start(&[]);
    let path = service["containers"][0]["readinessProbe"]["httpGet"]["path"].as_str().expect("a path");
    assert_eq!(Connection::open(wagi.address()).get(path).status, 200);
}
