//! Which imports does wagi provide to components?
//!
//! The whole of WASI 0.2 and 0.3 as wasmtime has it. The engine names only the first import that is missing, so
//! the lists here repeat what it links. A test compares them with the engine.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, Resource, ResourceType};
use wasmtime::{Engine, StoreContextMut};
use wasmtime_wasi::p2::IoError;
use wasmtime_wasi::{WasiView, p2 as wasi2, p3 as wasi3};
use wasmtime_wasi_http::{p2 as http2, p3 as http3};

use crate::runtime::component::filesystem::files;
use crate::runtime::component::filesystem::paths::override_paths;
use crate::runtime::component::state::ComponentState;
use crate::runtime::component::waits;

/// The interfaces of WASI 0.2 that hold more than types, which need no implementation.
const WASI_2: [&str; 29] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// The interfaces of WASI 0.3 that hold more than types.
const WASI_3: [&str; 22] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/system-clock",
    "wasi:clocks/types",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/client",
    "wasi:http/types",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/types",
];

/// A linker with everything that components may import.
pub(in crate::runtime::component) fn linker(engine: &Engine) -> wasmtime::Result<Linker<ComponentState>> {
    let mut linker = Linker::new(engine);
    wasi2::add_to_linker_async(&mut linker)?;
    http2::add_only_http_to_linker_async(&mut linker)?;
    wasi3::add_to_linker(&mut linker)?;
    http3::add_to_linker(&mut linker)?;
    linker.allow_shadowing(true);
    override_error_text(&mut linker)?;
    override_paths(&mut linker)?;
    waits::add_to_linker(&mut linker)?;
    files::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// Guests that ask for the text of an error get only that. wasmtime-wasi would add a backtrace of the host, if the server runs
/// with `RUST_BACKTRACE`.
fn override_error_text(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let to_debug_string = |mut store: StoreContextMut<'_, ComponentState>, (error,): (Resource<IoError>,)| {
        let text = format!("{:#}", store.data_mut().ctx().table.get(&error)?);
        Ok((text,))
    };
    linker.instance("wasi:io/error@0.2.12")?.func_wrap("[method]error.to-debug-string", to_debug_string)
}

/// Lets each function that wagi does not provide end its guest. The engine could do the same, but it takes another version of an
/// interface for one that is not provided.
pub(in crate::runtime::component) fn trap_unknown(
    linker: &mut Linker<ComponentState>,
    component: &Component,
    engine: &Engine,
) -> wasmtime::Result<()> {
    for (name, import) in component.component_type().imports(engine).filter(|(name, _)| !is_known(name)) {
        match &import.ty {
            ComponentItem::ComponentInstance(instance) => {
                let mut linked = linker.instance(name)?;
                for (function, export) in instance.exports(engine) {
                    trap(&mut linked, function, &export.ty, format!("{name}#{function}"))?;
                }
            }
            item => trap(&mut linker.root(), name, item, name.to_owned())?,
        }
    }
    Ok(())
}

fn trap(
    linker: &mut LinkerInstance<'_, ComponentState>,
    name: &str,
    item: &ComponentItem,
    shown: String,
) -> wasmtime::Result<()> {
    match item {
        ComponentItem::ComponentFunc(function) if function.async_() => {
            linker.func_new_concurrent(name, move |_, _, _, _| {
                let error = wasmtime::format_err!("unknown import: `{shown}` has not been defined");
                Box::pin(std::future::ready(Err::<(), wasmtime::Error>(error)))
            })
        }
        ComponentItem::ComponentFunc(_) => {
            linker.func_new(name, move |_, _, _, _| wasmtime::bail!("unknown import: `{shown}` has not been defined"))
        }
        ComponentItem::Resource(_) => linker.resource(name, ResourceType::host::<()>(), |_, _| Ok(())),
        _ => Ok(()),
    }
}

/// Returns the imports that wagi does not provide.
pub(in crate::runtime::component) fn unknown<'a>(imports: impl Iterator<Item = &'a str>) -> Vec<String> {
    imports.filter(|import| !is_known(import)).map(str::to_owned).collect()
}

/// Returns those of these imports and exports that are of a release candidate of WASI.
pub(in crate::runtime::component) fn release_candidates<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let is_candidate = |name: &&str| {
        name.starts_with("wasi:") && name.split_once('@').is_some_and(|(_, version)| version.contains('-'))
    };
    names.filter(is_candidate).map(str::to_owned).collect()
}

fn is_known(import: &str) -> bool {
    match import.split_once('@') {
        Some((name, version)) if version.starts_with("0.2.") => WASI_2.contains(&name),
        Some((name, version)) if version.starts_with("0.3.") => WASI_3.contains(&name),
        _ => false,
    }
}

/// What is provided that is nearest to the first of these imports that has a neighbour: under another version, or under a
/// similar name in the same package.
pub(in crate::runtime::component) fn nearest(imports: &[String]) -> Option<String> {
    imports.iter().find_map(|import| {
        let name = import.split_once('@').map_or(import.as_str(), |(name, _)| name);
        let known =
            |list: &[&'static str], version| list.iter().map(move |known| (*known, version)).collect::<Vec<_>>();
        let all = [known(&WASI_2, "0.2"), known(&WASI_3, "0.3")].concat();
        let versions = |name: &str| {
            let versions: Vec<_> =
                all.iter().filter(|(known, _)| *known == name).map(|(_, version)| *version).collect();
            format!("`{name}` of WASI {}", versions.join(" and "))
        };
        let distance = |known: &str| {
            let (package, interface) = known.split_once('/')?;
            let (other, wanted) = name.split_once('/')?;
            let distance = strsim::osa_distance(interface, wanted);
            (package == other && distance <= wanted.len().max(interface.len()) / 2).then_some(distance)
        };
        let near = all.iter().filter_map(|(known, _)| Some((distance(known)?, *known))).min()?;
        Some(versions(near.1))
    })
}

#[cfg(test)]
mod tests {
    use crate::runtime::component::imports::*;
    use crate::runtime::engine;
    use crate::runtime::engine::gc_support::GcSupport;

    #[test]
    fn the_list_of_imports_is_what_is_linked() {
        let config = engine::EngineConfig::for_one(1 << 16, 10);
        let engine = engine::for_components(&config, GcSupport::Off, None).expect("an engine");
        let mut linker = linker(&engine).expect("a linker");
        // A name that is taken cannot be taken a second time.
        let mut is_taken = |name: &str| linker.root().func_wrap(name, |_, (): ()| Ok(())).is_err();
        for (names, version) in [(&WASI_2[..], "0.2.12"), (&WASI_3, "0.3.0")] {
            for name in names.iter().map(|name| format!("{name}@{version}")) {
                assert!(is_taken(&name) && is_known(&name), "{name}");
            }
        }
        assert!(!is_taken("wasi:nn/tensor@0.2.0"));
    }

    #[test]
    fn the_nearest_import_is_of_another_version_or_nearly_of_that_name() {
        for (import, expected) in [
            ("wasi:cli/environment@0.4.0", Some("`wasi:cli/environment` of WASI 0.2 and 0.3")),
            ("wasi:http/incoming-handler@0.2.0", Some("`wasi:http/outgoing-handler` of WASI 0.2")),
            ("wasi:clocks/wall_clock@0.2.0", Some("`wasi:clocks/wall-clock` of WASI 0.2")),
            ("wasi:nn/tensor@0.2.0", None),
            ("environment", None),
        ] {
            assert_eq!(nearest(&["a:b/c".to_owned(), import.to_owned()]).as_deref(), expected, "{import}");
        }
    }

    #[test]
    fn release_candidates_are_told_by_their_version() {
        let names = ["wasi:cli/run@0.3.0", "wasi:http/handler@0.3.0-rc-2026-01-06", "a:b/c@1.0.0-rc1", "wasi:cli/run"];
        assert_eq!(release_candidates(names.into_iter()), ["wasi:http/handler@0.3.0-rc-2026-01-06"]);
    }

    #[test]
    fn other_imports_are_unknown() {
        let names =
            ["wasi:cli/run@0.2.0", "wasi:nn/tensor@0.2.0", "wasi:cli/environment", "wasi:cli/environment@0.4.0"];
        assert_eq!(unknown(names.into_iter().chain(["wasi:io/poll@0.2.9", "wasi:http/client@0.3.0"])), names);
    }
}
