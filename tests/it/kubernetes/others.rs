//! The Compose file and the job of Nomad, against the program that they start.

use serde_json::Value;

use super::parsed;
use super::replica::LAST_LINES;
use crate::support::process::{Wagi, command, run};
use crate::support::registry::program;
use crate::support::site::Site;

const COMPOSE: &str = include_str!("../../../packaging/compose/compose.yaml");
const NOMAD: &str = include_str!("../../../packaging/nomad/wagi.nomad.hcl");

/// A server with these arguments, on ports of its own, and its log.
fn started(site: &Site, arguments: &[&str]) -> Wagi {
    site.write();
    let here = |word: &&str| word.replace("0.0.0.0:3000", "127.0.0.1:0").replace("127.0.0.1:9901", "127.0.0.1:0");
    let arguments: Vec<_> = arguments.iter().map(here).collect();
    Wagi::spawn(command(site.path()).args(arguments))
}

#[test]
#[ignore = "needs python3 with PyYAML"]
fn the_container_of_compose_is_strict_and_has_time_to_drain() {
    let service = &parsed(COMPOSE)[0]["services"]["wagi"];
    assert_eq!((&service["read_only"], &service["cap_drop"]), (&true.into(), &vec!["ALL"].into()));
    assert_eq!(service["healthcheck"]["test"], Value::from(vec!["CMD", "/usr/bin/wagi", "health"]));
    let grace: f64 = service["stop_grace_period"]
        .as_str()
        .and_then(|text| text.strip_suffix('s'))
        .expect("seconds")
        .parse()
        .expect("a number");
    // The default of `shutdown_grace`.
    assert!(grace > 30.0 + LAST_LINES);

    let words = service["command"].as_array().expect("a list").iter();
    let words: Vec<_> = words.map(|word| word.as_str().expect("a word").trim_start_matches("/etc/wagi/")).collect();
    let site = Site::new().text_module("/", &program("one"), "");
    let wagi = started(&site, &words);
    let line = wagi.logged(&["the admin listener is open"]);
    let authority = line.split("http://").nth(1).and_then(|rest| rest.split('"').next()).expect("a URL");
    assert_eq!(run(site.path(), &["health", "--admin", authority.trim_end_matches('\\')]).status.code(), Some(0));
}

#[test]
fn the_job_of_nomad_drains_within_the_time_that_a_client_of_nomad_allows() {
    let (_, rest) = NOMAD.split_once("<<-EOT\n").expect("a template");
    let (template, _) = rest.split_once("EOT\n").expect("its end");
    let modules: toml::Table = template.parse().expect("TOML");
    let seconds = |text: &str| text.strip_suffix('s').expect("seconds").parse::<f64>().expect("a number");
    let of = |table: &str, key: &str| seconds(modules[table][key].as_str().expect("text"));
    let (_, allowed) = NOMAD.split_once("kill_timeout = \"").expect("a time");
    let allowed = seconds(allowed.split('"').next().expect("a time"));
    assert!(of("server", "shutdown_delay") + of("limits", "shutdown_grace") + LAST_LINES < allowed);
    // What Nomad allows if nothing else is said.
    assert!(allowed <= 30.0);

    let (_, words) = NOMAD.split_once(" args            = [").expect("arguments");
    let words = words.split(']').next().expect("arguments").split(", ").map(|word| word.trim_matches('"'));
    let words: Vec<_> = words.map(|word| word.trim_start_matches("/local/")).collect();
    let site = Site::new().top("[server]\nlisten = ['127.0.0.1:0']").text_module("/", &program("one"), "");
    assert!(started(&site, &words).url().starts_with("http://127.0.0.1:"));
}
