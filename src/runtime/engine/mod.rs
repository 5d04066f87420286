//! How are the engines set up, and on which threads do guests compute?
//!
//! There is one for modules, and another for components once there is a component: the features that components need would
//! slow modules down. So would a garbage collector: what needs one has engines of its own. Instances, memories and stacks come from a pool made at start, so that a fresh instance per request
//! costs microseconds. If there is not enough address space for the pool, they are allocated on demand.

pub(in crate::runtime) mod executors;
pub(in crate::runtime) mod gc_support;
pub(in crate::runtime) mod once;
mod pool;
pub(in crate::runtime) mod task;
pub(in crate::runtime) mod threads;
pub(in crate::runtime) mod ticker;
pub(in crate::runtime) mod watch;

use wasmtime::{
    Cache, Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Result,
    WasmBacktraceDetails,
};

use crate::config::{CodeCacheConfig, GatewayLimits};

use crate::runtime::engine::gc_support::GcSupport;

/// The settings of the engines.
#[derive(Clone)]
pub struct EngineConfig {
    /// The maximum number of guests that run at once.
    pub instances: u32,
    /// The largest memory any guest may have, in bytes.
    pub memory: usize,
    /// The largest number of table elements any guest may have.
    pub table_elements: usize,
    /// The WebAssembly stack of a guest, in bytes.
    pub wasm_stack: usize,
    /// Where compiled code is kept between starts; `None` to keep none.
    pub cache: Option<CodeCacheConfig>,
    /// How much time the compiler takes.
    pub optimization: CodeOptimization,
    /// Whether core dumps can be made of guests that trap.
    pub coredumps: bool,
}

/// How much time the compiler takes for code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOptimization {
    /// As much as it needs for fast code.
    Full,
    /// As little as it can.
    None,
}

impl EngineConfig {
    /// The settings for one guest at a time with `memory` bytes and `table_elements`, and the default stack.
    pub fn for_one(memory: usize, table_elements: usize) -> Self {
        let wasm_stack = GatewayLimits::default().wasm_stack;
        let optimization = CodeOptimization::Full;
        Self { instances: 1, memory, table_elements, wasm_stack, cache: None, optimization, coredumps: false }
    }
}

/// Instances more than guests, for guests that have ended but whose memory is not back yet.
const SPARE_INSTANCES: u32 = 32;

/// Host functions run on the guest's stack too, above what the guest may use.
const STACK_FOR_HOST: usize = 512 * 1024;

/// The bytes of a memory, table or stack that stay resident between two guests: zeroing them is cheaper than giving pages
/// back.
const MEMORY_RESIDENT: usize = 256 * 1024;
/// The same for programs that begin at a checkpoint: interpreters, which write to some hundred pages of what they begin with.
const CAPTURED_RESIDENT: usize = 2 << 20;
/// Up to this size, writing all of a memory again is cheaper than asking which of its pages were written to.
const SMALL_MEMORY: usize = 128 * 1024;
const TABLE_RESIDENT: usize = 16 * 1024;
const STACK_RESIDENT: usize = 32 * 1024;

/// More than any module seen in the field needs, so that no existing module is refused.
const INSTANCE_SIZE: usize = 16 << 20;
const MEMORIES_PER_MODULE: u32 = 4;
const TABLES_PER_MODULE: u32 = 4;

/// The parts that a component may have. Components made of interpreters and their libraries have a dozen or two of core
/// modules, each with a small table of its own at most, and one memory that all of them share.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
const MEMORIES_PER_COMPONENT: u32 = 4;
const TABLES_PER_COMPONENT: u32 = 16;

/// Each waiting call into a component has a stack, and in components of WASI 0.3 each core module may wait by itself. The pool
/// has one stack for each instance, and `CORE_INSTANCES_PER_COMPONENT` for each of this number of guests: the default limit of
/// one entry.
const FULLY_WAITING_GUESTS: u32 = 64;

/// How large a memory is when a guest starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum MemorySize {
    Small,
    Large,
    /// Large, and filled when the program begins: with what it had at its checkpoint.
    Captured,
}

impl MemorySize {
    /// The size class of a memory of `bytes`.
    pub fn of(bytes: u64) -> Self {
        if bytes <= SMALL_MEMORY as u64 { Self::Small } else { Self::Large }
    }
}

/// Makes the engine for modules with memories of this size, which keeps compiled code in `cache`.
pub(in crate::runtime) fn for_modules(
    config: &EngineConfig,
    size: MemorySize,
    gc: GcSupport,
    cache: Option<&Cache>,
) -> Result<Engine> {
    let mut modules = module_config(config, gc, cache);
    if size == MemorySize::Captured {
        // A copy for each instance would take longer than the start that it saves.
        modules.memory_guaranteed_dense_image_size(config.memory as u64);
    }
    engine(modules, |memories| {
        let mut pool = with_heaps(pool_for_modules(config, memories), config, gc);
        match size {
            MemorySize::Small => pool.linear_memory_keep_resident(SMALL_MEMORY).pagemap_scan(Enabled::No),
            MemorySize::Captured => pool.linear_memory_keep_resident(CAPTURED_RESIDENT),
            MemorySize::Large => &mut pool,
        };
        pool
    })
}

/// Makes the engine in which a debugger can read the frames of modules. It needs no pool: few run there, and each for long.
pub(in crate::runtime) fn for_rehearsals(config: &EngineConfig, cache: Option<&Cache>) -> Result<Engine> {
    let mut modules = module_config(config, GcSupport::Off, cache);
    modules.guest_debug(true).cranelift_opt_level(OptLevel::None);
    Engine::new(&modules)
}

/// Makes the engine for components, which keeps compiled code in `cache`.
pub(in crate::runtime) fn for_components(
    config: &EngineConfig,
    gc: GcSupport,
    cache: Option<&Cache>,
) -> Result<Engine> {
    engine(component_config(config, gc, cache), |memories| {
        with_heaps(pool_for_components(config, memories), config, gc)
    })
}

/// Makes an engine that only compiles modules, for the engine of any server: the settings that differ between servers do not
/// change the code.
pub(in crate::runtime) fn compiler_for_modules(gc: GcSupport) -> Result<Engine> {
    Engine::new(&module_config(&EngineConfig::for_one(0, 0), gc, None))
}

/// Makes an engine that only compiles modules that begin at a checkpoint, with at most this many bytes of memory.
pub(in crate::runtime) fn compiler_for_captured(memory: u64) -> Result<Engine> {
    let mut modules = module_config(&EngineConfig::for_one(0, 0), GcSupport::Off, None);
    Engine::new(modules.memory_guaranteed_dense_image_size(memory))
}

/// Makes an engine that only compiles modules for rehearsals.
pub(in crate::runtime) fn compiler_for_rehearsals() -> Result<Engine> {
    for_rehearsals(&EngineConfig::for_one(0, 0), None)
}

/// Makes an engine that only compiles components, for the engine of any server.
pub(in crate::runtime) fn compiler_for_components(gc: GcSupport) -> Result<Engine> {
    Engine::new(&component_config(&EngineConfig::for_one(0, 0), gc, None))
}

/// Makes an engine in up to three attempts:
///
/// 1. with a pool that has several memories for each instance
/// 2. with a pool that has one memory for each instance: a large pool runs out of address space first, and few guests have a
///    second memory
/// 3. without a pool
fn engine(config: Config, pool: impl Fn(u32) -> PoolingAllocationConfig) -> Result<Engine> {
    let pooled = |memories| {
        let mut pooled = config.clone();
        Engine::new(pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(memories))))
    };
    pooled(MEMORIES_PER_MODULE).or_else(|_| pooled(1)).or_else(|error| {
        tracing::warn!(error = %format!("{error:#}"), "cannot make a pool of instances: requests will be slower");
        Engine::new(&config)
    })
}

fn module_config(config: &EngineConfig, gc: GcSupport, cache: Option<&Cache>) -> Config {
    let mut modules = common_config(config, gc, cache);
    // What only components need, and stores are cheaper without.
    modules.wasm_component_model(false).concurrency_support(false);
    modules
}

fn component_config(config: &EngineConfig, gc: GcSupport, cache: Option<&Cache>) -> Config {
    let mut components = common_config(config, gc, cache);
    components.wasm_component_model(true).wasm_component_model_async(true).concurrency_support(true);
    components
}

fn common_config(config: &EngineConfig, gc: GcSupport, cache: Option<&Cache>) -> Config {
    let mut common = Config::new();
    common
        .epoch_interruption(true)
        .max_wasm_stack(config.wasm_stack)
        .async_stack_size(config.wasm_stack + STACK_FOR_HOST)
        .wasm_multi_memory(true)
        .gc_support(gc == GcSupport::On)
        .wasm_exceptions(gc == GcSupport::On)
        .memory_init_cow(true)
        // `instance::debug::source_lines` reads them, and only of a trap: the engine would at each exit of a guest.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .coredump_on_trap(config.coredumps)
        .cache(cache.cloned());
    if config.optimization == CodeOptimization::None {
        common.cranelift_opt_level(OptLevel::None);
    }
    common
}

fn pool_for_modules(config: &EngineConfig, memories_per_instance: u32) -> PoolingAllocationConfig {
    let instances = config.instances.saturating_add(SPARE_INSTANCES);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(instances)
        .total_gc_heaps(0)
        .total_memories(instances.saturating_mul(memories_per_instance).max(MEMORIES_PER_MODULE))
        .total_tables(instances.saturating_mul(TABLES_PER_MODULE))
        .total_stacks(instances)
        .max_core_instance_size(INSTANCE_SIZE)
        .max_memories_per_module(MEMORIES_PER_MODULE)
        .max_tables_per_module(TABLES_PER_MODULE)
        .max_memory_size(config.memory)
        .table_elements(config.table_elements)
        .linear_memory_keep_resident(MEMORY_RESIDENT)
        .table_keep_resident(TABLE_RESIDENT)
        .async_stack_keep_resident(STACK_RESIDENT)
        .max_unused_warm_slots(instances)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// The heap of a collector is one more memory of the pool, of the same size, for each guest.
fn with_heaps(mut pool: PoolingAllocationConfig, config: &EngineConfig, gc: GcSupport) -> PoolingAllocationConfig {
    if gc == GcSupport::On {
        let heaps = config.instances.saturating_add(SPARE_INSTANCES);
        let memories = pool.get_total_memories().saturating_add(heaps);
        pool.total_gc_heaps(heaps).total_memories(memories);
    }
    pool
}

fn pool_for_components(config: &EngineConfig, memories_per_instance: u32) -> PoolingAllocationConfig {
    let instances = config.instances.saturating_add(SPARE_INSTANCES);
    let mut pool = pool_for_modules(config, memories_per_instance);
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_tables(instances.saturating_mul(TABLES_PER_COMPONENT))
        .total_stacks(instances.saturating_add(FULLY_WAITING_GUESTS * CORE_INSTANCES_PER_COMPONENT))
        .max_component_instance_size(INSTANCE_SIZE)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT);
    pool
}
