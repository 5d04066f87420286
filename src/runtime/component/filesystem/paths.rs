//! What do paths that end in a slash mean in `wasi:filesystem` 0.2?
//!
//! What they mean for modules, see `wasi::paths`: a directory. wasmtime-wasi has it so from version 50 on.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorStat, DescriptorType, ErrorCode, Host, HostDescriptor, PathFlags,
};

use crate::runtime::component::state::ComponentState;

const INTERFACE: &str = "wasi:filesystem/types@0.2.12";

/// Replaces the functions whose result differs.
pub(in crate::runtime::component) fn override_paths(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
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
