//! How does a component use files?
//!
//! wasmtime-wasi does the operations, in place: a component with volumes computes on threads that they may block from the
//! start. Three things are different here. Only regular files and directories can be opened, and only these can get other times. A
//! file or a stream beyond the limit on resources is an error, which the guest can handle: wasmtime-wasi would end it. And the
//! streams of WASI 0.2 read and write in place even in calls that must not wait: wasmtime-wasi would use other threads, whose CPU
//! time counts for no guest.

use std::future::Future;
use std::mem;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types as p2;
use wasmtime_wasi::p2::bindings::filesystem::types::HostDescriptor;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, FsError, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};
use wasmtime_wasi::p3::bindings::filesystem::types as p3;
use wasmtime_wasi::p3::bindings::filesystem::types::HostDescriptorWithStore;
use wasmtime_wasi::{WasiView, async_trait};

use crate::runtime::component::state::{ComponentState, has_room};

/// The interface of WASI 0.2 that opens files. The linker finds it for every earlier version.
pub(super) const TYPES_P2: &str = "wasi:filesystem/types@0.2.12";

/// The same of WASI 0.3.
pub(super) const TYPES_P3: &str = "wasi:filesystem/types@0.3.0";

/// Replaces the functions that open files and their streams.
pub(in crate::runtime::component) fn add_to_linker(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    add_open_p2(linker)?;
    add_open_p3(linker)?;
    add_set_times_p2(linker)?;
    add_set_times_p3(linker)?;
    add_streams(linker)
}

/// Whether a path leads to a regular file, a directory or a link. Whatever else is wrong with it is for wasmtime-wasi to find.
async fn can_be_opened_p2(
    files: &mut WasiFilesystemCtxView<'_>,
    fd: &Resource<Descriptor>,
    lookup: p2::PathFlags,
    path: &str,
) -> bool {
    use p2::DescriptorType::{Directory, RegularFile, SymbolicLink};
    let stat = files.stat_at(Resource::new_borrow(fd.rep()), lookup, path.to_owned()).await;
    matches!(stat.map(|stat| stat.type_), Ok(RegularFile | Directory | SymbolicLink) | Err(_))
}

/// The same in WASI 0.3.
async fn can_be_opened_p3(
    files: &Accessor<ComponentState, WasiFilesystem>,
    fd: &Resource<Descriptor>,
    lookup: p3::PathFlags,
    path: &str,
) -> bool {
    use p3::DescriptorType::{Directory, RegularFile, SymbolicLink};
    let stat = WasiFilesystem::stat_at(files, Resource::new_borrow(fd.rep()), lookup, path.to_owned()).await;
    matches!(stat.map(|stat| stat.type_), Ok(RegularFile | Directory | SymbolicLink) | Err(_))
}

fn add_open_p2(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    type Parameters = (Resource<Descriptor>, p2::PathFlags, String, p2::OpenFlags, p2::DescriptorFlags);
    linker.instance(TYPES_P2)?.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store: StoreContextMut<'_, ComponentState>, (fd, lookup, path, open, flags): Parameters| {
            Box::new(async move {
                let mut files = store.data_mut().filesystem();
                if !has_room(files.table) {
                    return Ok((Err(p2::ErrorCode::InsufficientMemory),));
                }
                let opened = match can_be_opened_p2(&mut files, &fd, lookup, &path).await {
                    true => files.open_at(fd, lookup, path, open, flags).await,
                    false => Err(p2::ErrorCode::Access.into()),
                };
                let opened = match opened {
                    Ok(opened) => Ok(opened),
                    Err(error) => Err(p2::Host::convert_error_code(&mut files, error)?),
                };
                Ok((opened,))
            })
        },
    )
}

fn add_open_p3(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    type Parameters = (Resource<Descriptor>, p3::PathFlags, String, p3::OpenFlags, p3::DescriptorFlags);
    linker.instance(TYPES_P3)?.func_wrap_concurrent(
        "[method]descriptor.open-at",
        |accessor: &Accessor<ComponentState>, (fd, lookup, path, open, flags): Parameters| {
            let files = accessor.with_getter::<WasiFilesystem>(ComponentState::filesystem);
            Box::pin(async move {
                if !files.with(|mut store| has_room(store.get().table)) {
                    return Ok((Err(p3::ErrorCode::InsufficientMemory),));
                }
                let opened = match can_be_opened_p3(&files, &fd, lookup, &path).await {
                    true => WasiFilesystem::open_at(&files, fd, lookup, path, open, flags).await,
                    false => Err(p3::ErrorCode::Access.into()),
                };
                let opened = match opened {
                    Ok(opened) => Ok(opened),
                    Err(error) => Err(files.with(|mut store| p3::Host::convert_error_code(&mut store.get(), error))?),
                };
                Ok((opened,))
            })
        },
    )
}

/// wasmtime-wasi opens a file to set its times. A FIFO would block the thread.
fn add_set_times_p2(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    type Parameters = (Resource<Descriptor>, p2::PathFlags, String, p2::NewTimestamp, p2::NewTimestamp);
    linker.instance(TYPES_P2)?.func_wrap_async(
        "[method]descriptor.set-times-at",
        |mut store: StoreContextMut<'_, ComponentState>, (fd, lookup, path, accessed, modified): Parameters| {
            Box::new(async move {
                let mut files = store.data_mut().filesystem();
                let set = match can_be_opened_p2(&mut files, &fd, lookup, &path).await {
                    true => files.set_times_at(fd, lookup, path, accessed, modified).await,
                    false => Err(p2::ErrorCode::Access.into()),
                };
                let set = match set {
                    Ok(()) => Ok(()),
                    Err(error) => Err(p2::Host::convert_error_code(&mut files, error)?),
                };
                Ok((set,))
            })
        },
    )
}

fn add_set_times_p3(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    type Parameters = (Resource<Descriptor>, p3::PathFlags, String, p3::NewTimestamp, p3::NewTimestamp);
    linker.instance(TYPES_P3)?.func_wrap_concurrent(
        "[method]descriptor.set-times-at",
        |accessor: &Accessor<ComponentState>, (fd, lookup, path, accessed, modified): Parameters| {
            let files = accessor.with_getter::<WasiFilesystem>(ComponentState::filesystem);
            Box::pin(async move {
                let set = match can_be_opened_p3(&files, &fd, lookup, &path).await {
                    true => WasiFilesystem::set_times_at(&files, fd, lookup, path, accessed, modified).await,
                    false => Err(p3::ErrorCode::Access.into()),
                };
                let set = match set {
                    Ok(()) => Ok(()),
                    Err(error) => Err(files.with(|mut store| p3::Host::convert_error_code(&mut store.get(), error))?),
                };
                Ok((set,))
            })
        },
    )
}

type OpenResult<T> = wasmtime::Result<(Result<Resource<T>, p2::ErrorCode>,)>;

fn add_streams(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES_P2)?;
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store: StoreContextMut<'_, ComponentState>,
         (fd, offset): (Resource<Descriptor>, u64)|
         -> OpenResult<DynInputStream> {
            let state = store.data_mut();
            if !has_room(state.ctx().table) {
                return Ok((Err(p2::ErrorCode::InsufficientMemory),));
            }
            match state.filesystem().read_via_stream(fd, offset) {
                Ok(stream) => {
                    let inner = state.ctx().table.get_mut(&stream)?;
                    *inner = Box::new(FileReader(mem::replace(inner, Box::new(Nothing))));
                    Ok((Ok(stream),))
                }
                Err(error) => Ok((Err(p2::Host::convert_error_code(&mut state.filesystem(), error)?),)),
            }
        },
    )?;
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut store: StoreContextMut<'_, ComponentState>, (fd, offset): (Resource<Descriptor>, u64)| {
            writer(store.data_mut(), |files| files.write_via_stream(fd, offset))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: StoreContextMut<'_, ComponentState>, (fd,): (Resource<Descriptor>,)| {
            writer(store.data_mut(), |files| files.append_via_stream(fd))
        },
    )
}

fn writer(
    state: &mut ComponentState,
    open: impl FnOnce(&mut WasiFilesystemCtxView<'_>) -> Result<Resource<DynOutputStream>, FsError>,
) -> OpenResult<DynOutputStream> {
    if !has_room(state.ctx().table) {
        return Ok((Err(p2::ErrorCode::InsufficientMemory),));
    }
    match open(&mut state.filesystem()) {
        Ok(stream) => {
            let inner = state.ctx().table.get_mut(&stream)?;
            *inner = Box::new(FileWriter { inner: mem::replace(inner, Box::new(Nothing)), failure: None });
            Ok((Ok(stream),))
        }
        Err(error) => Ok((Err(p2::Host::convert_error_code(&mut state.filesystem(), error)?),)),
    }
}

/// The result of an operation that is done in place, and so does not wait.
fn at_once<T>(operation: impl Future<Output = StreamResult<T>>) -> StreamResult<T> {
    match pin!(operation).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(StreamError::trap("an operation on a file waits")),
    }
}

/// Reads from a file. It is always ready.
struct FileReader(DynInputStream);

#[async_trait]
impl Pollable for FileReader {
    async fn ready(&mut self) {}
}

#[async_trait]
impl InputStream for FileReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 { Ok(Bytes::new()) } else { at_once(self.0.blocking_read(size)) }
    }
}

/// Writes to a file. It is always ready.
struct FileWriter {
    inner: DynOutputStream,
    /// Why the last write failed, until the guest hears of it.
    failure: Option<StreamError>,
}

#[async_trait]
impl Pollable for FileWriter {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for FileWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.failure = at_once(self.inner.blocking_write_and_flush(bytes)).err();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.failure.take().map_or_else(|| self.inner.check_write(), Err)
    }
}

/// What stands in for a stream while it is wrapped.
struct Nothing;

#[async_trait]
impl Pollable for Nothing {
    async fn ready(&mut self) {}
}

impl InputStream for Nothing {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        Err(StreamError::Closed)
    }
}

impl OutputStream for Nothing {
    fn write(&mut self, _: Bytes) -> StreamResult<()> {
        Err(StreamError::Closed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Err(StreamError::Closed)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Err(StreamError::Closed)
    }
}
