//! How are the calls of a guest to its host seen, one by one?
//!
//! A guest that is watched call by call gets its imports behind functions that tell the watcher. Other guests are linked once, without
//! them.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::{Caller, Extern, Func, FuncType, Instance, InstancePre, Linker, Result, Store, Val};
use wiggle::{GuestMemory, GuestPtr};

use crate::runtime::run_watcher::{HostCall, PathArgument, RunWatcher};
use crate::runtime::wasi::abi::MODULE;
use crate::runtime::wasi::state::{ModuleState, split};

/// The longest path that is shown.
const MAX_PATH: u32 = 4096;

/// The calls on paths: where the descriptor is among the parameters, and where the path is. Of two paths, the one that is named first; of a
/// link, its own.
const PATH_CALLS: [(&str, usize, usize); 10] = [
    ("path_create_directory", 0, 1),
    ("path_filestat_get", 0, 2),
    ("path_filestat_set_times", 0, 2),
    ("path_link", 0, 2),
    ("path_open", 0, 2),
    ("path_readlink", 0, 1),
    ("path_remove_directory", 0, 1),
    ("path_rename", 0, 1),
    ("path_symlink", 2, 3),
    ("path_unlink_file", 0, 1),
];

/// The calls of preview 1 that wasmtime-wasi links itself. It looks for the memory of the guest that calls, and here the host calls.
const NOT_SEEN: [&str; 11] = [
    "clock_res_get",
    "fd_allocate",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_prestat_dir_name",
    "fd_tell",
    "proc_raise",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// Makes an instance whose calls `watcher` sees.
pub(in crate::runtime) async fn instantiate(
    store: &mut Store<ModuleState>,
    linked: &InstancePre<ModuleState>,
    linker: &Linker<ModuleState>,
    watcher: &Arc<dyn RunWatcher>,
) -> Result<Instance> {
    let module = linked.module();
    let mut imports = Vec::new();
    for import in module.imports() {
        let found = linker.get(&mut *store, import.module(), import.name())?;
        imports.push(match found {
            Extern::Func(function) if import.module() == MODULE && !NOT_SEEN.contains(&import.name()) => {
                let ty = function.ty(&*store);
                Extern::Func(traced(store, function, ty, (import.name(), watcher)))
            }
            other => other,
        });
    }
    Instance::new_async(store, module, &imports).await
}

/// A function that calls `inner`, and tells of it.
fn traced(
    store: &mut Store<ModuleState>,
    inner: Func,
    ty: FuncType,
    (name, watcher): (&str, &Arc<dyn RunWatcher>),
) -> Func {
    let (name, watcher): (Arc<str>, _) = (name.into(), watcher.clone());
    Func::new_async(store, ty, move |caller, parameters, results| {
        let call = TracedCall { inner, name: name.clone(), watcher: watcher.clone() };
        Box::new(call.run(caller, parameters, results))
    })
}

/// A call on its way.
struct TracedCall {
    inner: Func,
    name: Arc<str>,
    watcher: Arc<dyn RunWatcher>,
}

impl TracedCall {
    async fn run(self, mut caller: Caller<'_, ModuleState>, parameters: &[Val], results: &mut [Val]) -> Result<()> {
        let numbers: Vec<i64> = parameters.iter().map(number).collect();
        let path = path_argument(&mut caller, &self.name, &numbers);
        let begun = Instant::now();
        let called = self.inner.call_async(&mut caller, parameters, results).await;
        let mut call = HostCall {
            name: self.name.to_string(),
            parameters: numbers,
            path,
            result: results.first().map(number),
            trap: called.as_ref().err().map(ToString::to_string),
            took: begun.elapsed(),
        };
        if called.is_err() {
            call.result = None;
        }
        if let (Some(errno), Some(result @ Val::I32(_))) = (self.watcher.calls(&call), results.first_mut()) {
            *result = Val::I32(errno);
        }
        called
    }
}

fn number(value: &Val) -> i64 {
    match value {
        Val::I32(number) => i64::from(*number),
        Val::I64(number) => *number,
        // No import of WASI has others.
        _ => 0,
    }
}

/// The path that a call is about.
fn path_argument(caller: &mut Caller<'_, ModuleState>, name: &str, parameters: &[i64]) -> Option<PathArgument> {
    let (_, descriptor, path) = PATH_CALLS.iter().find(|(known, ..)| *known == name)?;
    let at =
        |index: usize| parameters.get(index).and_then(|number| i32::try_from(*number).ok()).map(i32::cast_unsigned);
    let (address, length) = (at(*path)?, at(path + 1)?);
    let (memory, _) = split(caller).ok()?;
    let path = text(&memory, address, length.min(MAX_PATH))?;
    Some(PathArgument { descriptor: *parameters.get(*descriptor)?, path })
}

fn text(memory: &GuestMemory<'_>, address: u32, length: u32) -> Option<String> {
    let bytes = memory.as_slice(GuestPtr::<u8>::new(address).as_array(length)).ok()??;
    Some(String::from_utf8_lossy(bytes).into_owned())
}
