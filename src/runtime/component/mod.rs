//! What is a component, and which of its exports is served?
//!
//! | it exports | and is |
//! | --- | --- |
//! | `wasi:http/incoming-handler` 0.2 or `wasi:http/handler` 0.3 | asked over HTTP: `service` |
//! | `wasi:cli/run` 0.2 or 0.3 | run like a module: `command` |
//!
//! The first line wins. Components have an engine of their own, made when the first one is seen.
//!
//! | file | question |
//! | --- | --- |
//! | `imports` | which imports are there for components? |
//! | `state` | what does the host keep for one while it runs? |
//! | `command` | how is it run like a module? |
//! | `service` | how is it asked over HTTP? |
//! | `body` | how do bodies get in and out of it? |
//! | `outgoing` | how does it call somebody else? |

pub(in crate::runtime) mod body;
pub(in crate::runtime) mod command;
pub(in crate::runtime) mod imports;
pub(in crate::runtime) mod outgoing;
pub(in crate::runtime) mod service;
pub(in crate::runtime) mod state;

pub use crate::runtime::component::body::RequestBody;
pub use crate::runtime::component::service::ComponentRequest;

use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Cache, Engine, Store};
use wasmtime_wasi::{p2 as cli2, p3 as cli3};
use wasmtime_wasi_http::{p2 as http2, p3 as http3};

use crate::runtime::engine;
use crate::runtime::engine::EngineConfig;
use crate::runtime::error::Error;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::grants::Grants;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::instance::stdio::Pipes;

use crate::runtime::component::state::State;

/// The most handles a guest may have: to what the host keeps for it, and to what its own parts give each other. The engine
/// keeps a few hundred bytes for some kinds, which no limit on memory counts.
const HANDLES: usize = 10_000;

/// Whether the bytes are a component: in binary, modules have the same magic number and another version behind it; in
/// text, components begin with another word.
pub fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0") || without_comments(bytes).starts_with(b"(component")
}

/// A text without the blanks and comments at its start.
fn without_comments(mut text: &[u8]) -> &[u8] {
    loop {
        text = text.trim_ascii_start();
        text = if text.starts_with(b";;") {
            text.iter().position(|&byte| byte == b'\n').and_then(|end| text.get(end..)).unwrap_or_default()
        } else if text.starts_with(b"(;") {
            block_end(text).and_then(|end| text.get(end..)).unwrap_or_default()
        } else {
            return text;
        }
    }
}

/// Where the block comment that `text` begins with has its end; such comments nest.
fn block_end(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(pair) = text.get(at..at + 2) {
        match pair {
            b"(;" => depth += 1,
            b";)" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The engine for components, and what it offers to them.
pub(in crate::runtime) struct ComponentEngine {
    pub engine: Engine,
    linker: Linker<State>,
}

/// A component linked to the host, and the export that is served.
#[derive(Clone)]
pub(in crate::runtime) enum Linked {
    Command2(cli2::bindings::CommandPre<State>),
    Command3(cli3::bindings::CommandPre<State>),
    Service2(http2::bindings::ProxyPre<State>),
    Service3(http3::bindings::ServicePre<State>),
}

/// The exports that are served, in the order in which they are looked for.
const SERVED: [(&str, Make); 4] = [
    ("wasi:http/handler@0.3.", |linked| http3::bindings::ServicePre::new(linked).map(Linked::Service3)),
    ("wasi:http/incoming-handler@0.2.", |linked| http2::bindings::ProxyPre::new(linked).map(Linked::Service2)),
    ("wasi:cli/run@0.3.", |linked| cli3::bindings::CommandPre::new(linked).map(Linked::Command3)),
    ("wasi:cli/run@0.2.", |linked| cli2::bindings::CommandPre::new(linked).map(Linked::Command2)),
];

type Make = fn(InstancePre<State>) -> wasmtime::Result<Linked>;

impl ComponentEngine {
    /// Makes the engine for components.
    pub fn new(config: &EngineConfig, cache: Option<&Cache>) -> wasmtime::Result<Self> {
        let engine = engine::for_components(config, cache)?;
        let linker = imports::linker(&engine)?;
        Ok(Self { engine, linker })
    }

    /// Links a component.
    pub fn link(&self, component: &Component) -> Result<Linked, Error> {
        let ty = component.component_type();
        let exports: Vec<String> = ty.exports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let served = SERVED.iter().find(|(served, _)| exports.iter().any(|name| name.starts_with(served)));
        let Some((_, make)) = served else { return Err(Error::NotServed(exports)) };
        let linked = self.linker.instantiate_pre(component).map_err(|error| {
            let unknown = imports::unknown(ty.imports(&self.engine).map(|(name, _)| name));
            if unknown.is_empty() { Error::Link(error) } else { Error::UnknownInterfaces(unknown) }
        })?;
        make(linked).map_err(Error::Link)
    }
}

impl Linked {
    fn instance(&self) -> &InstancePre<State> {
        match self {
            Self::Command2(command) => command.instance_pre(),
            Self::Command3(command) => command.instance_pre(),
            Self::Service2(service) => service.instance_pre(),
            Self::Service3(service) => service.instance_pre(),
        }
    }

    /// Whether it is asked over HTTP instead of being run like a module.
    pub fn speaks_http(&self) -> bool {
        matches!(self, Self::Service2(_) | Self::Service3(_))
    }

    /// A store for one guest, with its limits set.
    fn store(&self, state: State, transfer: usize) -> Store<State> {
        let mut store = Store::new(self.instance().engine(), state);
        store.limiter(|state| &mut state.budget);
        // Whatever a host call copies has to fit into the guest as well.
        store.set_hostcall_fuel(transfer);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| context.data().pipes.cpu_timer.update_deadline());
        store
    }

    /// Makes an instance and drops it: whatever can go wrong before the first call goes wrong here.
    async fn instantiate(&self, mut store: Store<State>) -> Ending {
        let made = match self {
            Self::Command2(command) => command.instantiate_async(&mut store).await.map(drop),
            Self::Command3(command) => command.instantiate_async(&mut store).await.map(drop),
            Self::Service2(service) => service.instantiate_async(&mut store).await.map(drop),
            Self::Service3(service) => service.instantiate_async(&mut store).await.map(drop),
        };
        made.map_or_else(Ending::of_instantiation, |()| Ending::Succeeded)
    }

    /// Runs it like a module, or only instantiates it. The guest computes when this is polled.
    pub fn start(
        &self,
        grants: &Grants,
        pipes: &Arc<Pipes>,
        invocation: &Invocation,
        is_called: bool,
    ) -> impl Future<Output = Ending> + Send + 'static {
        let variables = invocation.environment.iter().filter_map(|variable| variable.split_once('='));
        let state = State::of_command(grants, pipes, invocation.arguments.iter(), variables);
        let (linked, store) = (self.clone(), self.store(state, grants.limits.memory));
        async move {
            match &linked {
                Self::Command2(command) if is_called => command::run_2(store, command).await,
                Self::Command3(command) if is_called => command::run_3(store, command).await,
                _ => linked.instantiate(store).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::component::*;

    #[test]
    fn components_are_told_from_modules_by_their_first_bytes() {
        for (bytes, expected) in [
            (&b"\0asm\x0d\0\x01\0rest"[..], true),
            (b"\0asm\x01\0\0\0rest", false),
            (b"(component)", true),
            (b" \n\t(component $c)", true),
            (b";; text\n;; more\n(component)", true),
            (b"(; a (; nested ;) comment ;) ;; and\n (component)", true),
            (b"(module)", false),
            (b";; (component)\n(module)", false),
            (b"(; (component", false),
            (b"(;", false),
            (b";)", false),
            (b"(", false),
            (b"", false),
        ] {
            assert_eq!(is_component(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
