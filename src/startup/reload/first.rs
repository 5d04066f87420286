//! How does the first configuration come about? In two steps, since some things have to be there before modules are loaded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::config::{Config, Diagnostic, Options};
use crate::fetch;
use crate::fetch::Progress;
use crate::net::connect::own_addresses::OwnAddresses;
use crate::observe::LogWriter;
use crate::server::check_tls;

use crate::startup;
use crate::startup::FirstConfiguration;
use crate::startup::candidate::Candidate;
use crate::startup::error::Error;
use crate::startup::reload::files::Stamps;
use crate::startup::reload::in_force::ConfigInForce;
use crate::startup::reload::{Current, Reloader, files};

/// A configuration that is read, and not loaded.
pub struct ReadConfiguration {
    options: Options,
    config: Config,
    stamps: Stamps,
    own_addresses: OwnAddresses,
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
        let Self { options, config, stamps, own_addresses } = self;
        let mut resolved = fetch::complete(config, problems, progress.clone()).await;
        let startup_lock = resolved.take_startup_lock();
        let temporary = resolved.take_temporary_directory().map(Arc::new);
        let resolved = Arc::new(resolved);
        problems.extend(resolved.config().server.tls.iter().flat_map(check_tls));
        let first = FirstConfiguration {
            resolved: &resolved,
            files: Some(files(&resolved)),
            own_addresses,
            watcher: None,
            progress,
        };
        let (platform, candidate) = first.load(log, problems).await?;
        drop(startup_lock);
        let Candidate { snapshot, handover, parts, counts, .. } = candidate;
        let gateway = startup::gateway(&platform, snapshot, &resolved)?;
        let (watched, _) = watch::channel(stamps.clone());
        let in_force = ConfigInForce::new(resolved.clone());
        let current = Arc::new(Current { resolved, handover, parts, counts, stamps });
        let (options, platform) = (Arc::new(options), Arc::new(platform));
        let observer = Box::new(|_: startup::ReloadStage<'_>| {});
        Ok(Reloader { options, platform, gateway, server: None, current, in_force, temporary, watched, observer })
    }
}
