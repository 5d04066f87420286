//! What do paths that end in a slash mean in `wasi:filesystem`?
//!
//! What they mean for modules, see `wasi::paths`: a directory. wasmtime-wasi has it so from version 50 on.

use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorStat, DescriptorType, ErrorCode, Host, HostDescriptor, PathFlags,
};
use wasmtime_wasi::p3::bindings::filesystem::types as p3;
use wasmtime_wasi::p3::bindings::filesystem::types::HostDescriptorWithStore;

use crate::runtime::component::filesystem::files::{TYPES_P2, TYPES_P3};
use crate::runtime::component::state::ComponentState;

/// Replaces the functions whose result differs.
pub(in crate::runtime::component) fn override_paths(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    override_p2(linker)?;
    override_p3(linker)
}

fn override_p2(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(TYPES_P2)?;
    interface.func_wrap_async(
        "[method]descriptor.stat-at",
        |mut store: StoreContextMut<'_, ComponentState>,
         (fd, flags, path): (Resource<Descriptor>, PathFlags, String)| {
            Box::new(async move { Ok((stat_at(store.data_mut(), fd, flags, path).await?,)) })
        },
    )?;
    interface.func_wrap_async(
        "[method]descriptor.remove-directory-at",
        |mut store: StoreContextMut<'_, ComponentState>, (fd, path): (Resource<Descriptor>, String)| {
            Box::new(async move { Ok((remove_directory_at(store.data_mut(), fd, path).await?,)) })
        },
    )?;
    Ok(())
}

fn override_p3(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(TYPES_P3)?;
    interface.func_wrap_concurrent(
        "[method]descriptor.stat-at",
        |accessor: &Accessor<ComponentState>, (fd, flags, path): (Resource<Descriptor>, p3::PathFlags, String)| {
            let files = accessor.with_getter::<WasiFilesystem>(ComponentState::filesystem);
            Box::pin(async move {
                let names_directory = without_slashes(&path).is_some();
                let flags = if names_directory { flags | p3::PathFlags::SYMLINK_FOLLOW } else { flags };
                let found = WasiFilesystem::stat_at(&files, fd, flags, path).await;
                let found = match found {
                    Ok(found) if names_directory && !matches!(found.type_, p3::DescriptorType::Directory) => {
                        Err(p3::ErrorCode::NotDirectory)
                    }
                    Ok(found) => Ok(found),
                    Err(error) => Err(files.with(|mut store| p3::Host::convert_error_code(&mut store.get(), error))?),
                };
                Ok((found,))
            })
        },
    )?;
    interface.func_wrap_concurrent(
        "[method]descriptor.remove-directory-at",
        |accessor: &Accessor<ComponentState>, (fd, path): (Resource<Descriptor>, String)| {
            let files = accessor.with_getter::<WasiFilesystem>(ComponentState::filesystem);
            Box::pin(async move {
                let path = without_slashes(&path).map_or(path.clone(), str::to_owned);
                let removed = WasiFilesystem::remove_directory_at(&files, fd, path).await;
                let removed = match removed {
                    Ok(()) => Ok(()),
                    Err(error) => Err(files.with(|mut store| p3::Host::convert_error_code(&mut store.get(), error))?),
                };
                Ok((removed,))
            })
        },
    )
}

/// What the guest gets. An error that is no error of files ends it.
type Outcome<T> = wasmtime::Result<Result<T, ErrorCode>>;

async fn stat_at(
    state: &mut ComponentState,
    fd: Resource<Descriptor>,
    flags: PathFlags,
    path: String,
) -> Outcome<DescriptorStat> {
    let names_directory = without_slashes(&path).is_some();
    let flags = if names_directory { flags | PathFlags::SYMLINK_FOLLOW } else { flags };
    let found = HostDescriptor::stat_at(&mut state.filesystem(), fd, flags, path).await;
    Ok(match outcome(state, found)? {
        Ok(found) if names_directory && found.type_ != DescriptorType::Directory => Err(ErrorCode::NotDirectory),
        found => found,
    })
}

async fn remove_directory_at(state: &mut ComponentState, fd: Resource<Descriptor>, path: String) -> Outcome<()> {
    let path = without_slashes(&path).map_or(path.clone(), str::to_owned);
    let removed = HostDescriptor::remove_directory_at(&mut state.filesystem(), fd, path).await;
    outcome(state, removed)
}

/// The path without the slashes at its end, if it has any. `None` for other paths, and for `/`.
fn without_slashes(path: &str) -> Option<&str> {
    let rest = path.trim_end_matches('/');
    (!rest.is_empty() && rest.len() < path.len()).then_some(rest)
}

fn outcome<T>(state: &mut ComponentState, result: FsResult<T>) -> Outcome<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => state.filesystem().convert_error_code(error).map(Err),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wasmtime_wasi::p2::bindings::filesystem::preopens;

    use crate::runtime::component::filesystem::paths::*;
    use crate::runtime::instance::grants::{Grants, Volumes};

    /// POSIX
    #[tokio::test]
    async fn a_slash_at_the_end_of_a_path_stands_for_a_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "").expect("a file");
        for name in ["full", "full/inside", "empty"] {
            std::fs::create_dir(path(name)).expect("a directory");
        }
        std::os::unix::fs::symlink("full", path("link")).expect("a link");
        let host_path = directory.path().to_owned();
        let volumes = Volumes::open([("/", &host_path, false)]).map_err(|(_, error)| error).expect("a volume");
        let grants = Grants { volumes, ..Grants::default() };
        let mut state = ComponentState::of_command(
            &grants,
            &Arc::new(grants.stdio(None, 0)),
            std::iter::empty(),
            std::iter::empty(),
        );
        let root = preopens::Host::get_directories(&mut state.filesystem()).expect("preopens").remove(0).0;
        let fd = || Resource::new_borrow(root.rep());
        for (path, expected) in [
            ("link", Ok(DescriptorType::SymbolicLink)),
            ("link/", Ok(DescriptorType::Directory)),
            ("full//", Ok(DescriptorType::Directory)),
            ("file", Ok(DescriptorType::RegularFile)),
            ("file/", Err(ErrorCode::NotDirectory)),
            ("nothing/", Err(ErrorCode::NoEntry)),
        ] {
            let found = stat_at(&mut state, fd(), PathFlags::empty(), path.to_owned()).await.expect("no trap");
            assert_eq!(format!("{:?}", found.map(|found| found.type_)), format!("{expected:?}"), "{path}");
        }
        for (path, expected) in [
            ("full/", Err(ErrorCode::NotEmpty)),
            ("file/", Err(ErrorCode::NotDirectory)),
            ("link/", Err(ErrorCode::NotDirectory)),
            ("empty//", Ok(())),
            ("empty/", Err(ErrorCode::NoEntry)),
        ] {
            let removed = remove_directory_at(&mut state, fd(), path.to_owned()).await.expect("no trap");
            assert_eq!(format!("{removed:?}"), format!("{expected:?}"), "{path}");
        }
    }

    #[test]
    fn slashes_at_the_end_of_a_path_are_taken_off_and_the_root_stays() {
        for (path, expected) in
            [("a/", Some("a")), ("a/b//", Some("a/b")), ("a", None), ("/", None), ("//", None), ("", None)]
        {
            assert_eq!(without_slashes(path), expected, "{path}");
        }
    }
}
