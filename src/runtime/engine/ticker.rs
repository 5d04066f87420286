//! When do the epochs of the engines move on?

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// How often the epoch moves on, and so the length of a time slice: short beside what a person notices, long beside
/// what a tick costs.
pub const TICK: Duration = Duration::from_millis(5);

/// Moves the epochs of engines on until it is dropped.
pub(in crate::runtime) struct Ticker(Arc<Mutex<Vec<EngineWeak>>>);

impl Ticker {
    /// Starts the thread.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let engines = Arc::new(Mutex::new(vec![engine.weak()]));
        let watched = Arc::downgrade(&engines);
        thread::Builder::new().name("wagi-epoch".into()).spawn(move || {
            while let Some(engines) = watched.upgrade() {
                for engine in engines.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    if let Some(engine) = engine.upgrade() {
                        engine.increment_epoch();
                    }
                }
                drop(engines);
                thread::sleep(TICK);
            }
        })?;
        Ok(Self(engines))
    }

    /// From now on this engine's epoch moves on, too.
    pub fn add(&self, engine: &Engine) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(engine.weak());
    }
}
