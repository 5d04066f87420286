//! The files for clusters: what kustomize makes of them is valid, and fits the program that runs there. `replica` starts what the
//! Deployment starts, `others` is about Compose and Nomad.

mod others;
mod replica;

use std::process::Command;

use serde_json::Value;

use crate::support::process::{output, output_of};
use crate::support::registry::Done;
use crate::support::tree::root;

/// The YAML that kustomize makes of a directory.
fn rendered(directory: &str) -> String {
    let path = root().join("packaging/kubernetes").join(directory);
    Done::from(output(Command::new("kubectl").arg("kustomize").arg(path))).well()
}

fn parsed(yaml: &str) -> Vec<Value> {
    let mut python = Command::new("python3");
    python.arg(root().join("tests/it/kubernetes/documents.py"));
    let json = Done::from(output_of(&mut python, yaml.as_bytes())).well();
    serde_json::from_str(&json).expect("a list")
}

/// The documents of a directory.
fn documents(directory: &str) -> Vec<Value> {
    parsed(&rendered(directory))
}

#[track_caller]
fn of_kind<'d>(documents: &'d [Value], kind: &str) -> &'d Value {
    documents.iter().find(|document| document["kind"] == kind).expect(kind)
}

/// What the validator says of a YAML stream, and whether it accepts all of it.
fn validated(yaml: &str) -> (bool, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("all.yaml");
    std::fs::write(&file, yaml).expect("writable");
    let done = output(Command::new("kubernetes-validate").arg("--strict").arg(&file).env("PYTHONWARNINGS", "ignore"));
    let done = Done::from(done);
    (done.code == Some(0), done.stdout + &done.stderr)
}

#[test]
#[ignore = "needs kubectl and kubernetes-validate"]
fn all_that_kustomize_makes_is_valid() {
    for (directory, count) in [("base", 7), ("example", 9)] {
        let yaml = rendered(directory);
        assert_eq!(parsed(&yaml).len(), count);
        let (is_valid, said) = validated(&yaml);
        let foreign = if directory == "example" { 1 } else { 0 };
        assert!(is_valid, "{said}");
        assert_eq!(said.matches(" passed for resource ").count(), count - foreign, "{said}");
        // The validator is one that finds mistakes.
        let (is_valid, said) = validated(&yaml.replace("readOnlyRootFilesystem", "readonlyRootFilesystem"));
        assert!(!is_valid && said.contains("readonlyRootFilesystem"), "{said}");
    }
}

#[test]
#[ignore = "needs kubectl and kubernetes-validate"]
fn every_selector_selects_the_pods_of_the_deployment_and_no_others() {
    let documents = documents("example");
    let labels = serde_json::json!({"app.kubernetes.io/name": "wagi"});
    let deployment = of_kind(&documents, "Deployment");
    let policy = of_kind(&documents, "NetworkPolicy");
    let budget = of_kind(&documents, "PodDisruptionBudget");
    let spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"].as_array().expect("a list");
    let of_pods = |selector: &Value| selector["matchLabels"].clone();
    assert_eq!(deployment["spec"]["template"]["metadata"]["labels"], labels);
    for selector in [&deployment["spec"]["selector"], &policy["spec"]["podSelector"], &budget["spec"]["selector"]] {
        assert_eq!(of_pods(selector), labels);
    }
    assert_eq!(spread.len(), 2);
    assert!(spread.iter().all(|constraint| of_pods(&constraint["labelSelector"]) == labels));
    let services = documents.iter().filter(|document| document["kind"] == "Service");
    assert!(services.map(|service| &service["spec"]["selector"]).all(|selector| *selector == labels));
    assert!(documents.iter().all(|document| document["metadata"]["namespace"] == "web"), "{documents:?}");
}

#[test]
#[ignore = "needs kubectl and kubernetes-validate"]
fn a_replica_has_no_right_that_it_does_not_need() {
    for (directory, kind) in [("base", "Deployment"), ("scale-to-zero", "Service")] {
        let documents = documents(directory);
        let pod = &of_kind(&documents, kind)["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let rights = &container["securityContext"];
        let is = |context: &Value, key: &str, value: bool| assert_eq!(context[key], value, "{directory}: {key}");
        is(pod, "automountServiceAccountToken", false);
        is(rights, "allowPrivilegeEscalation", false);
        is(rights, "readOnlyRootFilesystem", true);
        is(if kind == "Deployment" { &pod["securityContext"] } else { rights }, "runAsNonRoot", true);
        assert_eq!(rights["capabilities"]["drop"], Value::from(vec!["ALL"]));
        assert!(
            container["resources"]["limits"]["memory"].is_string() && container["resources"]["limits"]["cpu"].is_null()
        );
        let mounts = container["volumeMounts"].as_array().expect("a list");
        let writable =
            mounts.iter().filter(|mount| ["/var/cache/wagi", "/tmp"].iter().any(|path| mount["mountPath"] == *path));
        assert_eq!(writable.count(), 2);
    }
}
