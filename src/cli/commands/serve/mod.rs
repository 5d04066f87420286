//! The server: configuration, gateway, open port, serving, reloads, stop.

mod reloads;
mod signals;
mod systemd;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use wagi::Gateway;
use wagi::config::{Diagnostic, LogFormat, Options};
use wagi::observe::{JsonEvents, LogWriter};
use wagi::printable;
use wagi::server::{InheritedSocket, Server, Signals};
use wagi::startup::{Logs, Reloader};

use crate::cli::commands::runtime;
use crate::cli::commands::serve::reloads::Reloads;
use crate::cli::commands::serve::signals::CaughtSignals;
use crate::cli::commands::serve::systemd::ServiceManager;
use crate::cli::inherited;
use crate::cli::terminal::progress::Bars;
use crate::cli::terminal::{print_problems, print_result};

/// The events that are logged without `RUST_LOG`.
///
/// Warnings of the engine's cache are omitted: it warns if two servers write the same file at once, and the result is
/// logged when modules are loaded.
const DEFAULT_EVENTS: &str = "warn,wagi=info,wasmtime_wasi=error,wasmtime_internal_cache=error";

/// Runs the server until a signal stops it, or it is idle with `--idle-exit`. With `--check` only checks everything and prints
/// the routes.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let inherited = inherited::take()?;
    let runtime = runtime()?;
    // Before anything else: until then a signal would end the process.
    let (caught, mut signals) = {
        let _entered = runtime.enter();
        (CaughtSignals::new().context("cannot listen for signals")?, Signals::new()?)
    };
    let bars = Bars::on_stderr();
    let log = LogWriter::spawn_with_format(bars.stderr(), options.log_format).context("cannot start the log")?;
    init_logging(&log, options.log_format);
    raise_descriptor_limit();
    let mut logs = None;
    let result = runtime.block_on(async {
        let reloader = match load(options, &mut signals, &log, &bars).await? {
            StartOutcome::End(code) => return Ok(code),
            StartOutcome::Serve(reloader) => reloader,
        };
        logs = Some(reloader.logs());
        serve(*reloader, inherited, caught, signals).await.map(|()| ExitCode::SUCCESS)
    });
    // Without waiting for tasks: a guest whose file operation hangs would keep the process from ending.
    runtime.shutdown_background();
    logs.iter().for_each(Logs::flush);
    log.flush();
    result
}

/// What became of a start.
enum StartOutcome {
    Serve(Box<Reloader>),
    /// There is nothing to serve.
    End(ExitCode),
}

async fn load(options: &Options, signals: &mut Signals, log: &LogWriter, bars: &Bars) -> anyhow::Result<StartOutcome> {
    let mut options = options.clone();
    if options.check {
        // A check must not write log files.
        options.log_dir = None;
    }
    let (is_check, mut problems) = (options.check, Vec::new());
    let started = tokio::select! {
        biased;
        () = signals.next() => {
            tracing::info!("stopping before anything is served");
            return Ok(StartOutcome::End(if is_check { ExitCode::FAILURE } else { ExitCode::SUCCESS }));
        }
        started = Reloader::start(options, log, bars.progress(), &mut problems) => started,
    };
    log.flush();
    print_problems(&problems);
    if problems.iter().any(Diagnostic::is_error) {
        return Ok(StartOutcome::End(ExitCode::FAILURE));
    }
    let reloader = started?;
    if is_check {
        print_routes(reloader.gateway())?;
        return Ok(StartOutcome::End(ExitCode::SUCCESS));
    }
    Ok(StartOutcome::Serve(Box::new(reloader)))
}

async fn serve(
    reloader: Reloader,
    inherited: Vec<InheritedSocket>,
    caught: CaughtSignals,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let manager = Arc::new(ServiceManager::from_environment());
    let server = Server::bind_inheriting(&reloader.config().server, inherited).await?;
    let urls = server.urls().join(" ");
    if let Err(error) = print_result(&format!("Ready: serving on {urls}\n")) {
        tracing::warn!(
            error = format!("{error:#}"),
            url = urls,
            "the ready line cannot be printed: serving all the same"
        );
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let gateway = reloader.gateway().clone();
    let reloads = Reloads::start(reloader.with_server(server.handle()), &manager, urls);
    let serving = tokio::spawn(server.serve(gateway.clone(), async {
        // Dropping the sender stops the server.
        let _ = stopped.await;
    }));
    tokio::pin!(serving);
    let alive = manager.clone();
    tokio::spawn(async move { alive.keep_alive().await });
    let idle = tokio::select! {
        ended = &mut serving => Some(ended),
        () = signals.next() => None,
        () = reloads.obey(caught) => None,
    };
    manager.stopping();
    let ended = match idle {
        Some(ended) => ended,
        None => {
            tracing::info!("stopping: finishing what is under way; a second signal ends at once");
            gateway.announce_stop();
            drop(stop);
            tokio::select! {
                ended = serving => ended,
                () = signals.next() => Ok(()),
            }
        }
    };
    reloads.end().await;
    ended.context("the task of the server failed")
}

/// Sends the events of the server to `log`.
fn init_logging(log: &LogWriter, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_EVENTS));
    let log = log.clone();
    let events = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    match format {
        LogFormat::Text => events.with_writer(move || EventWriter(log.clone())).init(),
        LogFormat::Json => events.event_format(JsonEvents).with_writer(move || log.clone()).init(),
    }
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

/// Prints the table of routes in the order in which they are tried.
fn print_routes(gateway: &Gateway) -> anyhow::Result<()> {
    let mut table = String::new();
    for route in gateway.routes() {
        let module = route.module.as_deref().or(route.files.as_deref()).unwrap_or("(built in)");
        table += &format!("{}\t{}", printable::line(&route.pattern.to_string()), printable::line(module));
        let hosts: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
        if !hosts.is_empty() {
            // A third column, so that scripts which read two go on.
            table += &format!("\t{}", hosts.join(","));
        }
        table.push('\n');
    }
    print_result(&table)
}

/// Raises the limit on open descriptors to the hard limit, because each connection and each file of a guest takes one.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let allowed = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed }) {
        tracing::debug!(%error, "cannot raise the limit on open files");
    }
}
