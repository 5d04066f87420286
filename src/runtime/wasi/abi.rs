//! How do the functions of preview 1 take parameters and return results?

use wasmtime::Result;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{Errno, Fd};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::{GuestMemory, GuestPtr, GuestType};

/// The name guests import these functions under.
pub(in crate::runtime) const MODULE: &str = "wasi_snapshot_preview1";

/// The name of these functions in the preview before, for those that have not changed since.
pub(in crate::runtime::wasi) const PREVIEW_0: &str = "wasi_unstable";

/// The result of a call: an error number as its `i32` result, or a trap.
pub(in crate::runtime) type ErrnoResult = Result<i32>;

/// The error number 0.
pub(in crate::runtime::wasi) const SUCCESS: ErrnoResult = Ok(0);

/// Returns an error number.
pub(in crate::runtime::wasi) fn error(errno: Errno) -> ErrnoResult {
    Ok(i32::from(errno as u16))
}

/// A pointer into the guest's memory.
pub(in crate::runtime::wasi) fn at<T>(address: i32) -> GuestPtr<T> {
    GuestPtr::new(address.cast_unsigned())
}

/// Writes a value to the guest's memory.
pub(in crate::runtime::wasi) fn write<T: GuestType>(
    memory: &mut GuestMemory<'_>,
    address: i32,
    value: T,
) -> ErrnoResult {
    memory.write(at(address), value)?;
    SUCCESS
}

/// Makes the descriptors of the volumes, which wasmtime-wasi does with the first call of any kind.
pub(in crate::runtime) fn make_descriptors(wasi: &mut WasiP1Ctx, memory: &mut GuestMemory<'_>) {
    let _ = wasi.fd_tell(memory, Fd::from(0));
}
