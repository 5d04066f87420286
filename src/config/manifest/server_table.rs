//! What do the tables `[server]` and `[tls]` say?

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::config::reader::report::Report;
use crate::config::reader::values::{
    SpannedStr, StringItem, ValueError, array, boolean, duration_or_zero, size, string, strings, table,
};
use crate::config::server::untrusted_web_servers;
use crate::config::{
    ClientAuth, ForwardedFields, Hostname, ListenAddress, SourceLocation, TlsFiles, TrustedProxies, UnknownGroup,
};

const SERVER_KEYS: [&str; 11] = [
    "listen",
    "trusted_proxies",
    "forwarded",
    "proxy_protocol",
    "redirect_https",
    "request_id_header",
    "server_name",
    "shutdown_delay",
    "compress",
    "scratch_directory",
    "scratch_total",
];
/// The most that all scratch directories may hold: 1 TiB.
const MAX_SCRATCH_TOTAL: u64 = 1 << 40;

const TLS_KEYS: [&str; 3] = ["certificates", "client_ca", "client_auth"];
const CERTIFICATE_KEYS: [&str; 2] = ["cert", "key"];

/// The content of `[server]`.
#[derive(Debug, Default)]
pub(in crate::config) struct ServerTable {
    pub listen: Vec<ListenAddress>,
    pub trusted_proxies: TrustedProxies,
    pub forwarded: ForwardedFields,
    pub proxy_protocol: bool,
    /// Where `redirect_https = true` stands, if it does.
    pub redirect_https: Option<SourceLocation>,
    pub request_id_header: bool,
    pub server_name: Option<Hostname>,
    pub shutdown_delay: Duration,
    pub compress: bool,
    pub scratch_directory: Option<PathBuf>,
    pub scratch_total: Option<u64>,
}

/// The content of `[tls]`.
#[derive(Debug, Default)]
pub(in crate::config) struct TlsTable {
    pub certificates: Vec<TlsFiles>,
    pub client_ca: Option<PathBuf>,
    pub client_ca_location: Option<SourceLocation>,
    pub client_auth: ClientAuth,
}

impl ServerTable {
    /// Reads `[server]`.
    pub(super) fn read(server: &DeTable<'_>, report: &mut Report) -> Self {
        report.unknown_keys(server, &SERVER_KEYS, "in `[server]`");
        let flag = |key: &str, report: &mut Report| {
            report.optional(server, key, |value| boolean(key, value)).unwrap_or_default()
        };
        Self {
            listen: listen(server, report),
            trusted_proxies: trusted_proxies(server, report),
            forwarded: report.optional(server, "forwarded", forwarded).unwrap_or_default(),
            proxy_protocol: proxy_protocol(server, report),
            redirect_https: redirect_https(server, report),
            request_id_header: flag("request_id_header", report),
            server_name: report.optional(server, "server_name", |value| parsed("server_name", value)),
            shutdown_delay: report
                .optional(server, "shutdown_delay", |value| duration_or_zero("shutdown_delay", value))
                .unwrap_or_default(),
            compress: flag("compress", report),
            scratch_directory: report
                .optional(server, "scratch_directory", |value| string("scratch_directory", value).map(PathBuf::from)),
            scratch_total: report
                .optional(server, "scratch_total", |value| size("scratch_total", value, 1..=MAX_SCRATCH_TOTAL)),
        }
    }
}

impl TlsTable {
    /// Reads `[tls]`.
    pub(super) fn read(tls: &DeTable<'_>, report: &mut Report) -> Self {
        report.unknown_keys(tls, &TLS_KEYS, "in `[tls]`");
        let client_ca = report.optional(tls, "client_ca", |value| string("client_ca", value).map(PathBuf::from));
        let client_auth = report.optional(tls, "client_auth", client_auth).unwrap_or_default();
        if let (None, Some(auth), false) = (&client_ca, tls.get("client_auth"), client_auth == ClientAuth::None) {
            let error = ValueError::new("`client_auth` needs `client_ca`, the certificates that sign those of clients");
            report.error(auth.span(), error.help("write `client_ca = \"clients.pem\"`"));
        }
        let client_ca_span = tls.get("client_ca").map(|value| value.span());
        if let (Some(_), Some(span), None) = (&client_ca, &client_ca_span, tls.get("client_auth")) {
            let error = ValueError::new("`client_ca` has no effect: clients are not asked for certificates");
            let help =
                "write `client_auth = \"require\"`, or `\"request\"` to serve clients without a certificate, too";
            report.warning(span.clone(), error.help(help));
        }
        let client_ca_location = client_ca_span.map(|span| SourceLocation::new(report.file(), span));
        Self { certificates: certificates(tls, report), client_ca, client_ca_location, client_auth }
    }
}

/// Headers are read from trusted proxies only, so there has to be one.
fn proxy_protocol(server: &DeTable<'_>, report: &mut Report) -> bool {
    let is_required = report.optional(server, "proxy_protocol", |value| boolean("proxy_protocol", value));
    if let (Some(true), true, Some(value)) = (is_required, trusts_nobody(server), server.get("proxy_protocol")) {
        let error = ValueError::new("`proxy_protocol` needs `trusted_proxies`: connections of others are refused");
        report.error(value.span(), error.help("name the proxies: `trusted_proxies = [\"192.0.2.7\"]`"));
    }
    is_required.unwrap_or_default()
}

fn trusts_nobody(server: &DeTable<'_>) -> bool {
    let proxies = server.get("trusted_proxies").map(|proxies| proxies.get_ref());
    proxies.is_none_or(|proxies| proxies.as_array().is_some_and(|list| list.is_empty()))
}

fn listen(server: &DeTable<'_>, report: &mut Report) -> Vec<ListenAddress> {
    let mut addresses = Vec::new();
    for item in texts(server, "listen", report) {
        let address = item.text.parse().map_err(|error| ValueError::new(format!("in `listen`: {error}")));
        let Some(address) = report.accept(item.span.clone(), address) else { continue };
        if addresses.iter().any(|earlier: &ListenAddress| earlier.is_same_socket(&address)) {
            report.error(item.span, ValueError::new(format!("`{address}` is listed twice in `listen`")));
        } else if let Err(error) = address.check_group() {
            report.error(item.span, ValueError::new(format!("in `listen`: {error}")).help(UnknownGroup::HELP));
        } else if address.needs_trust() && trusts_nobody(server) {
            let (message, help) = untrusted_web_servers(&address);
            report.warning(item.span, ValueError::new(message).help(help));
        }
        addresses.push(address);
    }
    addresses
}

fn redirect_https(server: &DeTable<'_>, report: &mut Report) -> Option<SourceLocation> {
    let redirects = report.optional(server, "redirect_https", |value| boolean("redirect_https", value));
    let span = server.get("redirect_https").filter(|_| redirects == Some(true))?.span();
    Some(SourceLocation::new(report.file(), span))
}

fn trusted_proxies(server: &DeTable<'_>, report: &mut Report) -> TrustedProxies {
    let mut proxies = TrustedProxies::default();
    for item in texts(server, "trusted_proxies", report) {
        let added = proxies.add(item.text).map_err(|error| ValueError::new(format!("in `trusted_proxies`: {error}")));
        report.accept(item.span, added);
    }
    proxies
}

/// The strings of the array at `key`.
fn texts<'t>(server: &'t DeTable<'_>, key: &str, report: &mut Report) -> Vec<SpannedStr<'t>> {
    let Some(value) = server.get(key) else { return Vec::new() };
    let items = report.accept(value.span(), strings(key, value.get_ref())).unwrap_or_default();
    let parsed = |item: StringItem<'t, '_>| {
        let text = report.accept(item.span(), item.string())?;
        Some(SpannedStr { text, span: item.span() })
    };
    items.into_iter().filter_map(parsed).collect()
}

fn certificates(tls: &DeTable<'_>, report: &mut Report) -> Vec<TlsFiles> {
    const EXAMPLE: &str = "write `certificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]`";
    let Some(value) = tls.get("certificates") else { return Vec::new() };
    let items = array("certificates", "an array of tables", value.get_ref()).map_err(|error| error.help(EXAMPLE));
    let mut certificates = Vec::new();
    for item in report.accept(value.span(), items).unwrap_or_default() {
        let pair = table("certificates", item.get_ref()).map_err(|error| error.help(EXAMPLE));
        let Some(pair) = report.accept(item.span(), pair) else { continue };
        report.unknown_keys(pair, &CERTIFICATE_KEYS, "in `certificates`");
        let [cert, key] =
            CERTIFICATE_KEYS.map(|name| report.optional(pair, name, |value| string(name, value).map(PathBuf::from)));
        match (cert, key) {
            (Some(cert), Some(key)) => {
                let location = Some(SourceLocation::new(report.file(), item.span()));
                certificates.push(TlsFiles { cert, key, location });
            }
            (None, None) if pair.is_empty() => {
                report.error(item.span(), ValueError::new("a certificate needs `cert` and `key`").help(EXAMPLE));
            }
            (cert, _) => {
                let missing = if cert.is_none() { "cert" } else { "key" };
                if !pair.contains_key(missing) {
                    let error = ValueError::new(format!("`{missing}` is missing in `certificates`"));
                    report.error(item.span(), error.help(EXAMPLE));
                }
            }
        }
    }
    certificates
}

fn forwarded(value: &DeValue<'_>) -> Result<ForwardedFields, ValueError> {
    match string("forwarded", value)? {
        "x-forwarded" => Ok(ForwardedFields::XForwarded),
        "forwarded" => Ok(ForwardedFields::Forwarded),
        _ => Err(ValueError::new("`forwarded` must be `\"x-forwarded\"` or `\"forwarded\"`")),
    }
}

fn client_auth(value: &DeValue<'_>) -> Result<ClientAuth, ValueError> {
    match string("client_auth", value)? {
        "none" => Ok(ClientAuth::None),
        "request" => Ok(ClientAuth::Request),
        "require" => Ok(ClientAuth::Require),
        _ => Err(ValueError::new("`client_auth` must be `\"none\"`, `\"request\"` or `\"require\"`")),
    }
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(name: &str, value: &DeValue<'_>) -> Result<T, ValueError> {
    string(name, value)?.parse().map_err(|error| ValueError::new(format!("in `{name}`: {error}")))
}
