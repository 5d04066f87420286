//! What happens when something changes? Called by the parent.
//!
//! A change of sources starts their build, and ends it if it runs already. When a build has ended well, or when a file has changed that
//! is read, the configuration is loaded again. What is broken is shown, and what was served last goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use wagi::config::{Config, Diagnostic, Options};
use wagi::{ReloadHandle, ReloadOutcome};

use crate::cli::commands::dev::builds::{BuildEnd, RunningBuild};
use crate::cli::commands::dev::sources::{SourceChanges, SourceWatch};
use crate::cli::commands::dev::state::DevState;
use crate::cli::terminal::print_lines;

/// Builds and reloads.
pub(super) struct Developer {
    options: Options,
    state: Arc<DevState>,
    /// The configuration as it was last read.
    config: Config,
    /// The builds of `config` that are to run.
    waiting: BTreeSet<usize>,
    /// The commands that are broken, and why.
    broken: BTreeMap<String, String>,
    running: Option<RunningBuild>,
    /// Whether there is a version that goes on while a build is broken.
    is_serving: bool,
}

/// What comes next.
enum DevEvent {
    Changed(SourceChanges),
    Built(BuildEnd),
}

impl Developer {
    /// A developer whose modules are all to be built.
    pub fn new(options: Options, state: Arc<DevState>) -> Self {
        let config = Config::load(&options).0;
        let waiting = (0..config.builds.len()).collect();
        Self { options, state, config, waiting, broken: BTreeMap::new(), running: None, is_serving: false }
    }

    /// The configuration as it was last read.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Builds what is to be built, until there is nothing left.
    pub async fn build_all(&mut self) {
        while self.start_next() {
            let Some(mut running) = self.running.take() else { break };
            let ended = running.end().await;
            self.finish(&running.command, &ended);
        }
        self.show();
    }

    /// The files as they are now.
    pub fn watch(&self) -> SourceWatch {
        SourceWatch::new(&self.config)
    }

    /// Waits until something is not as `watch` has it.
    pub async fn changed(&mut self, watch: SourceWatch) {
        let (_, changes) = watch.changed().await;
        self.waiting.extend(changes.builds);
        self.read_again();
    }

    /// Builds and reloads for ever, whatever is not as `watch` has it.
    pub async fn run(mut self, watch: SourceWatch, reload: ReloadHandle) {
        self.is_serving = true;
        let mut watching = Box::pin(watch.changed());
        loop {
            self.start_next();
            let event = match &mut self.running {
                None => {
                    let (watch, changes) = (&mut watching).await;
                    watching = Box::pin(watch.changed());
                    DevEvent::Changed(changes)
                }
                Some(running) => tokio::select! {
                    (watch, changes) = &mut watching => {
                        watching = Box::pin(watch.changed());
                        DevEvent::Changed(changes)
                    }
                    ended = running.end() => DevEvent::Built(ended),
                },
            };
            match event {
                DevEvent::Built(ended) => self.take_built(&ended, &reload).await,
                DevEvent::Changed(changes) => {
                    if let Some(watch) = self.take(changes, &reload).await {
                        watching = Box::pin(watch.changed());
                    }
                }
            }
        }
    }

    /// Puts in force what a build has made, if it has ended well.
    async fn take_built(&mut self, ended: &BuildEnd, reload: &ReloadHandle) {
        let Some(running) = self.running.take() else { return };
        // Before the developer is told that it is done.
        let _guard = ended.is_success.then(|| self.state.begin_reload());
        match self.finish(&running.command, ended) {
            true => self.reload(reload).await,
            false => self.show(),
        }
    }

    /// Does what changes ask for. Returns which files are of interest from now on, if that may have changed.
    async fn take(&mut self, changes: SourceChanges, reload: &ReloadHandle) -> Option<SourceWatch> {
        let builds = &self.config.builds;
        let has_changed = |command: &str| {
            changes.builds.iter().any(|index| builds.get(*index).is_some_and(|build| build.command == command))
        };
        if let Some(running) = self.running.take_if(|running| has_changed(&running.command)) {
            print_lines("build: begins again, since its sources have changed");
            drop(running);
        }
        self.waiting.extend(changes.builds);
        if changes.pages {
            self.state.notify();
        }
        if !changes.configuration {
            return None;
        }
        self.read_again();
        // Before the files are loaded, so that no change is missed.
        let watch = self.watch();
        let _guard = self.state.begin_reload();
        self.reload(reload).await;
        Some(watch)
    }

    /// Reads the configuration again. If its builds are others than before, all of them are to run.
    fn read_again(&mut self) {
        let (config, problems) = Config::load(&self.options);
        // A file that is half written names no builds. What it names may be missing, and come later.
        if config.builds.is_empty() && problems.iter().any(Diagnostic::is_error) {
            let new = config.files.into_iter().filter(|file| !self.config.files.contains(file));
            let new: Vec<_> = new.collect();
            self.config.files.extend(new);
            return;
        }
        if config.builds != self.config.builds {
            self.running = None;
            self.broken.clear();
            self.waiting = (0..config.builds.len()).collect();
        }
        self.config = config;
    }

    /// Starts the next build that waits. Returns whether one runs.
    fn start_next(&mut self) -> bool {
        while self.running.is_none() {
            let Some(index) = self.waiting.pop_first() else { return false };
            let builds = &self.config.builds;
            let Some(command) = builds.get(index).map(|build| build.command.clone()) else { continue };
            // Entries with the same command are built at once.
            self.waiting.retain(|other| builds.get(*other).is_none_or(|other| other.command != command));
            print_lines(&format!("build: {command}"));
            match RunningBuild::start(&command) {
                Ok(running) => self.running = Some(running),
                Err(error) => {
                    let message = format!("the build cannot be started: {error}");
                    print_lines(&format!("error: {message}"));
                    self.broken.insert(command, message);
                    self.show();
                }
            }
        }
        true
    }

    /// Tells how a build has ended. Returns whether it has ended well.
    fn finish(&mut self, command: &str, ended: &BuildEnd) -> bool {
        if ended.is_success {
            print_lines(&format!("build: done in {}", milliseconds(ended.took)));
            self.broken.remove(command);
        } else {
            let last = ended.output.lines().next_back().unwrap_or_default();
            let what_goes_on = if self.is_serving { "; the last good version goes on" } else { "" };
            print_lines(&format!("error: {last}{what_goes_on}"));
            self.broken.insert(command.to_owned(), ended.output.clone());
        }
        ended.is_success
    }

    /// Lets pages say which builds are broken.
    fn show(&self) {
        let broken: Vec<&str> = self.broken.values().map(String::as_str).collect();
        match broken.is_empty() {
            true => self.state.set_working(),
            false => self.state.set_broken(&broken.join("\n\n")),
        }
    }

    async fn reload(&self, reload: &ReloadHandle) {
        let Some(outcome) = reload.reload().await else { return };
        match &*outcome {
            ReloadOutcome::Swapped(report) => {
                print_lines(&format!("reloaded in {}", milliseconds(report.took)));
                self.show();
            }
            ReloadOutcome::Unchanged(_) => self.show(),
            // The log has them, too.
            ReloadOutcome::Refused { problems, .. } => {
                let errors = problems.iter().filter(|problem| problem.is_error());
                let errors: Vec<String> = errors.map(|problem| problem.render(false)).collect();
                self.state.set_broken(&errors.join("\n\n"));
            }
        }
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
