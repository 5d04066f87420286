//! How is the engine set up?
//!
//! One engine per process. Instances, memories and stacks come from a pool made at start, so that a fresh instance per
//! request costs microseconds; where the address space for the pool is not to be had, they are allocated on demand.

use std::path::PathBuf;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result};

use crate::config::CompilationCache;

use super::engine_cache;

/// What the operator's configuration says about the engine.
pub struct EngineConfig {
    /// The most guests that run at once.
    pub instances: u32,
    /// The largest memory any guest may have, in bytes.
    pub memory: usize,
    /// The largest number of table elements any guest may have.
    pub table_elements: usize,
    /// The WebAssembly stack of a guest, in bytes.
    pub wasm_stack: usize,
    /// The engine's own cache of compiled code; it beats `compiled`.
    pub cache: Option<CompilationCache>,
    /// The directory in which compiled code is kept between starts; nowhere without.
    pub compiled: Option<PathBuf>,
}

/// Room for guests that have ended but whose memory is not back yet.
const SPARE_INSTANCES: u32 = 32;

/// Host functions run on the guest's stack too, above what the guest may use.
const STACK_FOR_HOST: usize = 512 * 1024;

/// What the code of a guest may be compiled with elsewhere: no instances, and no limits that change the code.
pub(super) fn for_compiling() -> Result<Engine> {
    let limits = crate::config::GatewayLimits::default();
    let config = EngineConfig {
        instances: 0,
        memory: 0,
        table_elements: 0,
        wasm_stack: limits.wasm_stack,
        cache: None,
        compiled: None,
    };
    Engine::new(&common(&config)?)
}

/// What is kept of a memory, table or stack between two guests: zeroing this much is cheaper than giving pages back.
const MEMORY_KEPT: usize = 256 * 1024;
const TABLE_KEPT: usize = 16 * 1024;
const STACK_KEPT: usize = 32 * 1024;

/// More than any module seen in the field needs, so that no existing module is refused.
const INSTANCE_SIZE: usize = 16 << 20;
const MEMORIES_PER_MODULE: u32 = 4;
const TABLES_PER_MODULE: u32 = 4;

/// Makes the engine.
pub(super) fn engine(config: &EngineConfig) -> Result<Engine> {
    let mut pooled = common(config)?;
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    Engine::new(&pooled).or_else(|error| {
        tracing::warn!(error = %format!("{error:#}"), "cannot make a pool of instances: requests will be slower");
        Engine::new(&common(config)?)
    })
}

fn common(config: &EngineConfig) -> Result<Config> {
    let mut common = Config::new();
    common
        .epoch_interruption(true)
        .max_wasm_stack(config.wasm_stack)
        .async_stack_size(config.wasm_stack + STACK_FOR_HOST)
        .wasm_multi_memory(true)
        .wasm_component_model(false)
        // What only components need, and stores are cheaper without.
        .concurrency_support(false)
        .memory_init_cow(true)
        .cache(config.cache.as_ref().map(engine_cache::open).transpose()?);
    Ok(common)
}

fn pool(config: &EngineConfig) -> PoolingAllocationConfig {
    let instances = config.instances.saturating_add(SPARE_INSTANCES);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(instances)
        .total_memories(instances.saturating_mul(MEMORIES_PER_MODULE))
        .total_tables(instances.saturating_mul(TABLES_PER_MODULE))
        .total_stacks(instances)
        .max_core_instance_size(INSTANCE_SIZE)
        .max_memories_per_module(MEMORIES_PER_MODULE)
        .max_tables_per_module(TABLES_PER_MODULE)
        .max_memory_size(config.memory)
        .table_elements(config.table_elements)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(TABLE_KEPT)
        .async_stack_keep_resident(STACK_KEPT)
        .max_unused_warm_slots(instances)
        .pagemap_scan(Enabled::Auto);
    pool
}
