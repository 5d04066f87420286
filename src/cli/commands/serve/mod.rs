//! The server: configuration, gateway, open port, serving, reloads, stop.
//!
//! A start that takes long opens its ports sooner, with the routes that are ready.

pub mod logging;
pub mod reloads;
mod signals;
mod starting;
mod systemd;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use wagi::Gateway;
use wagi::admin::{AdminError, AdminListener, AdminState, LogLevel};
use wagi::config::{Config, Diagnostic, Options};
use wagi::observe::{LogWriter, TraceSettings, Tracer};
use wagi::printable;
use wagi::server::{InheritedSocket, Server, Signals};
use wagi::startup::{Logs, ReadConfiguration, StartStage};

use crate::cli::commands::runtime;
use crate::cli::commands::serve::reloads::{Observers, Reloads};
use crate::cli::commands::serve::signals::CaughtSignals;
use crate::cli::commands::serve::starting::Completion;
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
        let early = if inherited.is_empty() { EarlyClients::AreRefused } else { EarlyClients::Wait };
        let mut start = Start { log: &log, bars: &bars, level: Some(level), early, admin: &mut admin };
        let stage = match start.load(options, trace_problems, &mut signals).await? {
            StartOutcome::End(code) => return Ok(code),
            StartOutcome::Serve(stage) => stage,
        };
        let tracer = traces.as_ref().and_then(Tracer::start);
        tracer.into_iter().for_each(|tracer| stage.gateway().trace_requests(tracer));
        logs = Some(stage.logs());
        let admin = admin.as_ref().map(AdminListener::state);
        let caught = Caught { other: caught, stop: signals };
        serve(stage, ServeInput { inherited, admin, log: &log }, caught).await
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
    Serve(StartStage),
    /// There is nothing to serve.
    End(ExitCode),
}

/// What becomes of clients that come before the server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EarlyClients {
    AreRefused,
    /// They wait in sockets that another process has opened, until they are served.
    Wait,
}

/// What a start needs.
struct Start<'a> {
    log: &'a LogWriter,
    bars: &'a Bars,
    /// For the admin listener, which changes it.
    level: Option<LogLevel>,
    early: EarlyClients,
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
            started = self.stage(options, &mut problems) => started,
        };
        self.log.flush();
        print_problems(&problems);
        if problems.iter().any(Diagnostic::is_error) {
            return Ok(StartOutcome::End(ExitCode::FAILURE));
        }
        let Some(stage) = started? else { return Ok(StartOutcome::End(ExitCode::FAILURE)) };
        if is_check {
            print_result(&route_lines(stage.gateway()))?;
            return Ok(StartOutcome::End(ExitCode::SUCCESS));
        }
        Ok(StartOutcome::Serve(stage))
    }

    /// Reads the configuration, opens the admin listener, and loads the modules, or as many as can be served if that takes long. `None`
    /// if there is an error among the problems, and modules are still being compiled.
    async fn stage(&mut self, options: Options, problems: &mut Vec<Diagnostic>) -> anyhow::Result<Option<StartStage>> {
        let is_check = options.check;
        let read = ReadConfiguration::read(options, problems);
        if !is_check && !problems.iter().any(Diagnostic::is_error) {
            *self.admin = self.listener(read.config())?;
        }
        read.refuse_to_guests(self.admin.as_ref().map_or(&[], AdminListener::addresses));
        // A server that ends when it is idle must not do so before it has served what it was started for.
        let is_brief = is_check || read.config().server.idle_exit.is_some();
        if is_brief || self.early == EarlyClients::Wait {
            let reloader = read.load(self.log, self.bars.progress(), problems).await?;
            return Ok(Some(StartStage::Complete(Box::new(reloader))));
        }
        Ok(read.load_in_stages(self.log, self.bars.progress(), problems).await?)
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

/// What a server has besides its gateway.
struct ServeInput<'a> {
    inherited: Vec<InheritedSocket>,
    admin: Option<Arc<AdminState>>,
    log: &'a LogWriter,
}

async fn serve(stage: StartStage, parts: ServeInput<'_>, mut caught: Caught) -> anyhow::Result<ExitCode> {
    let ServeInput { inherited, admin, log } = parts;
    let manager = Arc::new(ServiceManager::from_environment());
    let server = Server::bind_inheriting(&stage.config().server, inherited).await?;
    let (handle, urls, gateway) = (server.handle(), server.urls().join(" "), stage.gateway().clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let observers = Observers { manager: manager.clone(), admin: admin.clone(), urls: urls.clone() };
    let mut running =
        ServingServer { gateway: gateway.clone(), manager: manager.clone(), admin, stop, signals: caught.stop };
    let serving = server.serve(gateway, async {
        // Dropping the sender stops the server.
        let _ = stopped.await;
    });
    let begin = |reloader| {
        let reloads = Reloads::start(reloader, handle.clone(), observers);
        // The admin listener knows of it by now.
        print_ready(&urls);
        reloads
    };
    let (reloads, mut serving) = match stage {
        StartStage::Complete(reloader) => (begin(*reloader), tokio::spawn(serving)),
        StartStage::Partial(start) => {
            start.refuse_to_guests(&handle);
            let _kept = start.keep_files();
            let serving = tokio::spawn(serving);
            running.announce_part();
            manager.starting(&starting::announce(start.routes(), &urls));
            match starting::complete(*start, log, &mut running.signals).await {
                Completion::Complete(reloader) => (begin(*reloader), serving),
                Completion::End(result) => return running.drain(serving).await.and(result),
            }
        }
    };
    tokio::spawn(async move { manager.keep_alive().await });
    let ended = tokio::select! {
        ended = &mut serving => Some(ended),
        () = running.signals.next() => None,
        () = reloads.obey(&mut caught.other) => None,
    };
    let result = tokio::select! {
        result = running.finish(ended, serving) => result,
        () = reloads.reopen_logs(&mut caught.other) => Ok(()),
    };
    reloads.end().await;
    result.map(|()| ExitCode::SUCCESS)
}

/// A server that serves, for its end.
struct ServingServer {
    gateway: Gateway,
    manager: Arc<ServiceManager>,
    admin: Option<Arc<AdminState>>,
    stop: oneshot::Sender<()>,
    signals: Signals,
}

impl ServingServer {
    /// Ends, since the server serves no more.
    async fn end(self, ended: Result<(), JoinError>) -> anyhow::Result<()> {
        self.announce();
        self.gateway.flush_traces().await;
        ended.context("the task of the server failed")
    }

    /// The end of a server that serves no more, or that is to end.
    async fn finish(self, ended: Option<Result<(), JoinError>>, serving: JoinHandle<()>) -> anyhow::Result<()> {
        match ended {
            Some(ended) => self.end(ended).await,
            None => self.drain(serving).await,
        }
    }

    /// Finishes what is under way.
    async fn drain(mut self, serving: JoinHandle<()>) -> anyhow::Result<()> {
        self.announce();
        tracing::info!("stopping: finishing what is under way; a second signal ends at once");
        self.gateway.announce_stop();
        drop(self.stop);
        let ended = tokio::select! {
            ended = async { (serving.await, self.gateway.flush_traces().await).0 } => ended,
            () = self.signals.next() => Ok(()),
        };
        ended.context("the task of the server failed")
    }

    /// Says that a part is served.
    fn announce_part(&self) {
        self.admin.iter().for_each(|admin| admin.serve_part(self.gateway.clone()));
    }

    fn announce(&self) {
        self.manager.stopping();
        self.admin.iter().for_each(|admin| admin.drain());
    }
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
