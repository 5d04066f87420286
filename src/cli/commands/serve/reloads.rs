//! What asks for reloads, and who learns of them?

use std::sync::Arc;

use tokio::task::JoinHandle;

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
    /// Lets a reloader do what is asked for. Tells the manager, and names these listeners.
    pub fn start(reloader: Reloader, manager: &Arc<ServiceManager>, urls: String) -> Self {
        manager.ready(&status(&urls, reloader.gateway().generation()));
        let reloader = reloader.with_observer(observer(manager.clone(), urls));
        let (handle, requests) = reload_channel();
        let logs = reloader.logs();
        reloader.watch(&handle);
        let task = tokio::spawn(reloader.run(requests));
        Self { handle, logs, task }
    }

    /// Reloads and opens log files again as signals ask for it, until one asks for the end.
    pub async fn obey(&self, mut caught: CaughtSignals) {
        loop {
            match caught.next().await {
                SignalRequest::Reload => self.handle.trigger(),
                SignalRequest::ReopenLogs => self.logs.reopen().await,
                SignalRequest::Stop => return,
            }
        }
    }

    /// Drops the reloader, which removes its temporary files.
    pub async fn end(self) {
        self.task.abort();
        // It was aborted, or it panicked before, and then the log has it.
        let _ = self.task.await;
    }
}

/// Tells the service manager how far a reload is.
fn observer(manager: Arc<ServiceManager>, urls: String) -> impl Fn(ReloadStage<'_>) {
    move |stage| match stage {
        ReloadStage::Begun => manager.reloading(),
        ReloadStage::Ended(ReloadOutcome::Swapped(report) | ReloadOutcome::Unchanged(report)) => {
            manager.ready(&status(&urls, report.generation));
        }
        ReloadStage::Ended(ReloadOutcome::Refused { generation, .. }) => {
            manager.ready(&format!("{}; the last reload was refused", status(&urls, *generation)));
        }
    }
}

fn status(urls: &str, generation: u64) -> String {
    format!("serving on {urls}, generation {generation}")
}
