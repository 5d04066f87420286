//! What is configured? Everything but secrets and the values of variables.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::admin::state::ServedParts;
use crate::config::{
    AccessLogTarget, AllowedHosts, Argv, Config, ConnectionLimits, DebugConfig, EntryConfig, ForwardedFields,
    GatewayLimits, HostPattern, Limits, OtherFiles, ScriptsConfig, ServerConfig, StaticConfig, StaticContent,
    TlsConfig,
};
use crate::gateway::ServedRoute;

/// The routes in the order in which they are tried.
pub(super) fn routes(parts: &ServedParts) -> Value {
    parts.gateway.routes().iter().map(route).collect()
}

/// One route, with what it leads to.
pub fn route(route: &ServedRoute) -> Value {
    json!({
        "pattern": route.pattern.to_string(),
        "host": hosts(&route.hosts),
        "module": route.module,
        "digest": route.digest,
        "kind": route.kind,
        "files": route.files,
        "entrypoint": route.entry_point,
        "sub_route_of": route.sub_route_of,
        "limits": route.limits.as_ref().map(limits),
        "hidden_by": route.hidden_by.as_ref().map(|hidden| json!({
            "order": hidden.position,
            "hosts": hosts(&hidden.hosts),
        })),
    })
}

/// The modules, each once, with their routes.
pub(super) fn modules(parts: &ServedParts) -> Value {
    let mut modules: Map<String, Value> = Map::new();
    for route in parts.gateway.routes() {
        let Some(module) = route.module else { continue };
        let known = modules
            .entry(module.clone())
            .or_insert_with(|| json!({ "module": module, "digest": route.digest, "kind": route.kind, "routes": [] }));
        if let Some(routes) = known.get_mut("routes").and_then(Value::as_array_mut) {
            routes.push(route.pattern.to_string().into());
        }
    }
    modules.into_iter().map(|(_, module)| module).collect()
}

/// A configuration. Each limit and most other values have the name of their key in modules.toml.
pub fn config(config: &Config) -> Value {
    json!({
        "server": server(config),
        "tls": config.server.tls.as_ref().map(tls),
        "admin": config.admin.as_ref().map(|admin| json!({
            "listen": admin.listen.to_string(),
            "hosts": hosts(&admin.hosts),
            "token": admin.token.is_some(),
        })),
        "debug": debug(&config.debug),
        "limits": server_limits(config),
        "log": log(config),
        "modules": config.entries.iter().map(entry).collect::<Vec<_>>(),
        "static": config.static_files.iter().map(files).collect::<Vec<_>>(),
    })
}

fn server(config: &Config) -> Value {
    let ServerConfig { listen, proxy_protocol, redirect_https, request_id_header, .. } = &config.server;
    let forwarded = match config.server.forwarded {
        ForwardedFields::XForwarded => "x-forwarded",
        ForwardedFields::Forwarded => "forwarded",
    };
    json!({
        "listen": listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "server_name": config.hostname.to_string(),
        "trusted_proxies": config.server.trusted_proxies.to_strings(),
        "forwarded": forwarded,
        "proxy_protocol": proxy_protocol,
        "redirect_https": redirect_https,
        "request_id_header": request_id_header,
        "shutdown_delay": seconds(config.server.shutdown_delay),
        "idle_exit": config.server.idle_exit.map(seconds),
        "scratch_directory": config.server.scratch_directory.as_ref().map(|path| path.display().to_string()),
        "scratch_total": config.server.scratch_total.0,
    })
}

fn tls(tls: &TlsConfig) -> Value {
    let certificates = tls.certificates().map(|files| json!({ "cert": files.cert.display().to_string() }));
    json!({
        "certificates": certificates.collect::<Vec<_>>(),
        "client_ca": tls.client_ca.as_ref().map(|path| path.display().to_string()),
        "client_auth": format!("{:?}", tls.client_auth).to_lowercase(),
    })
}

/// The limits of the whole server. Times are in seconds.
pub(super) fn server_limits(config: &Config) -> Value {
    let GatewayLimits { total_concurrency, queue, queue_wait, wasm_stack, module_size, .. } = &config.limits;
    let ConnectionLimits { connections, connections_per_address, header_block, .. } = &config.server.limits;
    let times = &config.server.limits;
    json!({
        "total_concurrency": total_concurrency,
        "queue": queue,
        "queue_wait": seconds(*queue_wait),
        "wasm_stack": wasm_stack,
        "module_size": module_size,
        "connections": connections,
        "connections_per_address": unless_max(*connections_per_address as u64, usize::MAX as u64),
        "header_block": header_block,
        "header_timeout": seconds(times.header_timeout),
        "body_timeout": seconds(times.body_timeout),
        "send_timeout": seconds(times.send_timeout),
        "keep_alive": seconds(times.keep_alive),
        "tls_handshake": seconds(times.tls_handshake),
        "shutdown_grace": seconds(times.shutdown_grace),
    })
}

fn log(config: &Config) -> Value {
    let access = match &config.log.access {
        AccessLogTarget::StandardError => "on".to_owned(),
        AccessLogTarget::Nowhere => "off".to_owned(),
        AccessLogTarget::File(path) => path.display().to_string(),
    };
    json!({ "access_log": access, "log_dir": config.log.dir.as_ref().map(|path| path.display().to_string()) })
}

fn entry(entry: &EntryConfig) -> Value {
    let volumes = entry.volumes.iter().map(|volume| {
        let (guest, host) = (&volume.guest_path, volume.host_path.display().to_string());
        json!({ "guest_path": guest, "path": host, "read_only": volume.read_only })
    });
    let scratch = entry
        .scratch
        .iter()
        .map(|scratch| json!({ "guest_path": scratch.guest_path, "bytes": scratch.bytes, "files": scratch.files }));
    json!({
        "route": entry.route.to_string(),
        "host": hosts(&entry.hosts),
        "module": entry.module.to_string(),
        "entrypoint": entry.entrypoint,
        "pass_authorization": entry.pass_authorization,
        "http_max_concurrency": entry.http_max_concurrency,
        "argv": entry.argv.as_ref().map(argv),
        "scripts": entry.scripts.as_ref().map(scripts),
        "environment": entry.environment.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "volumes": volumes.collect::<Vec<_>>(),
        "allowed_hosts": allowed_hosts(&entry.allowed_hosts),
        "scratch": scratch.collect::<Vec<_>>(),
        "compress": entry.compress,
        "limits": limits(&entry.limits),
    })
}

fn argv(argv: &Argv) -> Value {
    match argv {
        Argv::Line(line) => line.as_str().into(),
        Argv::Array(words) => words.clone().into(),
    }
}

fn scripts(scripts: &ScriptsConfig) -> Value {
    json!({
        "directory": scripts.directory.display().to_string(),
        "extensions": scripts.extensions,
        "index": scripts.index,
        "mount": if scripts.mount.is_empty() { "/" } else { &scripts.mount },
        "static": scripts.others == OtherFiles::Sent,
    })
}

fn debug(debug: &DebugConfig) -> Value {
    let coredumps = debug.coredumps.as_ref();
    json!({
        "coredump_directory": coredumps.map(|dumps| dumps.directory.display().to_string()),
        "coredump_files": coredumps.map(|dumps| dumps.files),
        "coredump_size": coredumps.map(|dumps| dumps.size),
        "profile": debug.profile.as_ref().map(|profile| json!({
            "slower_than": seconds(profile.slower_than),
            "kept": profile.kept,
        })),
    })
}

/// The limits of an entry. Times are in seconds.
pub fn limits(limits: &Limits) -> Value {
    json!({
        "time_to_head": seconds(limits.time_to_head),
        "time_between_outputs": seconds(limits.time_between_outputs),
        "cpu_time": seconds(limits.cpu_time),
        "memory": limits.memory,
        "table_elements": limits.table_elements,
        "request_body": unless_max(limits.request_body, u64::MAX),
        "response_head": limits.response_head,
        "response_body": limits.response_body,
        "stderr": limits.stderr,
        "concurrency": limits.concurrency,
    })
}

fn files(entry: &StaticConfig) -> Value {
    let content = match &entry.content {
        StaticContent::File(path) => json!({ "file": path.display().to_string() }),
        StaticContent::Directory { path, index, fallback } => json!({
            "directory": path.display().to_string(),
            "index": index,
            "fallback": fallback.as_ref().map(|path| path.display().to_string()),
        }),
    };
    let mut shown = json!({
        "route": entry.route.to_string(),
        "host": hosts(&entry.hosts),
        "precompressed": entry.precompressed,
        "headers": entry.headers.keys().map(|name| name.as_str()).collect::<Vec<_>>(),
    });
    if let (Value::Object(content), Some(shown)) = (content, shown.as_object_mut()) {
        shown.extend(content);
    }
    shown
}

fn allowed_hosts(allowed: &AllowedHosts) -> Vec<String> {
    match allowed {
        AllowedHosts::None => Vec::new(),
        AllowedHosts::All => vec!["insecure:allow-all".to_owned()],
        AllowedHosts::Only(hosts) => hosts.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn hosts(hosts: &[HostPattern]) -> Vec<String> {
    hosts.iter().map(ToString::to_string).collect()
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// The number; `None` for the one that stands for no limit.
fn unless_max(number: u64, max: u64) -> Option<u64> {
    (number < max).then_some(number)
}
