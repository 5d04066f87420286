//! Which events does the server log, and in which form? `RUST_LOG` says it, and the admin listener until the next reload.

use std::io::{self, Write};

use tracing_subscriber::{EnvFilter, reload};

use wagi::admin::LogLevel;
use wagi::config::LogFormat;
use wagi::observe::{JsonEvents, LogWriter};
use wagi::printable;

/// The events that are logged without `RUST_LOG`.
///
/// Warnings of the engine's cache are omitted: it warns if two servers write the same file at once, and the result is
/// logged when modules are loaded.
const DEFAULT_EVENTS: &str = "warn,wagi=info,wasmtime_wasi=error,wasmtime_internal_cache=error";

/// Sends the events of the server to `log`. Returns what changes which ones.
pub fn init(log: &LogWriter, format: LogFormat) -> LogLevel {
    let log = log.clone();
    let events = tracing_subscriber::fmt().with_env_filter(of_start()).with_ansi(false);
    match format {
        LogFormat::Text => {
            let events = events.with_writer(move || EventWriter(log.clone())).with_filter_reloading();
            let level = log_level(events.reload_handle());
            events.init();
            level
        }
        LogFormat::Json => {
            let events = events.event_format(JsonEvents).with_writer(move || log.clone()).with_filter_reloading();
            let level = log_level(events.reload_handle());
            events.init();
            level
        }
    }
}

/// The events that a command shows without `RUST_LOG`.
const COMMAND_EVENTS: &str = "warn,wasmtime_wasi=error,wasmtime_internal_cache=error";

/// Sends the events of a command to `log`, as JSON.
pub fn init_for_command(log: &LogWriter) {
    let log = log.clone();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(COMMAND_EVENTS));
    let events = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    events.event_format(JsonEvents).with_writer(move || log.clone()).init();
}

/// The events that are logged from the start.
fn of_start() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_EVENTS))
}

fn log_level<S: 'static>(handle: reload::Handle<EnvFilter, S>) -> LogLevel {
    let resetting = handle.clone();
    let set = move |words: &str| {
        let filter = match words {
            "" => return Err("the log level is empty".to_owned()),
            words => EnvFilter::try_new(words).map_err(|error| error.to_string())?,
        };
        handle.reload(filter).map_err(|error| error.to_string())
    };
    // Fails only if there is no subscriber any more.
    LogLevel::new(set, move || _ = resetting.reload(of_start()))
}

/// A writer for `tracing_subscriber`, which writes each event in one piece. An event is one line of the log, whatever the
/// texts in it hold.
struct EventWriter(LogWriter);

impl Write for EventWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let event = String::from_utf8_lossy(bytes);
        let line = printable::line(event.strip_suffix('\n').unwrap_or(&event)).into_owned() + "\n";
        self.0.write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
