//! Which servers may a component call?

use toml::de::DeTable;

use crate::cli::commands::import::notes::{ManifestValue, Notes, value};

/// A server, as `allowed_hosts` writes it.
const EVERY: &str = "\"insecure:allow-all\"";

/// The items of `allowed_hosts`, written as TOML.
pub(super) fn allowed(component: &DeTable<'_>, notes: &mut Notes<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for key in ["allowed_http_hosts", "allowed_outbound_hosts"] {
        let Some(list) = value(component, key) else { continue };
        for item in notes.array(key, list) {
            let Some(text) = notes.text(key, item) else { continue };
            let host = if key == "allowed_http_hosts" { first(text) } else { second(text, item, notes) };
            hosts.extend(host.filter(|host| !hosts.contains(host)));
        }
    }
    if hosts.iter().any(|host| host == EVERY) { vec![EVERY.to_owned()] } else { hosts }
}

/// An item of version 1: a host or a URL, of which the host counts.
fn first(text: &str) -> Option<String> {
    Some(quoted(text))
}

/// An item of version 2: scheme, host and port.
fn second(text: &str, at: &ManifestValue<'_>, notes: &mut Notes<'_>) -> Option<String> {
    let mut refuse = |message: String, help: &str| {
        notes.add(at.span(), message, help);
        None
    };
    if text == "insecure:allow-all" {
        return Some(EVERY.to_owned());
    }
    if text.contains("{{") {
        let help = "write the host itself into `allowed_hosts`";
        return refuse(format!("`{text}` depends on a variable, and is left out"), help);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return refuse(format!("`{text}` has no scheme, and is left out"), "write the host into `allowed_hosts`");
    };
    if !["http", "https", "*"].contains(&scheme) {
        let help = "programs call other servers over HTTP here; let a small service stand before it";
        return refuse(format!("`{text}` is left out: `{scheme}` is not spoken"), help);
    }
    let authority = rest.trim_end_matches('/');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host == "self" || host.ends_with(".spin.internal") || host == "self.alt" {
        let help = "no program can call the server it runs in: compose the two components, or make them one";
        return refuse(format!("`{text}` is left out: it is a component of the same application"), help);
    }
    if host == "*" {
        return Some(EVERY.to_owned());
    }
    let number = port.filter(|port| *port != "*").map(str::parse::<u16>);
    let port = match number {
        Some(Err(_)) => {
            let help = "list the ports one by one, or leave the port out for every port";
            return refuse(format!("`{text}` is left out: its port is not a number"), help);
        }
        Some(Ok(port)) => Some(port),
        None if port.is_some() => None,
        None => [("http", 80), ("https", 443)].into_iter().find(|(known, _)| *known == scheme).map(|(_, port)| port),
    };
    let mut keys = vec![format!("host = {}", quoted(host))];
    if scheme != "*" {
        keys.push(format!("scheme = {}", quoted(scheme)));
    }
    keys.extend(port.map(|port| format!("port = {port}")));
    Some(format!("{{ {} }}", keys.join(", ")))
}

/// A string as TOML.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
