//! What happens between the options of a server and its end?
//!
//! The story of a start: configuration, gateway, open port, serving.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use wagi::config::{Config, Diagnostic, LogFormat, Options};
use wagi::observe::LogWriter;
use wagi::server::{Server, Signals};
use wagi::{Gateway, fetch, startup};

use crate::cli::commands::{runtime, say};
use crate::cli::terminal::progress::Bars;

/// What the server says about itself when `RUST_LOG` says nothing.
///
/// The engine's cache warns when two servers write the same file at once; what comes of it is said where modules are loaded.
const DEFAULT_EVENTS: &str = "warn,wagi=info,wasmtime_wasi=error,wasmtime_internal_cache=error";

/// Serves until it is asked to stop, or does what `--check` asks for.
pub fn run_to_end(options: &Options) -> anyhow::Result<ExitCode> {
    let bars = Bars::on_stderr();
    let log = LogWriter::spawn(bars.stderr()).context("cannot start the log")?;
    observe_events(&log, options.log_format);
    allow_all_descriptors();
    let runtime = runtime()?;
    let ended = runtime.block_on(run(options, &log, &bars));
    // Waiting for what still runs would leave the end of the process to a guest whose file operation hangs.
    runtime.shutdown_background();
    log.flush();
    ended
}

async fn run(options: &Options, log: &LogWriter, bars: &Bars) -> anyhow::Result<ExitCode> {
    let (mut config, mut problems) = Config::load(options);
    if options.check {
        // Looking must not leave anything behind.
        config.log.dir = None;
    }
    // The files of modules are there as long as this is: until the server stops.
    let mut resolved = fetch::complete(config, &mut problems, bars.shared()).await;
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
    writeln!(io::stdout(), "Ready: serving on {}", server.url()).context("cannot say that the server is ready")?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(gateway, async {
        // A dropped sender means the same as a message: stop.
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

fn observe_events(log: &LogWriter, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_EVENTS));
    let log = log.clone();
    let events = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(move || log.clone());
    match format {
        LogFormat::Text => events.init(),
        LogFormat::Json => events.json().init(),
    }
}

/// What is wrong, on stderr.
pub fn print_problems(problems: &[Diagnostic]) {
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for problem in problems {
        say(format_args!("{}\n", problem.render(color)));
    }
}

/// The table as it is tried, top to bottom.
fn print_routes(gateway: &Gateway) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    for (pattern, module) in gateway.routes() {
        writeln!(stdout, "{pattern}\t{}", module.unwrap_or("(built in)")).context("cannot print the routes")?;
    }
    Ok(())
}

/// Each connection and each file of a guest takes a descriptor; what the system allows at most is often more than it
/// allows at first.
fn allow_all_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let allowed = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed }) {
        tracing::debug!(%error, "cannot raise the limit on open files");
    }
}
