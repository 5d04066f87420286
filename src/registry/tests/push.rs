//! Where a registry may send wagi with what it has to upload, and for a token.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::net::client::HttpClient;
use crate::net::tests::{FakeTransport, answer, server};
use crate::registry::push::*;
use crate::registry::reference::Registry;

/// Names of metadata services, by which they are reached as any other server, and addresses that are theirs.
const NAMES: [(&str, &str); 4] = [
    ("meta.example", "169.254.169.254"),
    ("meta6.example", "fd00:ec2::254"),
    ("mapped.example", "::ffff:169.254.169.254"),
    ("azure.example", "168.63.129.16"),
];
const ADDRESSES: [&str; 4] = ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "2852039166"];

/// A registry that sends wagi to `target`: for a token if it is a URL of `https`, else with the bytes.
fn registry(runtime: &Runtime, target: String) -> Arc<FakeTransport> {
    let address = runtime.block_on(server(move |request| match (request.method().as_str(), target.as_str()) {
        ("HEAD", realm) if realm.starts_with("https") => {
            answer(401, &[("www-authenticate", &format!("Bearer realm=\"{realm}\""))], "")
        }
        ("HEAD", _) => answer(404, &[], ""),
        ("POST", to) => answer(202, &[("location", to)], ""),
        _ => answer(201, &[], ""),
    }));
    let transport = FakeTransport::new(address);
    for (name, address) in [("registry.example", "93.184.216.34"), ("storage.example", "10.0.0.5")].iter().chain(&NAMES)
    {
        transport.name(name, &[address]);
    }
    transport
}

/// What comes of an upload to `registry.example`, and which addresses were connected to.
fn upload(target: &str) -> (Result<(), String>, Vec<String>) {
    let runtime = Runtime::new().expect("a runtime");
    let transport = registry(&runtime, target.to_owned());
    let client = RegistryClient::for_tests(HttpClient::for_tests(transport.clone()), runtime.handle().clone());
    let registry = Registry::parse_alone("registry.example").expect("a registry");
    let mut session = Session::new(&client, &registry, Scope::Push("app"));
    let blob = Blob::new(Bytes::from_static(b"bytes"), "application/wasm");
    let uploaded = session.put_blob(&blob, &|| Upload::from(blob.bytes.clone()), "the module");
    (uploaded.map_err(|error| with_causes(&error)), transport.dialled())
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn a_registry_sends_wagi_to_no_metadata_service() {
    let hosts = NAMES.iter().map(|(name, _)| *name).chain(ADDRESSES);
    for target in hosts.flat_map(|host| ["http", "https"].map(|scheme| format!("{scheme}://{host}/x"))) {
        let (uploaded, dialled) = upload(&target);
        let error = uploaded.expect_err(&target);
        assert!(error.contains("connections are not allowed") || error.contains("surroundings"), "{target}: {error}");
        // A connection that the registry has closed meanwhile is made again; no other is.
        assert!(dialled.iter().all(|address| address == "93.184.216.34:80"), "{target}: {dialled:?}");
    }
    let (uploaded, dialled) = upload("http://storage.example/x");
    assert_eq!((uploaded, dialled.last().map(String::as_str)), (Ok(()), Some("10.0.0.5:80")));
}
