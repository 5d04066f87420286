//! What asks for reloads, and who learns of them?

use std::sync::Arc;

use tokio::task::JoinHandle;

use wagi::admin::{AdminState, ServedParts};
use wagi::server::ServerHandle;
use wagi::startup::{Logs, ReloadStage, Reloader};
use wagi::{ReloadHandle, ReloadOutcome, reload_channel};

use crate::cli::commands::serve::signals::{CaughtSignals, SignalRequest};
use crate::cli::commands::serve::systemd::ServiceManager;

/// The task that reloads, and the log files.
pub struct Reloads {
    handle: ReloadHandle,
    logs: Logs,
    task: JoinHandle<()>,
}

impl Reloads {
    /// Lets a reloader do what is asked for, also to the listeners of `server`. Tells the observers.
    pub fn start(reloader: Reloader, server: ServerHandle, observers: Observers) -> Self {
        let reloader = reloader.with_server(server.clone());
        let (handle, requests) = reload_channel();
        let (gateway, config, reload) = (reloader.gateway().clone(), reloader.config_in_force(), handle.clone());
        observers.manager.ready(&status(&observers.urls, gateway.generation()));
        if let Some(admin) = &observers.admin {
            admin.serve(ServedParts { gateway, server, reload, config });
        }
        let reloader = reloader.with_observer(observers.observe());
        let logs = reloader.logs();
        reloader.watch(&handle);
        let task = tokio::spawn(reloader.run(requests));
        Self { handle, logs, task }
    }

    /// Reloads and opens log files again as signals ask for it, until one asks for the end.
    pub async fn obey(&self, caught: &mut CaughtSignals) {
        loop {
            match caught.next().await {
                SignalRequest::Reload => self.handle.trigger(),
                SignalRequest::ReopenLogs => self.logs.reopen().await,
                SignalRequest::Stop => return,
            }
        }
    }

    /// Opens log files again as signals ask for it, while the server ends. It does nothing else.
    pub async fn reopen_logs(&self, caught: &mut CaughtSignals) {
        loop {
            if caught.next().await == SignalRequest::ReopenLogs {
                self.logs.reopen().await;
            }
        }
    }

    /// What asks for reloads.
    pub fn handle(&self) -> ReloadHandle {
        self.handle.clone()
    }

    /// Drops the reloader, which removes its temporary files.
    pub async fn end(self) {
        self.task.abort();
        // It was aborted, or it panicked before, and then the log has it.
        let _ = self.task.await;
    }
}

/// Who learns of reloads.
pub struct Observers {
    pub manager: Arc<ServiceManager>,
    pub admin: Option<Arc<AdminState>>,
    /// The listeners, as the service manager is told.
    pub urls: String,
}

impl Observers {
    /// Tells them how far a reload is.
    fn observe(self) -> impl Fn(ReloadStage<'_>) {
        let Self { manager, admin, urls } = self;
        move |stage| {
            if let (ReloadStage::Ended(outcome), Some(admin)) = (&stage, &admin) {
                admin.reloaded(outcome);
            }
            match stage {
                ReloadStage::Begun => manager.reloading(),
                ReloadStage::Ended(ReloadOutcome::Swapped(report) | ReloadOutcome::Unchanged(report)) => {
                    manager.ready(&status(&urls, report.generation));
                }
                ReloadStage::Ended(ReloadOutcome::Refused { generation, .. }) => {
                    manager.ready(&format!("{}; the last reload was refused", status(&urls, *generation)));
                }
            }
        }
    }
}

fn status(urls: &str, generation: u64) -> String {
    format!("serving on {urls}, generation {generation}")
}
