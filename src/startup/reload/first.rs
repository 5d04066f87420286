//! How does the first configuration come about? In steps, since some things have to be there before modules are loaded, and since a
//! start that takes long serves what is ready.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::config::{Config, Diagnostic, Options};
use crate::fetch;
use crate::fetch::Progress;
use crate::gateway::Gateway;
use crate::net::connect::own_addresses::OwnAddresses;
use crate::observe::LogWriter;
use crate::server::check_tls;

use crate::startup::FirstConfiguration;
use crate::startup::candidate::Loading;
use crate::startup::error::Error;
use crate::startup::handover::Handover;
use crate::startup::load::so_far::LoadStep;
use crate::startup::load::{Priority, ServeWhen};
use crate::startup::reload::files::Stamps;
use crate::startup::reload::first_load::FirstLoad;
use crate::startup::reload::partial::{FirstStage, PartialStart};
use crate::startup::reload::{Logs, Reloader};

/// A configuration that is read, and not loaded.
pub struct ReadConfiguration {
    options: Options,
    config: Config,
    stamps: Stamps,
    own_addresses: OwnAddresses,
}

/// How far a start is that can serve.
pub enum StartStage {
    /// Some routes can be served, and modules of others are still being compiled.
    Partial(Box<PartialStart>),
    /// Everything is loaded.
    Complete(Box<Reloader>),
}

impl StartStage {
    /// The gateway, with the routes that can be served.
    pub fn gateway(&self) -> &Gateway {
        match self {
            Self::Partial(start) => start.gateway(),
            Self::Complete(reloader) => reloader.gateway(),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        match self {
            Self::Partial(start) => start.config(),
            Self::Complete(reloader) => reloader.config(),
        }
    }

    /// The log files.
    pub fn logs(&self) -> Logs {
        match self {
            Self::Partial(start) => start.logs(),
            Self::Complete(reloader) => reloader.logs(),
        }
    }
}

impl ReadConfiguration {
    /// Reads what `options` name. What is wrong is added to `problems`.
    pub fn read(options: Options, problems: &mut Vec<Diagnostic>) -> Self {
        let began = SystemTime::now();
        let (config, found) = Config::load(&options);
        problems.extend(found);
        let stamps = Stamps::of_read(&config.files, &Stamps::default(), began);
        Self { options, config, stamps, own_addresses: OwnAddresses::default() }
    }

    /// What was read.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Keeps guests from connecting to these addresses, which this process listens on until it ends.
    pub fn refuse_to_guests(&self, addresses: &[SocketAddr]) {
        self.own_addresses.add_permanent(addresses.iter().copied());
    }

    /// Loads it. What is wrong is added to `problems`; if an error is among them, the gateway is not complete and must not
    /// serve.
    pub async fn load(
        self,
        log: &LogWriter,
        progress: Arc<dyn Progress>,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Reloader, Error> {
        let mut first = self.begin(ServeWhen::AllAreLoaded, log, progress, problems).await?;
        let loaded = first.modules.all().await?;
        first.complete(loaded, problems).await
    }

    /// The same, but if it takes long, and some routes can be served, ends with these. If there is an error among the problems,
    /// modules may still be compiled, and nothing is served.
    pub async fn load_in_stages(
        self,
        log: &LogWriter,
        progress: Arc<dyn Progress>,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Option<StartStage>, Error> {
        let mut first = self.begin(ServeWhen::SomeAreLoaded, log, progress, problems).await?;
        loop {
            match first.modules.next().await? {
                LoadStep::All(loaded) => {
                    let reloader = first.complete(loaded, problems).await?;
                    return Ok(Some(StartStage::Complete(Box::new(reloader))));
                }
                LoadStep::Some(states) => match PartialStart::begin(first, states, problems).await? {
                    FirstStage::Partial(start) => return Ok(Some(StartStage::Partial(Box::new(start)))),
                    FirstStage::NothingReady(back) => first = back,
                    FirstStage::Refused => return Ok(None),
                },
            }
        }
    }

    async fn begin(
        self,
        serve: ServeWhen,
        log: &LogWriter,
        progress: Arc<dyn Progress>,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<FirstLoad, Error> {
        let Self { options, config, stamps, own_addresses } = self;
        let mut resolved = fetch::complete(config, problems, progress.clone()).await;
        let startup_lock = resolved.take_startup_lock();
        let temporary = resolved.take_temporary_directory().map(Arc::new);
        let resolved = Arc::new(resolved);
        problems.extend(resolved.config().server.tls.iter().flat_map(check_tls));
        let first = FirstConfiguration { resolved: &resolved, own_addresses, watcher: None, progress };
        let platform = Arc::new(first.platform(log, problems).await?);
        let (before, priority) = (Handover::default(), Priority::Start);
        let loading = Loading { resolved: &resolved, platform: &platform, before: &before, priority };
        let modules = loading.begin(serve);
        Ok(FirstLoad { options, stamps, temporary, startup_lock, resolved, platform, modules })
    }
}
