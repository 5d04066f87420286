//! `wagi dev`: serve, build and reload while a developer changes sources.
//!
//! The server is the one of `wagi serve`, with a service that shows a browser what is wrong (`service`, `page`). `developer` builds and
//! reloads when `sources` have changed. Everything ends at the first signal.

mod body;
mod builds;
mod dev_log;
mod developer;
mod page;
mod port;
mod service;
mod sources;
mod state;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use wagi::config::{Audience, Diagnostic, ListenAddress, LogFormat, Options, Source};
use wagi::fetch::Silent;
use wagi::observe::LogWriter;
use wagi::server::{Server, Signals};
use wagi::startup::Reloader;

pub use crate::cli::commands::dev::state::LiveReload;

use crate::cli::commands::dev::dev_log::DevLog;
use crate::cli::commands::dev::developer::Developer;
use crate::cli::commands::dev::service::DevService;
use crate::cli::commands::dev::sources::SourceWatch;
use crate::cli::commands::dev::state::DevState;
use crate::cli::commands::run::target::TargetOptions;
use crate::cli::commands::runtime;
use crate::cli::commands::serve::reloads::{Observers, Reloads};
use crate::cli::commands::serve::{logging, print_ready};
use crate::cli::terminal::{print_lines, print_problems};

/// The options of `wagi dev`.
pub struct DevCommand {
    pub target: TargetOptions,
    pub listen: Vec<ListenAddress>,
    pub live: LiveReload,
}

impl DevCommand {
    pub fn run(mut self) -> anyhow::Result<ExitCode> {
        let source = self.target.enter(None)?;
        let runtime = runtime()?;
        let (mut signals, mut hangup) = {
            let _entered = runtime.enter();
            (Signals::new()?, signal(SignalKind::hangup()).context("cannot listen for signals")?)
        };
        let state = Arc::new(DevState::new(self.live));
        let log = LogWriter::spawn_with_format(DevLog::new(state.clone()), LogFormat::Json);
        let log = log.context("cannot start the log")?;
        logging::init_for_command(&log);
        let result = runtime.block_on(async {
            tokio::select! {
                biased;
                () = signals.next() => Ok(()),
                _ = hangup.recv() => Ok(()),
                served = self.serve(source, state, &log) => served,
            }
        });
        // Without waiting for requests: the developer wants the terminal back.
        runtime.shutdown_background();
        log.flush();
        result.map(|()| ExitCode::SUCCESS)
    }

    fn options(&self, source: Source) -> Options {
        Options { listen: self.listen.clone(), audience: Audience::Developer, ..self.target.options(source) }
    }

    async fn serve(&self, source: Source, state: Arc<DevState>, log: &LogWriter) -> anyhow::Result<()> {
        let FirstVersion { developer, watch, reloader } = first(self.options(source), &state, log).await?;
        let server = Server::bind(&reloader.config().server).await?;
        let urls = server.urls().join(" ");
        let gateway = reloader.gateway().clone();
        let observers = Observers { manager: Arc::default(), admin: None, urls: urls.clone() };
        let reloads = Reloads::start(reloader, server.handle(), observers);
        print_ready(&urls);
        let serving = server.serve(DevService { gateway, state }, std::future::pending());
        tokio::select! {
            () = serving => {}
            () = developer.run(watch, reloads.handle()) => {}
        }
        Ok(())
    }
}

/// What is served first.
struct FirstVersion {
    developer: Developer,
    /// As the files were before they were built and loaded.
    watch: SourceWatch,
    reloader: Reloader,
}

/// Builds, and loads what was built. As long as that fails, waits for a change and tries again.
async fn first(options: Options, state: &Arc<DevState>, log: &LogWriter) -> anyhow::Result<FirstVersion> {
    let mut developer = Developer::new(options.clone(), state.clone());
    let (mut options, mut wanted) = (options, None);
    loop {
        let watch = developer.watch();
        developer.build_all().await;
        // Those of the operator, which take precedence, or those of a file that may be mended only now.
        let listen = &developer.config().server.listen;
        if wanted.as_ref() != Some(listen) {
            options.listen = listen.clone();
            wanted = Some(listen.clone());
        }
        // A port that was free before the build, or before the last mistake, may be busy now.
        options.listen = port::free(&options.listen);
        let mut problems = Vec::new();
        let started = Reloader::start(options.clone(), log, Arc::new(Silent), &mut problems).await;
        log.flush();
        print_problems(&problems);
        if !problems.iter().any(Diagnostic::is_error) {
            return Ok(FirstVersion { developer, watch, reloader: started? });
        }
        print_lines("waiting for a change");
        developer.changed(watch).await;
    }
}
