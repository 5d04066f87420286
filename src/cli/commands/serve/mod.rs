//! The server: configuration, gateway, open port, serving, reloads, stop.

pub mod logging;
pub mod reloads;
mod signals;
mod systemd;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use wagi::Gateway;
use wagi::admin::{AdminError, AdminListener, AdminState, LogLevel};
use wagi::config::{Config, Diagnostic, Options};
use wagi::observe::{LogWriter, TraceSettings, Tracer};
use wagi::printable;
use wagi::server::{InheritedSocket, Server, Signals};
use wagi::startup::{Logs, ReadConfiguration, Reloader};

use crate::cli::commands::runtime;
use crate::cli::commands::serve::reloads::{Observers, Reloads};
use crate::cli::commands::serve::signals::CaughtSignals;
use crate::cli::commands::serve::systemd::ServiceManager;
use crate::cli::inherited;
use crate::cli::terminal::progress::Bars;
use crate::cli::terminal::{print_problems, print_result};

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
    let level = logging::init(&log, options.log_format);
    raise_descriptor_limit();
    let (mut logs, mut admin) = (None, None);
    let mut trace_problems = Vec::new();
    let traces = TraceSettings::from_variables(&|name| std::env::var_os(name), &mut trace_problems);
    let result = runtime.block_on(async {
        let mut start = Start { log: &log, bars: &bars, level: Some(level), admin: &mut admin };
        let reloader = match start.load(options, trace_problems, &mut signals).await? {
            StartOutcome::End(code) => return Ok(code),
            StartOutcome::Serve(reloader) => reloader,
        };
        let tracer = traces.as_ref().and_then(Tracer::start);
        tracer.into_iter().for_each(|tracer| reloader.gateway().trace_requests(tracer));
        logs = Some(reloader.logs());
        let admin = admin.as_ref().map(AdminListener::state);
        serve(*reloader, inherited, admin, Caught { other: caught, stop: signals }).await.map(|()| ExitCode::SUCCESS)
    });
    drop(admin);
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

/// What a start needs.
struct Start<'a> {
    log: &'a LogWriter,
    bars: &'a Bars,
    /// For the admin listener, which changes it.
    level: Option<LogLevel>,
    admin: &'a mut Option<AdminListener>,
}

impl Start<'_> {
    /// Reads and loads what `options` name. What is wrong is printed after `problems`.
    async fn load(
        &mut self,
        options: &Options,
        mut problems: Vec<Diagnostic>,
        signals: &mut Signals,
    ) -> anyhow::Result<StartOutcome> {
        let mut options = options.clone();
        if options.check {
            // A check must not write log files.
            options.log_dir = None;
        }
        let is_check = options.check;
        let started = tokio::select! {
            biased;
            () = signals.next() => {
                tracing::info!("stopping before anything is served");
                return Ok(StartOutcome::End(if is_check { ExitCode::FAILURE } else { ExitCode::SUCCESS }));
            }
            started = self.reloader(options, &mut problems) => started,
        };
        self.log.flush();
        print_problems(&problems);
        if problems.iter().any(Diagnostic::is_error) {
            return Ok(StartOutcome::End(ExitCode::FAILURE));
        }
        let reloader = started?;
        if is_check {
            print_result(&route_lines(reloader.gateway()))?;
            return Ok(StartOutcome::End(ExitCode::SUCCESS));
        }
        Ok(StartOutcome::Serve(Box::new(reloader)))
    }

    /// Reads the configuration, opens the admin listener, and loads the modules.
    async fn reloader(&mut self, options: Options, problems: &mut Vec<Diagnostic>) -> anyhow::Result<Reloader> {
        let is_check = options.check;
        let read = ReadConfiguration::read(options, problems);
        if !is_check && !problems.iter().any(Diagnostic::is_error) {
            *self.admin = self.listener(read.config())?;
        }
        read.refuse_to_guests(self.admin.as_ref().map_or(&[], AdminListener::addresses));
        Ok(read.load(self.log, self.bars.progress(), problems).await?)
    }

    fn listener(&mut self, config: &Config) -> anyhow::Result<Option<AdminListener>> {
        let (Some(config), Some(level)) = (&config.admin, self.level.take()) else { return Ok(None) };
        match AdminListener::start(config, level) {
            Ok(listener) => Ok(Some(listener)),
            // As itself, so that its help is found.
            Err(AdminError::Listen(error)) => Err(error.into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The signals that the process catches.
struct Caught {
    other: CaughtSignals,
    stop: Signals,
}

async fn serve(
    reloader: Reloader,
    inherited: Vec<InheritedSocket>,
    admin: Option<Arc<AdminState>>,
    caught: Caught,
) -> anyhow::Result<()> {
    let Caught { other: caught, stop: mut signals } = caught;
    let manager = Arc::new(ServiceManager::from_environment());
    let server = Server::bind_inheriting(&reloader.config().server, inherited).await?;
    let urls = server.urls().join(" ");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let gateway = reloader.gateway().clone();
    let observers = Observers { manager: manager.clone(), admin: admin.clone(), urls: urls.clone() };
    let reloads = Reloads::start(reloader, server.handle(), observers);
    // The admin listener knows of it by now.
    print_ready(&urls);
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
    admin.iter().for_each(|admin| admin.drain());
    let ended = match idle {
        Some(ended) => {
            gateway.flush_traces().await;
            ended
        }
        None => {
            tracing::info!("stopping: finishing what is under way; a second signal ends at once");
            gateway.announce_stop();
            drop(stop);
            tokio::select! {
                ended = async { (serving.await, gateway.flush_traces().await).0 } => ended,
                () = signals.next() => Ok(()),
            }
        }
    };
    reloads.end().await;
    ended.context("the task of the server failed")
}

/// Prints the line for which those wait who have started the server.
pub fn print_ready(urls: &str) {
    if let Err(error) = print_result(&format!("Ready: serving on {urls}\n")) {
        tracing::warn!(
            error = format!("{error:#}"),
            url = urls,
            "the ready line cannot be printed: serving all the same"
        );
    }
}

/// The table of routes in the order in which they are tried.
pub fn route_lines(gateway: &Gateway) -> String {
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
    table
}

/// Raises the limit on open descriptors to the hard limit, because each connection and each file of a guest takes one.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let allowed = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed }) {
        tracing::debug!(%error, "cannot raise the limit on open files");
    }
}
