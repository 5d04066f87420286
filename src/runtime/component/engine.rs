//! Which exports of a component are served, and what is a component linked to?

use std::sync::Arc;

use wasmtime::component::types::{ComponentExtern, ComponentItem};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Cache, Engine, Store};
use wasmtime_wasi::{p2 as cli2, p3 as cli3};
use wasmtime_wasi_http::{p2 as http2, p3 as http3};

use crate::config::UnknownImports;

use crate::runtime::engine;
use crate::runtime::engine::EngineConfig;
use crate::runtime::engine::gc_support::GcSupport;
use crate::runtime::error::Error;
use crate::runtime::instance::debug::profiler::{ProfiledCode, watch_epochs};
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::grants::Grants;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::instance::stdio::Stdio;

use crate::runtime::component::state::ComponentState;
use crate::runtime::component::{command, imports};

/// The most handles a guest may have: to what the host keeps for it, and to what its own parts give each other. Each takes a
/// few bytes of the engine.
const MAX_COMPONENT_HANDLES: usize = 10_000;

/// The most calls, waits and ends of streams that a guest of WASI 0.3 may have open at once. The engine keeps about a KiB for
/// each, which no limit on memory counts.
const CONCURRENT: usize = 1024;

/// The engine for components, and the imports that it provides.
pub(in crate::runtime) struct ComponentEngine {
    pub engine: Engine,
    linker: Linker<ComponentState>,
}

/// A component linked to the host, and the export that is served.
#[derive(Clone)]
pub(in crate::runtime) enum LinkedComponent {
    CommandP2(cli2::bindings::CommandPre<ComponentState>),
    CommandP3(cli3::bindings::CommandPre<ComponentState>),
    ServiceP2(http2::bindings::ProxyPre<ComponentState>),
    ServiceP3(http3::bindings::ServicePre<ComponentState>),
}

/// The exports that are served, in the order in which they are looked for.
const SERVED: [(&str, Make); 4] = [
    ("wasi:http/handler@0.3.", |linked| http3::bindings::ServicePre::new(linked).map(LinkedComponent::ServiceP3)),
    ("wasi:http/incoming-handler@0.2.", |linked| {
        http2::bindings::ProxyPre::new(linked).map(LinkedComponent::ServiceP2)
    }),
    ("wasi:cli/run@0.3.", |linked| cli3::bindings::CommandPre::new(linked).map(LinkedComponent::CommandP3)),
    ("wasi:cli/run@0.2.", |linked| cli2::bindings::CommandPre::new(linked).map(LinkedComponent::CommandP2)),
];

type Make = fn(InstancePre<ComponentState>) -> wasmtime::Result<LinkedComponent>;

impl ComponentEngine {
    /// Makes the engine for components.
    pub fn new(config: &EngineConfig, gc: GcSupport, cache: Option<&Cache>) -> wasmtime::Result<Self> {
        let engine = engine::for_components(config, gc, cache)?;
        let linker = imports::linker(&engine)?;
        Ok(Self { engine, linker })
    }

    /// Links a component. Returns it with the imports that end a guest when it calls them.
    pub fn link(
        &self,
        component: &Component,
        unknown_imports: UnknownImports,
    ) -> Result<(LinkedComponent, Vec<String>), Error> {
        let ty = component.component_type();
        let exports: Vec<String> = ty.exports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let names = || ty.imports(&self.engine).map(|(name, _)| name);
        let candidates = imports::release_candidates(names().chain(exports.iter().map(String::as_str)));
        if !candidates.is_empty() {
            return Err(Error::ReleaseCandidate(candidates));
        }
        let served = SERVED.iter().find(|(served, _)| exports.iter().any(|name| name.starts_with(served)));
        let Some((_, make)) = served else { return Err(Error::NotServed(exports)) };
        let unknown = imports::unknown(names());
        let (linked, trapping) = match self.linker.instantiate_pre(component) {
            Ok(linked) => (linked, Vec::new()),
            Err(error) if unknown.is_empty() => return Err(Error::Link(error)),
            Err(_) if unknown_imports == UnknownImports::Refuse => {
                return Err(Error::UnknownInterfaces { nearest: imports::nearest(&unknown), imports: unknown });
            }
            Err(_) => {
                let linked = self
                    .trapping_linker(component)
                    .map_err(Error::Link)?
                    .instantiate_pre(component)
                    .map_err(Error::Link)?;
                (linked, self.callable(component, &unknown))
            }
        };
        Ok((make(linked).map_err(Error::Link)?, trapping))
    }

    /// Those of these imports that have functions, as they stand in messages. An interface with types only cannot be called.
    fn callable(&self, component: &Component, names: &[String]) -> Vec<String> {
        let has_functions = |import: ComponentExtern<'_>| match import.ty {
            ComponentItem::ComponentInstance(instance) => {
                let mut exports = instance.exports(&self.engine);
                exports.any(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_)))
            }
            _ => true,
        };
        let ty = component.component_type();
        let imports = ty.imports(&self.engine).filter(|(name, _)| names.iter().any(|known| known == name));
        imports.filter_map(|(name, import)| has_functions(import).then(|| format!("`{name}`"))).collect()
    }

    /// The imports that are provided, and functions for all others, each of which ends its guest when it is called.
    pub fn trapping_linker(&self, component: &Component) -> wasmtime::Result<Linker<ComponentState>> {
        let mut linker = self.linker.clone();
        imports::trap_unknown(&mut linker, component, &self.engine)?;
        Ok(linker)
    }
}

impl LinkedComponent {
    fn instance(&self) -> &InstancePre<ComponentState> {
        match self {
            Self::CommandP2(command) => command.instance_pre(),
            Self::CommandP3(command) => command.instance_pre(),
            Self::ServiceP2(service) => service.instance_pre(),
            Self::ServiceP3(service) => service.instance_pre(),
        }
    }

    /// Whether it handles HTTP requests instead of being run like a module.
    pub fn is_http_component(&self) -> bool {
        matches!(self, Self::ServiceP2(_) | Self::ServiceP3(_))
    }

    /// A store for one guest, with its limits set.
    pub fn store(&self, state: ComponentState, grants: &Grants, request: u64) -> Store<ComponentState> {
        let code = || ProfiledCode::Component(self.instance().component().clone());
        let sampler = grants.sampler(request, code);
        let mut store = Store::new(self.instance().engine(), state);
        store.limiter(|state| &mut state.memory_limits);
        // Whatever a host call copies has to fit into the guest as well.
        store.set_hostcall_fuel(grants.limits.memory);
        store.set_max_component_handles(MAX_COMPONENT_HANDLES);
        if let Some(table) = store.concurrent_resource_table() {
            table.set_max_capacity(CONCURRENT);
        }
        watch_epochs(&mut store, sampler, |state| &state.stdio.cpu_timer);
        store
    }

    /// Makes an instance and drops it. That shows every error that can occur before the first call.
    async fn instantiate(&self, mut store: Store<ComponentState>) -> Ending {
        let made = match self {
            Self::CommandP2(command) => command.instantiate_async(&mut store).await.map(drop),
            Self::CommandP3(command) => command.instantiate_async(&mut store).await.map(drop),
            Self::ServiceP2(service) => service.instantiate_async(&mut store).await.map(drop),
            Self::ServiceP3(service) => service.instantiate_async(&mut store).await.map(drop),
        };
        made.map_or_else(Ending::of_instantiation, |()| Ending::Succeeded)
    }

    /// Runs it like a module, or only instantiates it. The guest computes when this is polled.
    pub fn start(
        &self,
        grants: &Grants,
        stdio: &Arc<Stdio>,
        invocation: &Invocation,
        is_called: bool,
    ) -> impl Future<Output = Ending> + Send + 'static {
        let variables = invocation.environment.iter().filter_map(|variable| variable.split_once('='));
        let state = ComponentState::of_command(grants, stdio, invocation.arguments.iter(), variables);
        let (linked, store) = (self.clone(), self.store(state, grants, invocation.request));
        async move {
            match &linked {
                Self::CommandP2(command) if is_called => command::run_p2(store, command).await,
                Self::CommandP3(command) if is_called => command::run_p3(store, command).await,
                _ => linked.instantiate(store).await,
            }
        }
    }
}
