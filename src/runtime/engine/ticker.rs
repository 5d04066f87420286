//! When do the epochs of the engines advance, and when are the threads of guests checked?

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use wasmtime::{Engine, EngineWeak};

/// The time between two epochs, and so the length of a time slice: short beside what a person notices, long beside what a
/// tick costs.
pub(in crate::runtime) const TICK: Duration = Duration::from_millis(5);

/// A thread that advances the epochs of engines until this is dropped.
pub(in crate::runtime) struct Ticker(Arc<Mutex<Vec<EngineWeak>>>);

impl Ticker {
    /// Starts the thread, which calls `each_tick` as well.
    pub fn start(engine: &Engine, each_tick: impl Fn() + Send + 'static) -> io::Result<Self> {
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
                each_tick();
                thread::sleep(TICK);
            }
        })?;
        Ok(Self(engines))
    }

    /// Adds an engine.
    pub fn add(&self, engine: &Engine) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(engine.weak());
    }
}
