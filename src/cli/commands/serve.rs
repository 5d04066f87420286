//! The server: configuration, gateway, open port, serving, stop.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use wagi::config::{Config, Diagnostic, LogFormat, Options};
use wagi::observe::{JsonEvents, LogWriter};
use wagi::printable;
use wagi::server::{Server, Signals, check_tls};
use wagi::{Gateway, fetch, startup};

use crate::cli::commands::runtime;
use crate::cli::terminal::progress::Bars;
use crate::cli::terminal::{print_problems, print_result};

/// The events that are logged without `RUST_LOG`.
///
/// Warnings of the engine's cache are omitted: it warns if two servers write the same file at once, and the result is
/// logged when modules are loaded.
const DEFAULT_EVENTS: &str = "warn,wagi=info,wasmtime_wasi=error,wasmtime_internal_cache=error";

/// Runs the server until a signal stops it. With `--check` only checks everything and prints the routes.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let bars = Bars::on_stderr();
    let log = LogWriter::spawn(bars.stderr()).context("cannot start the log")?;
    init_logging(&log, options.log_format);
    raise_descriptor_limit();
    let runtime = runtime()?;
    let result = runtime.block_on(load_and_serve(options, &log, &bars));
    // Without waiting for tasks: a guest whose file operation hangs would keep the process from ending.
    runtime.shutdown_background();
    log.flush();
    result
}

async fn load_and_serve(options: &Options, log: &LogWriter, bars: &Bars) -> anyhow::Result<ExitCode> {
    refuse_reloads().context("cannot listen for signals")?;
    let (mut config, mut problems) = Config::load(options);
    if options.check {
        // A check must not write log files.
        config.log.dir = None;
    }
    // Keeps the files of modules until the server stops.
    let mut resolved = fetch::complete(config, &mut problems, bars.progress()).await;
    let gateway = startup::load(&mut resolved, log, &mut problems).await;
    problems.extend(resolved.config().server.tls.iter().flat_map(check_tls));
    log.flush();
    print_problems(&problems);
    if problems.iter().any(Diagnostic::is_error) {
        return Ok(ExitCode::FAILURE);
    }
    let gateway = gateway?;
    if options.check {
        print_routes(&gateway)?;
        return Ok(ExitCode::SUCCESS);
    }
    serve(resolved.config(), gateway).await?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: &Config, gateway: Gateway) -> anyhow::Result<()> {
    let server = Server::bind(&config.server).await?;
    let mut signals = Signals::new()?;
    let urls = server.urls().join(" ");
    if let Err(error) = print_result(&format!("Ready: serving on {urls}\n")) {
        tracing::warn!(
            error = format!("{error:#}"),
            url = urls,
            "the ready line cannot be printed: serving all the same"
        );
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(gateway, async {
        // Dropping the sender stops the server.
        let _ = stopped.await;
    }));
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.context("the server ended by itself"),
        () = signals.next() => tracing::info!("stopping: finishing what is under way; a second signal ends at once"),
    }
    drop(stop);
    tokio::select! {
        ended = serving => ended.context("the server ended by itself"),
        () = signals.next() => Ok(()),
    }
}

/// Logs the signals at which other servers reload or open their logs again. Without this they would end the process.
fn refuse_reloads() -> io::Result<()> {
    let reloads = [
        ("SIGHUP", SignalKind::hangup()),
        ("SIGUSR1", SignalKind::user_defined1()),
        ("SIGUSR2", SignalKind::user_defined2()),
    ];
    for (name, kind) in reloads {
        let mut received = signal(kind)?;
        tokio::spawn(async move {
            while received.recv().await.is_some() {
                tracing::warn!("{name} has no effect: there is no reload, a change of files needs a restart");
            }
        });
    }
    Ok(())
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
    for (pattern, module) in gateway.routes() {
        let module = module.as_deref().unwrap_or("(built in)");
        table += &format!("{}\t{}\n", printable::line(&pattern.to_string()), printable::line(module));
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
