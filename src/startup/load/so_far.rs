//! What is known of modules while they are being loaded?

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::runtime::Executable;

use crate::startup::error::{Error, LoadError};
use crate::startup::load::{LoadResult, Loaded};

/// What is known of a module.
#[derive(Clone)]
pub(in crate::startup) enum LoadState {
    /// It is loaded, or cannot be.
    Ended(LoadResult),
    /// It is valid, and its code is not there yet.
    Compiling(RouteList),
}

/// Whether a module has more routes than its entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::startup) enum RouteList {
    /// It has none.
    None,
    /// It declares some, and has to run to tell them.
    Declared,
}

impl LoadState {
    /// The executable, if it is there.
    pub fn executable(&self) -> Option<Executable> {
        match self {
            Self::Ended(loaded) => Some(loaded.as_ref().ok()?.executable.clone()),
            Self::Compiling(_) => None,
        }
    }

    /// Whether it may be because another program is writing the file that there is none.
    pub fn may_be_half_written(&self) -> bool {
        matches!(self, Self::Ended(loaded) if loaded.as_ref().is_err_and(LoadError::may_be_half_written))
    }

    /// Whether its code is not there yet.
    pub fn is_compiling(&self) -> bool {
        matches!(self, Self::Compiling(_))
    }
}

/// What is known of each module, by its position.
pub(in crate::startup) struct LoadedSoFar {
    modules: Mutex<Vec<KnownModule>>,
    changes: watch::Sender<()>,
}

#[derive(Clone, Default)]
struct KnownModule {
    is_begun: bool,
    state: Option<LoadState>,
}

impl LoadedSoFar {
    /// Nothing is known of `count` modules.
    pub fn new(count: usize) -> Self {
        Self { modules: Mutex::new(vec![KnownModule::default(); count]), changes: watch::Sender::default() }
    }

    /// Notes that a thread loads a module. Returns whether it is the first one.
    pub fn begin(&self, index: usize) -> bool {
        self.modules().get_mut(index).is_some_and(|module| !std::mem::replace(&mut module.is_begun, true))
    }

    /// Notes what is known of a module. That it has ended stays.
    pub fn set(&self, index: usize, state: LoadState) {
        if let Some(module) = self.modules().get_mut(index).filter(|module| !module.has_ended()) {
            module.state = Some(state);
        }
        self.changes.send_replace(());
    }

    /// Whether a module is loaded, or cannot be.
    pub fn has_ended(&self, index: usize) -> bool {
        self.modules().get(index).is_some_and(KnownModule::has_ended)
    }

    /// What is known of the modules, if it is something of each.
    fn states(&self) -> Option<Vec<LoadState>> {
        self.modules().iter().map(|module| module.state.clone()).collect()
    }

    fn modules(&self) -> MutexGuard<'_, Vec<KnownModule>> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownModule {
    fn has_ended(&self) -> bool {
        matches!(self.state, Some(LoadState::Ended(_)))
    }
}

/// Modules that are being loaded, on threads that do not serve.
pub(in crate::startup) struct LoadingModules {
    so_far: Arc<LoadedSoFar>,
    changes: watch::Receiver<()>,
    task: JoinHandle<Loaded>,
}

/// How far modules are.
pub(in crate::startup) enum LoadStep {
    /// All have ended.
    All(Loaded),
    /// Some are still being compiled, and all are valid or have ended.
    Some(Vec<LoadState>),
}

impl LoadingModules {
    /// Lets a thread load `count` modules.
    pub fn begin(count: usize, load: impl FnOnce(&LoadedSoFar) -> Loaded + Send + 'static) -> Self {
        let so_far = Arc::new(LoadedSoFar::new(count));
        let (changes, of_thread) = (so_far.changes.subscribe(), so_far.clone());
        Self { so_far, changes, task: spawn_blocking(move || load(&of_thread)) }
    }

    /// Waits until all have ended.
    pub async fn all(&mut self) -> Result<Loaded, Error> {
        (&mut self.task).await.map_err(|_| Error::Compiling)
    }

    /// Waits until all have ended, or until more is known of some. Not to be called again when all have ended.
    pub async fn next(&mut self) -> Result<LoadStep, Error> {
        loop {
            tokio::select! {
                biased;
                loaded = &mut self.task => return loaded.map(LoadStep::All).map_err(|_| Error::Compiling),
                // The sender is there as long as this is.
                _ = self.changes.changed() => {}
            }
            let states = self.so_far.states();
            if let Some(states) = states.filter(|states| states.iter().any(LoadState::is_compiling)) {
                return Ok(LoadStep::Some(states));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::startup::load::so_far::*;

    #[test]
    fn states_are_there_when_something_is_known_of_each_module_and_an_end_stays() {
        let so_far = LoadedSoFar::new(2);
        let ended = || LoadState::Ended(Err(LoadError::Changed));
        so_far.set(1, ended());
        assert!(so_far.states().is_none());
        so_far.set(0, LoadState::Compiling(RouteList::None));
        so_far.set(1, LoadState::Compiling(RouteList::None));
        let states = so_far.states().expect("both are known");
        assert_eq!(states.iter().map(LoadState::is_compiling).collect::<Vec<_>>(), [true, false]);
        assert_eq!([0, 1].map(|index| so_far.has_ended(index)), [false, true]);
        so_far.set(0, ended());
        so_far.set(2, ended());
        assert!(so_far.has_ended(0) && !so_far.has_ended(2));
    }

    #[test]
    fn a_module_is_begun_once() {
        let so_far = LoadedSoFar::new(1);
        assert_eq!([0, 0, 1].map(|index| so_far.begin(index)), [true, false, false]);
    }
}
