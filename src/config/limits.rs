//! The limits of a guest, of the whole server, and of connections.
//!
//! Every limit that the operator can set is in this file, with its default and its bounds. `manifest` sets them from `[limits]` and from the
//! `limits` of a `[[module]]`. `runtime`, `gateway` and `server` apply them.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::config::reader::report::Report;
use crate::config::reader::values;
use crate::config::reader::values::{Value, ValueError, count, duration, size, size_or_unlimited};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The largest value of `module_size`, in bytes.
pub const MAX_MODULE_SIZE: u64 = GIB;

/// The limits of each run of an entry, and how many runs of it may be under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time from the start of a run until the head of its response is complete. Default 30 s.
    pub time_to_head: Duration,
    /// Longest time without output of the guest after the head. Default 30 s.
    pub time_between_outputs: Duration,
    /// Time that a guest may compute. Waiting does not count. Default 10 s.
    pub cpu_time: Duration,
    /// Bytes of all linear memories of a guest, 64 KiB to 4 GiB. Default 128 MiB.
    pub memory: usize,
    /// Elements of all tables of a guest. Default 20 000.
    pub table_elements: usize,
    /// Bytes of a request body; `u64::MAX` for no limit. Default 10 MiB.
    pub request_body: u64,
    /// Bytes of the head that a guest writes, 256 B to 16 MiB. Default 64 KiB.
    pub response_head: usize,
    /// Bytes of a response body; `None`, the default, for no limit.
    pub response_body: Option<u64>,
    /// Bytes of standard error that are kept for one request, 1 KiB to 1 GiB. Default 64 KiB.
    pub stderr: usize,
    /// Runs of one entry at the same time. Default 64.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Proxies in front of the server commonly give up after 60 s. The guest should reach its limit before that.
            time_to_head: Duration::from_secs(30),
            // Event streams commonly send a keep-alive message every 15 s.
            time_between_outputs: Duration::from_secs(30),
            // Enough for an interpreter that starts slowly on a slow machine.
            cpu_time: Duration::from_secs(10),
            // Fits language runtimes such as Python; 256 of them still fit a 32 GiB machine.
            memory: 128 << 20,
            // Large programs in Go or C++ call some thousand functions by pointer.
            table_elements: 20_000,
            // Enough for a photograph, but not for a film.
            request_body: 10 * MIB,
            // More would not pass common proxies in front of the server: nginx accepts 8 KiB, Envoy 60 KiB.
            response_head: 64 << 10,
            // The body is streamed, so its length costs no memory.
            response_body: None,
            // Enough for a long stack trace, without filling the disk.
            stderr: 64 << 10,
            // A quarter of all permits: one slow module cannot take them all.
            concurrency: 64,
        }
    }
}

/// The settings of the whole server that are about guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayLimits {
    /// Runs of all entries at the same time. Default 256.
    pub total_concurrency: usize,
    /// Requests of one entry that may wait for a permit; with 0 no request waits. Default 256.
    pub queue: usize,
    /// Longest time that a request waits. Default 1 s.
    pub queue_wait: Duration,
    /// Bytes of stack for the calls of one guest, 64 KiB to 1 MiB. Default 512 KiB.
    pub wasm_stack: usize,
    /// Bytes of one module file, 1 KiB to 1 GiB. Default 64 MiB.
    pub module_size: u64,
    /// Time to compile one module that was fetched. Default 60 s.
    pub compile_time: Duration,
    /// Bytes of memory to compile one module that was fetched, 64 MiB to 1 TiB. Default 2 GiB.
    pub compile_memory: u64,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            // Their address space is reserved at start-up, and for more instances it gets scarce.
            total_concurrency: 256,
            // As many as run: each waits for about one run to end.
            queue: 256,
            // After a longer wait a client is served better by a 503 with Retry-After.
            queue_wait: Duration::from_secs(1),
            // The default of wasmtime, which toolchains expect.
            wasm_stack: 512 << 10,
            // Interpreters with built-in libraries have about 30 MiB.
            module_size: 64 * MIB,
            // An interpreter of 20 MiB takes 10 s on two cores.
            compile_time: Duration::from_secs(60),
            // Compiling takes about 25 bytes for each of a module, so that one of the largest size fits.
            compile_memory: 2 * GIB,
        }
    }
}

/// The limits of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Open connections. Default 10 000.
    pub connections: usize,
    /// Open connections from one address; `usize::MAX` for no limit. Default 512.
    pub connections_per_address: usize,
    /// Bytes of a request head, 1 KiB to 1 MiB. Default 32 KiB.
    pub header_block: usize,
    /// Time until a request head is complete. Default 10 s.
    pub header_timeout: Duration,
    /// Longest time without a byte of the request body. Default 15 s.
    pub body_timeout: Duration,
    /// Longest time in which the client accepts no byte of the response. Default 30 s.
    pub send_timeout: Duration,
    /// Longest time between two requests. Default 60 s.
    pub keep_alive: Duration,
    /// Time until the TLS handshake is complete. Default 10 s.
    pub tls_handshake: Duration,
    /// Time for requests under way when the server stops. Default 30 s.
    pub shutdown_grace: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            // About 40 KiB each: 400 MiB in the worst case.
            connections: 10_000,
            // One client cannot take a tenth of all connections, but an office behind one address is served.
            connections_per_address: 512,
            // Enough for large cookies, and the same as in nginx.
            header_block: 32 << 10,
            // A client that needs longer for a few KiB holds its connection on purpose.
            header_timeout: Duration::from_secs(10),
            // Enough for a short gap in a mobile network.
            body_timeout: Duration::from_secs(15),
            // The guest waits meanwhile, so not longer than `time_between_outputs`.
            send_timeout: Duration::from_secs(30),
            // As long as common proxies keep connections open.
            keep_alive: Duration::from_secs(60),
            // Enough for two round trips over a satellite and a signature.
            tls_handshake: Duration::from_secs(10),
            // As long as common process supervisors wait before they kill.
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

impl Limits {
    const KEYS: [&str; 10] = [
        "time_to_head",
        "time_between_outputs",
        "cpu_time",
        "memory",
        "table_elements",
        "request_body",
        "response_head",
        "response_body",
        "stderr",
        "concurrency",
    ];

    /// Sets the limit `key`. Returns `false` if there is no such limit.
    fn set(&mut self, key: &str, value: &DeValue<'_>) -> Result<bool, ValueError> {
        match key {
            "time_to_head" => self.time_to_head = duration(key, value)?,
            "time_between_outputs" => self.time_between_outputs = duration(key, value)?,
            "cpu_time" => self.cpu_time = duration(key, value)?,
            "memory" => self.memory = to_usize(size(key, value, 64 * KIB..=4 * GIB)?),
            "table_elements" => self.table_elements = to_usize(count(key, value, 0..=10_000_000)?),
            "request_body" => self.request_body = size_or_unlimited(key, value, 1..=u64::MAX)?.unwrap_or(u64::MAX),
            "response_head" => self.response_head = to_usize(size(key, value, 256..=16 * MIB)?),
            "response_body" => self.response_body = size_or_unlimited(key, value, 1..=u64::MAX)?,
            "stderr" => self.stderr = to_usize(size(key, value, KIB..=GIB)?),
            "concurrency" => self.concurrency = to_usize(count(key, value, 1..=100_000)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Sets the limits in the table `limits` of one `[[module]]`.
    pub(super) fn read(&mut self, table: &DeTable<'_>, report: &mut Report) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let is_known = report.accept(value.span(), self.set(name, value.get_ref())).unwrap_or(true);
            if is_known {
                continue;
            }
            if GatewayLimits::KEYS.contains(&name) || ConnectionLimits::KEYS.contains(&name) {
                let error = ValueError::new(format!("`{name}` is a limit of the whole server, not of one module"));
                report.error(key.span(), error.help("move it into the `[limits]` table at the top level of the file"));
            } else {
                report.unknown_key(key, &Self::KEYS, "in the limits of a module");
            }
        }
    }
}

impl GatewayLimits {
    const KEYS: [&str; 7] =
        ["total_concurrency", "queue", "queue_wait", "wasm_stack", "module_size", "compile_time", "compile_memory"];

    fn set(&mut self, key: &str, value: &DeValue<'_>) -> Result<bool, ValueError> {
        match key {
            "total_concurrency" => self.total_concurrency = to_usize(count(key, value, 1..=100_000)?),
            "queue" => self.queue = to_usize(count(key, value, 0..=1_000_000)?),
            "queue_wait" => self.queue_wait = duration(key, value)?,
            "wasm_stack" => self.wasm_stack = to_usize(size(key, value, 64 * KIB..=MIB)?),
            "compile_time" => self.compile_time = duration(key, value)?,
            "compile_memory" => self.compile_memory = size(key, value, 64 * MIB..=1024 * GIB)?,
            "module_size" => self.module_size = size(key, value, KIB..=MAX_MODULE_SIZE)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl ConnectionLimits {
    const KEYS: [&str; 9] = [
        "connections",
        "connections_per_address",
        "header_block",
        "header_timeout",
        "body_timeout",
        "send_timeout",
        "keep_alive",
        "tls_handshake",
        "shutdown_grace",
    ];

    fn set(&mut self, key: &str, value: &DeValue<'_>) -> Result<bool, ValueError> {
        match key {
            "connections" => self.connections = to_usize(count(key, value, 1..=10_000_000)?),
            // Behind a proxy all connections have the same address.
            "connections_per_address" if values::is_unlimited(value) => self.connections_per_address = usize::MAX,
            "connections_per_address" => self.connections_per_address = to_usize(count(key, value, 1..=10_000_000)?),
            "header_block" => self.header_block = to_usize(size(key, value, KIB..=MIB)?),
            "header_timeout" => self.header_timeout = duration(key, value)?,
            "body_timeout" => self.body_timeout = duration(key, value)?,
            "send_timeout" => self.send_timeout = duration(key, value)?,
            "keep_alive" => self.keep_alive = duration(key, value)?,
            "tls_handshake" => self.tls_handshake = duration(key, value)?,
            "shutdown_grace" => self.shutdown_grace = duration(key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The limits of the table `[limits]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AllLimits {
    /// The limits of entries that set none.
    pub module: Limits,
    pub gateway: GatewayLimits,
    pub connection: ConnectionLimits,
}

impl AllLimits {
    /// Sets the limits in the table `[limits]`.
    pub fn read(&mut self, table: &DeTable<'_>, report: &mut Report) {
        for (key, value) in table {
            if report.accept(value.span(), self.set(key.get_ref(), value)) == Some(false) {
                let known = [&Limits::KEYS[..], &GatewayLimits::KEYS, &ConnectionLimits::KEYS].concat();
                report.unknown_key(key, &known, "in `[limits]`");
            }
        }
    }

    fn set(&mut self, key: &str, value: &Value<'_>) -> Result<bool, ValueError> {
        let value = value.get_ref();
        Ok(self.module.set(key, value)? || self.gateway.set(key, value)? || self.connection.set(key, value)?)
    }
}

/// Converts a number. Its bounds fit 64-bit machines; elsewhere a larger number becomes the maximum.
fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use crate::config::SourceFile;
    use crate::config::limits::*;

    fn read(text: &str) -> (AllLimits, Vec<String>) {
        let file = SourceFile::new("modules.toml", text);
        let table = DeTable::parse(text).expect(text);
        let mut report = Report::new(file, false);
        let mut limits = AllLimits::default();
        limits.read(table.get_ref(), &mut report);
        (limits, report.finish().into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn every_key_sets_its_own_limit() {
        let keys = [&Limits::KEYS[..], &GatewayLimits::KEYS, &ConnectionLimits::KEYS].concat();
        let mut seen = vec![AllLimits::default()];
        for key in &keys {
            let tries = ["'7s'", "77777", "'77MiB'"].map(|value| read(&format!("{key} = {value}")));
            let limits = tries.into_iter().find(|(_, problems)| problems.is_empty()).expect(key).0;
            assert!(!seen.contains(&limits), "{key}");
            seen.push(limits);
        }
        assert_eq!(keys.len(), 26);
    }

    #[test]
    fn limits_keep_within_their_bounds() {
        for text in [
            "memory = '63KiB'",
            "memory = '5GiB'",
            "memory = 0",
            "memory = 'unlimited'",
            "wasm_stack = '63KiB'",
            "wasm_stack = '2MiB'",
            "concurrency = 0",
            "total_concurrency = 0",
            "connections = 0",
            "cpu_time = '0s'",
            "header_block = 100",
            "response_head = '17MiB'",
            "module_size = 0",
            "compile_memory = '63MiB'",
            "stderr = 0",
            "queue = -1",
        ] {
            let (limits, problems) = read(text);
            assert_eq!((limits, problems.len()), (AllLimits::default(), 1), "{text}");
        }
    }

    #[test]
    fn some_limits_can_be_lifted() {
        for value in ["0", "'none'", "'unlimited'"] {
            let (limits, problems) =
                read(&format!("request_body = {value}\nresponse_body = {value}\nconnections_per_address = {value}"));
            assert_eq!(problems, [""; 0]);
            assert_eq!(limits.module.request_body, u64::MAX);
            assert_eq!(limits.module.response_body, None);
            assert_eq!(limits.connection.connections_per_address, usize::MAX);
        }
        let (limits, _) = read("queue = 0\nresponse_body = '1KiB'");
        assert_eq!((limits.gateway.queue, limits.module.response_body), (0, Some(1024)));
    }
}
