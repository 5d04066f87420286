//! What do the imports of `wasi_experimental_http` answer while nothing may be called?
//!
//! Guests that import them must link, whether or not they may call anybody; every request is answered with the code for a
//! destination that is not allowed, and there are no handles.

use wasmtime::{Caller, Extern, Linker, Result};

use super::state::State;

const MODULE: &str = "wasi_experimental_http";

const INVALID_HANDLE: i32 = 1;
const MEMORY_NOT_FOUND: i32 = 2;
const DESTINATION_NOT_ALLOWED: i32 = 7;

/// Makes the five functions available to guests.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "req",
        |caller: Caller<'_, State>,
         _url: i32,
         _url_len: i32,
         _method: i32,
         _method_len: i32,
         _headers: i32,
         _headers_len: i32,
         _body: i32,
         _body_len: i32,
         _status: i32,
         _handle: i32| answer(caller, DESTINATION_NOT_ALLOWED),
    )?;
    linker.func_wrap(MODULE, "close", |_: Caller<'_, State>, _handle: i32| 0)?;
    linker.func_wrap(
        MODULE,
        "header_get",
        |caller: Caller<'_, State>, _: i32, _: i32, _: i32, _: i32, _: i32, _: i32| answer(caller, INVALID_HANDLE),
    )?;
    linker.func_wrap(MODULE, "headers_get_all", |caller: Caller<'_, State>, _: i32, _: i32, _: i32, _: i32| {
        answer(caller, INVALID_HANDLE)
    })?;
    linker.func_wrap(MODULE, "body_read", |caller: Caller<'_, State>, _: i32, _: i32, _: i32, _: i32| {
        answer(caller, INVALID_HANDLE)
    })?;
    Ok(())
}

fn answer(mut caller: Caller<'_, State>, code: i32) -> i32 {
    if matches!(caller.get_export("memory"), Some(Extern::Memory(_))) { code } else { MEMORY_NOT_FOUND }
}
