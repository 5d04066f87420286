//! The server: configuration, gateway, open port, serving, stop.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use wagi::config::{Config, Diagnostic, LogFormat, Options};
use wagi::observe::LogWriter;
use wagi::server::{Server, Signals};
use wagi::{Gateway, fetch, startup};

use crate::cli::commands::runtime;
use crate::cli::terminal::print_message;
use crate::cli::terminal::progress::Bars;

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
    let (mut config, mut problems) = Config::load(options);
    if options.check {
        // A check must not write log files.
        config.log.dir = None;
    }
    // Keeps the files of modules until the server stops.
    let mut resolved = fetch::complete(config, &mut problems, bars.progress()).await;
    let gateway = startup::load(&mut resolved, log, &mut problems).await;
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
    writeln!(io::stdout(), "Ready: serving on {}", server.url()).context("cannot print the ready line")?;
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

/// Sends the events of the server to `log`.
fn init_logging(log: &LogWriter, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_EVENTS));
    let log = log.clone();
    let events = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(move || log.clone());
    match format {
        LogFormat::Text => events.init(),
        LogFormat::Json => events.json().init(),
    }
}

/// Prints problems on standard error.
pub fn print_problems(problems: &[Diagnostic]) {
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for problem in problems {
        print_message(format_args!("{}\n", problem.render(color)));
    }
}

/// Prints the table of routes in the order in which they are tried.
fn print_routes(gateway: &Gateway) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    for (pattern, module) in gateway.routes() {
        let module = module.as_deref().unwrap_or("(built in)");
        writeln!(stdout, "{pattern}\t{module}").context("cannot print the routes")?;
    }
    Ok(())
}

/// Raises the limit on open descriptors to the hard limit, because each connection and each file of a guest takes one.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let allowed = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed }) {
        tracing::debug!(%error, "cannot raise the limit on open files");
    }
}
