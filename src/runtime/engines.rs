//! In which engine does a program run?
//!
//! The engine for modules with small memories is made at the start. The others are made when the first program needs them, so that
//! no program pays for features that others use: [`ModuleEngine`] and [`ComponentEngine`] say what each is for.

use std::sync::Arc;

use crate::runtime::code::cache::CodeCache;
use crate::runtime::component::ComponentEngine;
use crate::runtime::engine::executors::Executors;
use crate::runtime::engine::gc_support::GcSupport;
use crate::runtime::engine::once::TryOnceLock;
use crate::runtime::engine::{EngineConfig, MemorySize};
use crate::runtime::error::Error;
use crate::runtime::module_engine::ModuleEngine;

/// The engines, and the threads that their guests compute on.
pub(in crate::runtime) struct Engines {
    pub small: Arc<ModuleEngine>,
    large: TryOnceLock<ModuleEngine>,
    with_gc: TryOnceLock<ModuleEngine>,
    resumed: TryOnceLock<ModuleEngine>,
    rehearsals: TryOnceLock<ModuleEngine>,
    components: TryOnceLock<ComponentEngine>,
    components_with_gc: TryOnceLock<ComponentEngine>,
    pub executors: Arc<Executors>,
    pub config: EngineConfig,
}

impl Engines {
    /// Starts the engine for modules and the threads.
    pub fn new(config: &EngineConfig, code_cache: &CodeCache) -> Result<Self, Error> {
        let small = ModuleEngine::new(config, MemorySize::Small, GcSupport::Off, code_cache.wasmtime_cache())?;
        let executors = Arc::new(Executors::start(&small.engine).map_err(Error::Threads)?);
        let (large, with_gc) = (TryOnceLock::default(), TryOnceLock::default());
        let (resumed, rehearsals) = (TryOnceLock::default(), TryOnceLock::default());
        let (components, components_with_gc) = (TryOnceLock::default(), TryOnceLock::default());
        let (small, config) = (Arc::new(small), config.clone());
        Ok(Self { small, large, with_gc, resumed, rehearsals, components, components_with_gc, executors, config })
    }

    /// The engine for modules with memories of this size. Those that need a collector share one.
    pub fn for_modules(&self, size: MemorySize, gc: GcSupport, cache: &CodeCache) -> Result<Arc<ModuleEngine>, Error> {
        let (slot, size) = match (gc, size) {
            (GcSupport::Off, MemorySize::Small) => return Ok(self.small.clone()),
            (GcSupport::Off, MemorySize::Large | MemorySize::Captured) => (&self.large, size),
            (GcSupport::On, _) => (&self.with_gc, MemorySize::Large),
        };
        slot.get_or_try_init(|| {
            let engine = ModuleEngine::new(&self.config, size, gc, cache.wasmtime_cache())?;
            self.executors.add_engine(&engine.engine);
            Ok(engine)
        })
    }

    /// The engine for modules that begin at a checkpoint.
    pub fn for_resumed(&self, cache: &CodeCache) -> Result<Arc<ModuleEngine>, Error> {
        self.resumed.get_or_try_init(|| {
            let (size, gc) = (MemorySize::Captured, GcSupport::Off);
            let engine = ModuleEngine::new(&self.config, size, gc, cache.wasmtime_cache())?;
            self.executors.add_engine(&engine.engine);
            Ok(engine)
        })
    }

    /// The engine in which modules are captured at their checkpoints.
    pub fn for_rehearsals(&self, cache: &CodeCache) -> Result<Arc<ModuleEngine>, Error> {
        self.rehearsals.get_or_try_init(|| {
            let engine = ModuleEngine::for_rehearsals(&self.config, cache.wasmtime_cache())?;
            self.executors.add_engine(&engine.engine);
            Ok(engine)
        })
    }

    /// The engine for components.
    pub fn for_components(&self, gc: GcSupport, cache: &CodeCache) -> Result<Arc<ComponentEngine>, Error> {
        let slot = match gc {
            GcSupport::Off => &self.components,
            GcSupport::On => &self.components_with_gc,
        };
        slot.get_or_try_init(|| {
            let engine = ComponentEngine::new(&self.config, gc, cache.wasmtime_cache()).map_err(Error::Engine)?;
            self.executors.add_engine(&engine.engine);
            Ok(engine)
        })
    }
}
