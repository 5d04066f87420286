//! How far is the server, and what is known of it?

use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;

use crate::admin::log_level::LogLevel;
use crate::config::{AdminConfig, Config};
use crate::gateway::{Gateway, ReloadHandle, ReloadOutcome, StartingRoutes};
use crate::server::ServerHandle;
use crate::startup::ConfigInForce;

/// What the admin listener knows. The program says how far the server is.
pub struct AdminState {
    /// As the listener was started.
    config: AdminConfig,
    pub(super) started: SystemTime,
    pub(super) log_level: LogLevel,
    stage: ArcSwap<Stage>,
    last_reload: ArcSwap<Option<PastReload>>,
}

/// A server that serves, or did.
#[derive(Clone)]
pub struct ServedParts {
    /// The gateway.
    pub gateway: Gateway,
    /// The server in front of it.
    pub server: ServerHandle,
    /// What reloads.
    pub reload: ReloadHandle,
    /// The configuration.
    pub config: ConfigInForce,
}

/// How far the server is.
pub(super) enum Stage {
    /// With the gateway that serves what is ready, if some routes are served already.
    Starting(Option<Gateway>),
    Serving(ServedParts),
    /// It was asked to stop.
    Draining(ServedParts),
    /// It serves no more.
    Stopped,
}

/// The last reload.
pub(super) struct PastReload {
    pub when: SystemTime,
    pub outcome: ReloadOutcome,
}

impl AdminState {
    pub(super) fn new(config: AdminConfig, log_level: LogLevel) -> Self {
        let (stage, last_reload) = (ArcSwap::from_pointee(Stage::Starting(None)), ArcSwap::from_pointee(None));
        Self { config, started: SystemTime::now(), log_level, stage, last_reload }
    }

    /// Some routes of `gateway` are served from now on. The server is not ready yet.
    pub fn serve_part(&self, gateway: Gateway) {
        self.stage.store(Arc::new(Stage::Starting(Some(gateway))));
    }

    /// The server serves from now on.
    pub fn serve(&self, parts: ServedParts) {
        self.stage.store(Arc::new(Stage::Serving(parts)));
    }

    /// The server was asked to stop.
    pub fn drain(&self) {
        let next = match &**self.stage.load() {
            Stage::Serving(parts) | Stage::Draining(parts) => Stage::Draining(parts.clone()),
            Stage::Starting(_) | Stage::Stopped => Stage::Stopped,
        };
        self.stage.store(Arc::new(next));
    }

    /// A reload has ended.
    pub fn reloaded(&self, outcome: &ReloadOutcome) {
        if !matches!(outcome, ReloadOutcome::Refused { .. }) {
            self.log_level.reset();
        }
        self.last_reload.store(Arc::new(Some(PastReload { when: SystemTime::now(), outcome: outcome.clone() })));
    }

    pub(super) fn stage(&self) -> impl Deref<Target = Arc<Stage>> {
        self.stage.load()
    }

    pub(super) fn last_reload(&self) -> impl Deref<Target = Arc<Option<PastReload>>> {
        self.last_reload.load()
    }

    /// Whose requests are answered: as the configuration in force says. Its address stays that of the start, and so does the
    /// need for a token.
    pub(super) fn admin_config(&self) -> AdminConfig {
        let stage = self.stage.load();
        let current = stage.parts().and_then(|parts| parts.config.load().admin.clone());
        let Some(current) = current else { return self.config.clone() };
        let token = match current.token {
            None if !self.config.listen.is_local() => self.config.token.clone(),
            token => token,
        };
        AdminConfig { token, ..current }
    }
}

impl Stage {
    /// The parts of the server, once it serves.
    pub fn parts(&self) -> Option<&ServedParts> {
        match self {
            Self::Serving(parts) | Self::Draining(parts) => Some(parts),
            Self::Starting(_) | Self::Stopped => None,
        }
    }

    /// How far the routes are while a part of them is served.
    pub fn starting_routes(&self) -> Option<StartingRoutes> {
        if let Self::Starting(Some(gateway)) = self { Some(gateway.starting_routes()) } else { None }
    }

    /// Why the server is not ready; `None` if it is.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Starting(_) => Some("starting: modules are being loaded"),
            Self::Serving(parts) if parts.server.urls().is_empty() => Some("not serving: no listener is open"),
            Self::Serving(_) => None,
            Self::Draining(_) => Some("stopping: requests under way are finished"),
            Self::Stopped => Some("stopping"),
        }
    }

    /// The name of the stage.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting(_) => "starting",
            Self::Serving(_) => "serving",
            Self::Draining(_) => "draining",
            Self::Stopped => "stopped",
        }
    }
}

impl ServedParts {
    /// The configuration in force.
    pub(super) fn config(&self) -> impl Deref<Target = Config> {
        self.config.load()
    }
}
