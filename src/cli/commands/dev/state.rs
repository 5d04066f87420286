//! What do requests need to know of builds and reloads? Called by the parent and by `service`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// The lines of standard error that the page about a failure shows.
const KEPT_LINES: usize = 40;

/// How long requests wait for a reload. A reload that takes longer goes on beside them.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(2);

/// What a developer waits for. Shared by the loop that builds and by all requests.
pub(super) struct DevState {
    content: Mutex<DevContent>,
    reloads: watch::Sender<u64>,
    /// Until when requests wait for the reload that is under way.
    reload_deadline: watch::Sender<Option<Instant>>,
    pub live: LiveReload,
}

#[derive(Default)]
struct DevContent {
    broken: Option<Arc<str>>,
    stderr: VecDeque<String>,
}

/// A reload that is under way, for which requests wait until this is dropped.
pub(super) struct ReloadGuard(Arc<DevState>);

/// Whether browsers load a page again when something has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveReload {
    Off,
    On,
}

impl DevState {
    pub fn new(live: LiveReload) -> Self {
        let (reloads, reload_deadline) = (watch::Sender::new(0), watch::Sender::new(None));
        Self { content: Mutex::default(), reloads, reload_deadline, live }
    }

    fn content(&self) -> MutexGuard<'_, DevContent> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why what is served is not what the sources say, if that is so.
    pub fn broken(&self) -> Option<Arc<str>> {
        self.content().broken.clone()
    }

    /// From now on what is served is not what the sources say.
    pub fn set_broken(&self, why: &str) {
        self.content().broken = Some(why.into());
        self.notify();
    }

    /// From now on it is.
    pub fn set_working(&self) {
        self.content().broken = None;
        self.notify();
    }

    /// Lets browsers load their pages again.
    pub fn notify(&self) {
        self.reloads.send_modify(|count| *count += 1);
    }

    /// Tells when pages are to be loaded again.
    pub fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    /// Lets requests wait for a reload: what they get is new, and the compiler has the cores.
    pub fn begin_reload(self: &Arc<Self>) -> ReloadGuard {
        self.begin_reload_until(Instant::now() + RELOAD_TIMEOUT)
    }

    fn begin_reload_until(self: &Arc<Self>, deadline: Instant) -> ReloadGuard {
        self.reload_deadline.send_replace(Some(deadline));
        ReloadGuard(self.clone())
    }

    /// Waits for the reload that is under way, if there is one.
    pub async fn reloaded(&self) {
        let Some(deadline) = *self.reload_deadline.borrow() else { return };
        let mut reload_deadline = self.reload_deadline.subscribe();
        // Beyond the deadline what was served before is good enough.
        let _ = timeout_at(deadline, reload_deadline.wait_for(Option::is_none)).await;
    }

    /// Keeps a line that a guest has printed on standard error.
    pub fn keep_stderr(&self, line: &str) {
        let mut content = self.content();
        if content.stderr.len() == KEPT_LINES {
            content.stderr.pop_front();
        }
        content.stderr.push_back(line.to_owned());
    }

    /// The last lines that guests have printed on standard error.
    pub fn stderr(&self) -> String {
        self.content().stderr.iter().map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for ReloadGuard {
    fn drop(&mut self) {
        self.0.reload_deadline.send_replace(None);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use crate::cli::commands::dev::state::*;

    #[tokio::test]
    async fn requests_wait_for_a_reload_but_not_for_long() {
        let state = Arc::new(DevState::new(LiveReload::Off));
        state.reloaded().await;
        let reload = state.begin_reload();
        let mut waiting = pin!(state.reloaded());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(reload);
        waiting.await;
        // A slow one goes on beside them.
        let _reload = state.begin_reload_until(Instant::now());
        state.reloaded().await;
    }

    #[test]
    fn browsers_learn_of_each_change() {
        let state = DevState::new(LiveReload::On);
        let mut reloads = state.reloads();
        assert!(!reloads.has_changed().expect("there is a sender"));
        state.set_broken("error");
        assert_eq!((reloads.has_changed().ok(), state.broken().as_deref()), (Some(true), Some("error")));
        reloads.mark_unchanged();
        state.set_working();
        assert_eq!((reloads.has_changed().ok(), state.broken()), (Some(true), None));
    }

    #[test]
    fn the_last_lines_of_standard_error_are_kept() {
        let state = DevState::new(LiveReload::Off);
        (0..100).for_each(|number| state.keep_stderr(&number.to_string()));
        assert!(state.stderr().starts_with("60\n") && state.stderr().ends_with("\n99\n"));
    }
}
