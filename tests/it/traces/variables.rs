//! The variables of OpenTelemetry: wrong values are reported at the start, and do not keep the server from serving.

use crate::support::process;
use crate::support::site::Site;
use crate::traces::{NOWHERE, get, variable};

/// What a check says with these variables.
fn said(variables: &[(&str, &str)]) -> String {
    let site = Site::probe("");
    site.write();
    let mut command = process::command(site.path());
    let output =
        command.args(["-c", "modules.toml", "--check"]).envs(variables.iter().copied()).output().expect("it runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn values_that_make_no_sense_are_reported_and_serving_goes_on() {
    for (name, value, parts) in [
        ("OTEL_SDK_DISABLED", "yes", &["`OTEL_SDK_DISABLED` is `yes`", "use one of `true`, `false`"][..]),
        ("OTEL_TRACES_EXPORTER", "console", &["`OTEL_TRACES_EXPORTER` is `console`", "use one of `otlp`, `none`"]),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", &["`localhost:4318`, and no URL", "`http://localhost:4318`"]),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://a/", &["no URL of http or https", "no traces are sent"]),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://me:hush@a/",
            &["URL with a user name", "OTEL_EXPORTER_OTLP_HEADERS"],
        ),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            &["`OTEL_EXPORTER_OTLP_PROTOCOL` is `grpc`", "`http/protobuf`", "4318"],
        ),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift", &["is `thrift`", "`http/protobuf`, `http/json`"]),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization: hush",
            &["`OTEL_EXPORTER_OTLP_HEADERS` is not a list of `NAME=VALUE`"],
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hush", &["`a b` is not sent as a header field"]),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", &["`OTEL_EXPORTER_OTLP_TIMEOUT` is `10s`", "10000 is used"]),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", &["`OTEL_EXPORTER_OTLP_COMPRESSION` is `gzip`", "`none`"]),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "missing.pem", &["OTEL_EXPORTER_OTLP_CERTIFICATE", "missing.pem"]),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "a.pem", &["`OTEL_EXPORTER_OTLP_CLIENT_KEY` is not supported"]),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", &["`OTEL_RESOURCE_ATTRIBUTES` is not a list"]),
        ("OTEL_TRACES_SAMPLER", "some", &["`OTEL_TRACES_SAMPLER` is `some`", "`parentbased_traceidratio`"]),
        ("OTEL_PROPAGATORS", "tracecontext,b3", &["`OTEL_PROPAGATORS` is `b3`", "`tracecontext`"]),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", &["`OTEL_BSP_SCHEDULE_DELAY` is `-1`", "5000 is used"]),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0", &["from 1 to 3600000", "30000 is used"]),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "lots", &["is `lots`", "2048 is used"]),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", &["from 1 to 2048", "512 is used"]),
    ] {
        let said = said(&[NOWHERE, (name, value)]);
        assert!(said.contains("warning: ") && parts.iter().all(|part| said.contains(part)), "{name}={value}: {said}");
        assert!(!said.contains("hush"), "{said}");
    }
    let share = said(&[NOWHERE, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")]);
    assert!(share.contains("`OTEL_TRACES_SAMPLER_ARG` is `2`, and not a number from 0 to 1"), "{share}");
}

#[test]
fn what_makes_sense_is_not_spoken_of() {
    for variables in [
        &[NOWHERE][..],
        &[("OTEL_TRACES_EXPORTER", "otlp")],
        &[NOWHERE, ("OTEL_PROPAGATORS", "tracecontext, baggage"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "none")],
        &[NOWHERE, ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.25")],
        &[NOWHERE, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "")],
    ] {
        let said = said(variables);
        assert!(!said.contains("OTEL_") && !said.contains("warning"), "{variables:?}: {said}");
    }
}

#[test]
fn without_the_propagator_no_trace_is_taken_up_or_passed_on() {
    let wagi = Site::probe("").start_with(&[], &[NOWHERE, ("OTEL_PROPAGATORS", "none")]);
    let answer = get(&wagi, "/env", "traceparent: anything\r\n");
    assert_eq!(variable(&answer, "HTTP_TRACEPARENT").as_deref(), Some("anything"));
    assert_eq!(variable(&get(&wagi, "/env", ""), "HTTP_TRACEPARENT"), None);
}
