//! Which requests does a guest get that no client has sent?
//!
//! A guest that begins warm is initialized before there is a request, and is tried before it is used. What these requests say is as
//! different as requests for one snapshot can be: some come through a proxy, over TLS, or over a Unix socket. They have the variables
//! that snapshots may hold, and something else in place of the others, which may be secret.

mod content;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version};

use crate::cgi::{ArgumentTemplate, ClientCertificate, Endpoint, Host, RequestHead, RouteVariables};
use crate::config::{EntryConfig, WarmStartConfig};
use crate::remote_address::RemoteAddress;
use crate::route::RoutePattern;
use crate::runtime::{RehearsalRequest, RehearsalRequests, SnapshotKey};

use crate::gateway::guest_route::argument_template;
use crate::gateway::rehearsal::content::RehearsalContent;

/// Where the requests of a route seem to come from, and what its guests get.
struct RouteRehearsals {
    pattern: RoutePattern,
    endpoints: [Endpoint; 2],
    environment: Vec<(String, String)>,
    plain: Vec<String>,
    pass_authorization: bool,
    /// Where guests see the directory of scripts, if the guest runs scripts.
    mount: Option<String>,
    argv: ArgumentTemplate,
}

/// The requests for the guests of `entry` at `pattern`, over a server that is addressed as `endpoint`.
pub(crate) fn requests(
    entry: &EntryConfig,
    config: &WarmStartConfig,
    pattern: &RoutePattern,
    endpoint: Endpoint,
) -> RehearsalRequests {
    let mount = entry.scripts.as_ref().map(|scripts| scripts.mount.clone());
    let rehearsals = RouteRehearsals {
        pattern: pattern.clone(),
        endpoints: [endpoint.clone(), endpoint.of_other_scheme()],
        environment: entry.environment.clone(),
        plain: config.plain_variables.clone(),
        pass_authorization: entry.pass_authorization.unwrap_or(false),
        argv: argument_template(entry.argv.as_ref(), mount.is_some()),
        mount,
    };
    Arc::new(move |key, number, headers| rehearsals.request_for(key, number, headers))
}

impl RouteRehearsals {
    /// The request of this number. If it has to have a number of arguments, its query has as many pieces as that takes.
    fn request_for(&self, key: &SnapshotKey, number: usize, names: &[String]) -> Option<RehearsalRequest> {
        let content = RehearsalContent::new(number);
        let Some(count) = key.arguments else {
            return self.request(key, (number, &content, &content.query(key.query)), names);
        };
        let of_pieces = |pieces| {
            let query = content.query_of_pieces(key.query, pieces);
            self.request(key, (number, &content, &query), names).filter(|request| request.arguments.len() == count)
        };
        (1..=count).find_map(of_pieces)
    }

    fn request(
        &self,
        key: &SnapshotKey,
        (number, content, query): (usize, &RehearsalContent, &str),
        names: &[String],
    ) -> Option<RehearsalRequest> {
        let script = match (&key.script, &self.mount) {
            (Some(script), Some(mount)) => Some(script.strip_prefix(mount.as_str())?.strip_prefix('/')?),
            (None, None) => None,
            // The operator has a variable of this name.
            (Some(_), None) => None,
            (None, Some(_)) => return None,
        };
        let path_info = self.path_info(key, content);
        let uri = self.uri(script, path_info, query)?;
        let headers = headers(number, content, names);
        let head = RequestHead {
            method: &content.method,
            uri: &uri,
            version: if number % 2 == 1 { Version::HTTP_2 } else { Version::HTTP_11 },
            headers: &headers,
            host: Host::parse(pick(&["rehearsal.test", "other.test:8080"], number % 2).as_bytes()),
            content_length: content.body.len() as u64,
            remote_address: client(number),
            local_address: (number % 2 == 0).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            request_id: pick(&["00000000000000a1", "00000000000000f2"], number % 2),
            client_certificate: certificate(number),
            script,
        };
        let endpoint = self.endpoints.get(number % 2)?;
        let environment = self.variables(number).environment(endpoint, &head, path_info).ok()?;
        let arguments = self.argv.arguments(&uri, &environment);
        Some(RehearsalRequest { arguments, environment, body: content.body.clone() })
    }

    fn path_info<'c>(&self, key: &SnapshotKey, content: &'c RehearsalContent) -> &'c str {
        match (&self.mount, key.is_translated) {
            (Some(_), false) => "",
            (Some(_), true) => content.path_behind_script(),
            (None, _) if self.pattern.is_prefix() => content.path(),
            (None, _) => "",
        }
    }

    fn uri(&self, script: Option<&str>, path_info: &str, query: &str) -> Option<Uri> {
        let prefix = if self.pattern.is_prefix() { self.pattern.prefix() } else { self.pattern.as_str() };
        let script = script.map(|script| format!("/{}", encoded(script))).unwrap_or_default();
        let path = format!("{prefix}{script}{path_info}");
        let path = if path.is_empty() { "/" } else { &path };
        format!("{path}{query}").parse().ok()
    }

    /// The variables of the route, without those that may be secret.
    fn variables(&self, number: usize) -> RouteVariables {
        let shown = |(name, value): &(String, String)| match self.plain.contains(name) {
            true => (name.clone(), value.clone()),
            false => (name.clone(), format!("{}{number}", "x".repeat(number % 50 + 1))),
        };
        let environment: Vec<_> = self.environment.iter().map(shown).collect();
        match &self.mount {
            Some(mount) => RouteVariables::for_scripts(&self.pattern, &environment, self.pass_authorization, mount),
            None => RouteVariables::new(&self.pattern, &environment, self.pass_authorization),
        }
    }
}

fn pick<'a>(items: &[&'a str], number: usize) -> &'a str {
    items.get(number % items.len()).copied().unwrap_or_default()
}

/// A path as a client sends it.
fn encoded(path: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const RESERVED: &AsciiSet =
        &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');
    utf8_percent_encode(path, RESERVED).to_string()
}

/// Every other request comes through a proxy, which does not say from which port, or over a Unix socket.
fn client(number: usize) -> RemoteAddress {
    let last = u8::try_from(number % 200).unwrap_or_default() + 1;
    let port = if number.is_multiple_of(2) { 40_000 + u16::from(last) } else { 0 };
    match number % 4 {
        3 => RemoteAddress::Unix,
        _ => RemoteAddress::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port)),
    }
}

/// What is known of the client, which is not asked for a certificate by all servers.
fn certificate(number: usize) -> Option<ClientCertificate<'static>> {
    match number % 4 {
        1 => Some(ClientCertificate::Verified { subject: "CN=rehearsal,O=other" }),
        3 => Some(ClientCertificate::None),
        _ => None,
    }
}

/// Header fields: the usual ones, and those of the names that variables for them have.
fn headers(number: usize, content: &RehearsalContent, names: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [("content-type", &content.content_type), ("cookie", &content.cookie)] {
        if let Some(value) = HeaderValue::from_str(value).ok().filter(|value| !value.is_empty()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if number > 0 {
        headers.insert(HeaderName::from_static("user-agent"), HeaderValue::from_static("rehearsal"));
        headers.insert(HeaderName::from_static("accept"), HeaderValue::from_static("text/html"));
        headers.insert(HeaderName::from_static("accept-language"), HeaderValue::from_static("en,de;q=0.5"));
        headers.insert(HeaderName::from_static("authorization"), HeaderValue::from_static("Basic cmVoZWFyc2FsOng="));
        headers.insert(HeaderName::from_static("referer"), HeaderValue::from_static("http://rehearsal.test/other"));
        headers.insert(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static("192.0.2.77"));
        headers.insert(HeaderName::from_static("x-rehearsal"), HeaderValue::from(number));
    }
    for name in names {
        let field = name.strip_prefix("HTTP_").unwrap_or(name).to_ascii_lowercase().replace('_', "-");
        if let Ok(field) = HeaderName::try_from(field)
            && field != CONTENT_TYPE
        {
            headers.entry(field).or_insert_with(|| HeaderValue::from(number));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::config::{ModuleRef, Origin};
    use crate::gateway::rehearsal::*;
    use crate::runtime::QueryClass;

    fn requests_of(environment: &[(&str, &str)], plain: &[&str]) -> RehearsalRequests {
        let pattern = RoutePattern::new("/app/...");
        let mut entry = EntryConfig::new(Origin::command_line(), pattern.clone(), ModuleRef::File("a.wasm".into()));
        entry.environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let plain_variables = plain.iter().map(|name| (*name).to_owned()).collect();
        let config = WarmStartConfig { plain_variables, ..WarmStartConfig::default() };
        requests(&entry, &config, &pattern, Endpoint::new(false, None))
    }

    #[test]
    fn each_variable_that_only_some_requests_have_is_in_one_of_the_first_and_not_in_another() {
        let requests = requests_of(&[], &[]);
        let key = SnapshotKey { script: None, query: QueryClass::None, is_translated: true, arguments: None };
        let names = |number| -> BTreeSet<String> {
            let request = requests(&key, number, &[]).expect("a request");
            let names = request.environment.iter().filter_map(|variable| variable.split_once('='));
            names.map(|(name, _)| name.to_owned()).collect()
        };
        let all: Vec<_> = (0..5).map(names).collect();
        for name in ["REMOTE_PORT", "SERVER_ADDR", "HTTPS", "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN", "HTTP_COOKIE"] {
            let with = all.iter().filter(|names| names.contains(name)).count();
            assert!((1..5).contains(&with), "{name}: {with}");
        }
    }

    #[test]
    fn a_request_has_as_many_arguments_as_its_snapshot_is_for() {
        let requests = requests_of(&[], &[]);
        for (query, count) in
            [(QueryClass::Fields, 2), (QueryClass::Fields, 5), (QueryClass::Words, 3), (QueryClass::None, 2)]
        {
            let key = SnapshotKey { script: None, query, is_translated: true, arguments: Some(count) };
            for number in 0..10 {
                let request = requests(&key, number, &[]).expect("a request");
                assert_eq!(request.arguments.len(), count, "{query:?}: {number}");
                assert_eq!(QueryClass::of(request.environment.variable("QUERY_STRING").expect("it is set")), query);
            }
        }
        let key = SnapshotKey { script: None, query: QueryClass::None, is_translated: true, arguments: Some(3) };
        assert!(requests(&key, 0, &[]).is_none());
    }

    #[test]
    fn secrets_are_not_in_them_and_other_variables_are() {
        let requests = requests_of(&[("TOKEN", "hunter2"), ("HOME", "/lib")], &["HOME"]);
        let key = SnapshotKey { script: None, query: QueryClass::Fields, is_translated: true, arguments: None };
        let mut values = Vec::new();
        for number in 0..40 {
            let request = requests(&key, number, &["HTTP_X_OWN".to_owned()]).expect("a request");
            assert!(request.environment.iter().all(|variable| !variable.contains("hunter2")));
            assert_eq!(request.environment.variable("HOME"), Some("/lib"));
            assert!(request.environment.variable("HTTP_X_OWN").is_some());
            assert_eq!(SnapshotKey::of(&request.environment), key);
            values.push(request.environment.variable("TOKEN").map(str::to_owned));
        }
        values.dedup();
        assert_eq!(values.len(), 40, "each is another one");
    }
}
