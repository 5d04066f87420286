//! Which redirects the client of registries and bindle servers follows.

use http::{HeaderMap, Method};
use url::Url;

use crate::net::client::{ClientError, Fetch, FetchRequest, FetchResponse, HttpClient};
use crate::net::connect::ConnectError;
use crate::net::connect::policy::NamedBy;
use crate::net::tests::*;
use crate::net::upload::Upload;

/// A transport to a server that redirects `/to?URL` to that URL.
async fn redirecting() -> Arc<FakeTransport> {
    let transport = FakeTransport::new(
        server(|request| match request.uri().query() {
            Some(target) => answer(307, &[("location", target)], ""),
            None => answer(200, &[], ""),
        })
        .await,
    );
    for (name, address) in [
        ("registry.example", "93.184.216.34"),
        ("storage.example", "93.184.216.35"),
        ("intra.example", "10.0.0.5"),
        ("own.example", "169.254.1.1"),
        ("meta.example", "169.254.169.254"),
        ("meta6.example", "fd00:ec2::254"),
        ("mapped.example", "::ffff:169.254.169.254"),
        ("azure.example", "168.63.129.16"),
    ] {
        transport.name(name, &[address]);
    }
    transport
}

fn client(transport: &Arc<FakeTransport>) -> HttpClient {
    HttpClient::for_tests(transport.clone())
}

async fn get(client: &HttpClient, url: &str, named_by: NamedBy) -> Result<FetchResponse, ClientError> {
    let (url, headers) = (Url::parse(url).expect(url), HeaderMap::new());
    let request = FetchRequest {
        method: Method::GET,
        url: &url,
        named_by,
        headers: &headers,
        body: &Upload::default,
        fetch: Fetch::start(),
    };
    client.send(&request).await
}

fn is_denied(result: &Result<FetchResponse, ClientError>) -> bool {
    matches!(result, Err(ClientError::Connect { source: ConnectError::AddressDenied { .. }, .. }))
}

#[tokio::test]
async fn redirects_lead_to_no_name_of_a_metadata_service() {
    let transport = redirecting().await;
    let client = client(&transport);
    for (target, is_allowed) in [
        ("http://storage.example/", true),
        ("http://intra.example/", true),
        ("http://own.example/", false),
        ("http://meta.example/", false),
        ("http://meta6.example/", false),
        ("http://mapped.example/", false),
        ("http://azure.example/", false),
        ("http://storage.example/to?http://meta.example/", false),
    ] {
        let result = get(&client, &format!("http://registry.example/to?{target}"), NamedBy::Operator).await;
        assert_eq!((result.is_ok(), is_denied(&result)), (is_allowed, !is_allowed), "{target}");
        let error = result.err().map(|error| (error.is_transient(), error.is_rejection()));
        assert!(error.is_none_or(|error| error == (false, true)), "{target}");
    }
    let dialled = transport.dialled();
    assert!(dialled.iter().all(|address| address.starts_with("93.") || address.starts_with("10.")), "{dialled:?}");
}

#[tokio::test]
async fn the_operators_own_server_may_be_anywhere_and_redirect_to_itself() {
    let transport = redirecting().await;
    let client = client(&transport);
    for target in ["", "to?/x", "to?http://own.example:81/"] {
        get(&client, &format!("http://own.example/{target}"), NamedBy::Operator).await.expect(target);
    }
    assert!(transport.dialled().iter().all(|address| address.starts_with("169.254.1.1:")));
    // There is a connection now, but not for a server to use.
    for url in ["http://own.example/", "http://own.example/to?/x"] {
        assert!(is_denied(&get(&client, url, NamedBy::Server).await), "{url}");
    }
    let redirected = get(&client, "http://registry.example/to?http://own.example/", NamedBy::Operator).await;
    assert!(is_denied(&redirected));
    assert_eq!(transport.dialled(), ["93.184.216.34:80"]);
}
