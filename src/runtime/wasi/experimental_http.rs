//! What do the imports of `wasi_experimental_http` return?
//!
//! The five functions are there for every guest, whether or not it may call servers. This file reads and writes the guest's
//! memory and keeps the order of checks that guests know. Policy, HTTP and the meaning of the codes are in `outbound`.

use std::ops::Range;

use bytes::Bytes;
use wasmtime::{Caller, Extern, ExternType, Linker, Module, Result};

use crate::outbound;
use crate::outbound::{CallRequest, Error};

use crate::runtime::instance::calls::CountedCall;
use crate::runtime::wasi::state::ModuleState;

const MODULE: &str = "wasi_experimental_http";

/// What a function of this interface gets from its caller.
type GuestCaller<'a> = Caller<'a, ModuleState>;

/// Makes the five functions available to guests.
pub(in crate::runtime) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "req",
        |mut caller: GuestCaller<'_>,
         (url, url_len, method, method_len, headers, headers_len, body, body_len, status, handle): RequestParameters| {
            let parts = RequestParts {
                url: range(url, url_len),
                method: range(method, method_len),
                headers: range(headers, headers_len),
                body: range(body, body_len),
            };
            Box::new(async move {
                let call = CountedCall::begin(&caller.data().stdio);
                let done = request(&mut caller, parts, status, handle).await;
                call.end(&done);
                code(done.inspect_err(|error| caller.data().stdio.note_denied_call(error)))
            })
        },
    )?;
    linker.func_wrap(MODULE, "close", |mut caller: GuestCaller<'_>, handle: i32| {
        if let Some(open_responses) = caller.data_mut().open_responses() {
            open_responses.close(handle.cast_unsigned());
        }
        0
    })?;
    linker.func_wrap(
        MODULE,
        "header_get",
        |mut caller: GuestCaller<'_>, handle: i32, name: i32, name_len: i32, value: i32, room: i32, written: i32| {
            let value = OutputBuffer { range: range(value, room), written };
            code(header(&mut caller, handle, range(name, name_len), &value))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "headers_get_all",
        |mut caller: GuestCaller<'_>, handle: i32, buffer: i32, room: i32, written: i32| {
            code(all_headers(&mut caller, handle, &OutputBuffer { range: range(buffer, room), written }))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "body_read",
        |mut caller: GuestCaller<'_>, handle: i32, buffer: i32, room: i32, read: i32| {
            code(read_body(&mut caller, handle, range(buffer, room), read))
        },
    )?;
    Ok(())
}

/// Whether a module imports the interface as it was before version 0.4, when `req` had 15 parameters.
pub(in crate::runtime) fn is_unsupported(module: &Module) -> bool {
    let mut requests = module.imports().filter(|import| import.module() == MODULE && import.name() == "req");
    requests.any(|import| matches!(import.ty(), ExternType::Func(request) if request.params().len() == 15))
}

/// The parameters of `req`.
type RequestParameters = (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32);

/// The ranges of the guest's memory with the parts of a request.
struct RequestParts {
    url: Range<usize>,
    method: Range<usize>,
    headers: Range<usize>,
    body: Range<usize>,
}

/// A buffer of the guest, and the address of the number of bytes written to it.
struct OutputBuffer {
    range: Range<usize>,
    written: i32,
}

impl OutputBuffer {
    fn write(&self, memory: &mut [u8], bytes: &[u8]) -> std::result::Result<(), Error> {
        output(memory, self.range.clone(), bytes)?;
        output_number(memory, self.written, bytes.len())
    }
}

/// Both numbers have 32 bits, so their sum always fits.
fn range(start: i32, length: i32) -> Range<usize> {
    let start = start.cast_unsigned() as usize;
    start..start + length.cast_unsigned() as usize
}

fn code(done: std::result::Result<(), Error>) -> i32 {
    match done {
        Ok(()) => 0,
        Err(error) => {
            tracing::debug!(%error, code = error.code(), "a call to a server failed");
            error.code().cast_signed()
        }
    }
}

fn split<'a>(caller: &'a mut GuestCaller<'_>) -> std::result::Result<(&'a mut [u8], &'a mut ModuleState), Error> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory.data_and_store_mut(caller)),
        _ => Err(Error::MemoryNotFound),
    }
}

/// Returns bytes of the guest. A range outside of its memory counts as a buffer too small.
fn input(memory: &[u8], range: Range<usize>) -> std::result::Result<&[u8], Error> {
    memory.get(range).ok_or(Error::BufferTooSmall)
}

/// Writes bytes to the start of a range of the guest.
fn output(memory: &mut [u8], at: Range<usize>, bytes: &[u8]) -> std::result::Result<(), Error> {
    let room = memory.get_mut(at).ok_or(Error::MemoryAccess)?;
    room.get_mut(..bytes.len()).ok_or(Error::BufferTooSmall)?.copy_from_slice(bytes);
    Ok(())
}

fn output_number(memory: &mut [u8], at: i32, number: usize) -> std::result::Result<(), Error> {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    output(memory, range(at, 4), &number.to_le_bytes())
}

async fn request(
    caller: &mut GuestCaller<'_>,
    parts: RequestParts,
    status: i32,
    handle: i32,
) -> std::result::Result<(), Error> {
    let (memory, state) = split(caller)?;
    let Some(outbound) = state.outbound.clone() else {
        return Err(Error::of_no_grant(input(memory, parts.url)?));
    };
    state.open_responses().ok_or(Error::InvalidHandle)?.admit()?;
    let request = CallRequest {
        destination: outbound.client.destination(input(memory, parts.url)?)?,
        method: outbound::method(input(memory, parts.method)?)?,
        body: Bytes::copy_from_slice(input(memory, parts.body)?),
        headers: outbound::headers(input(memory, parts.headers)?)?,
    };
    let tracer = state.stdio.tracer.clone();
    let response = outbound.client.send(request, tracer, std::time::Duration::MAX).await?;
    let (memory, state) = split(caller)?;
    output(memory, range(status, 2), &response.status().to_le_bytes())?;
    let open_responses = state.open_responses().ok_or(Error::InvalidHandle)?;
    let opened = open_responses.open(response)?;
    // A response whose handle the guest does not get would be held until the guest ends.
    output_number(memory, handle, opened as usize).inspect_err(|_| open_responses.close(opened))
}

fn header(
    caller: &mut GuestCaller<'_>,
    handle: i32,
    name: Range<usize>,
    buffer: &OutputBuffer,
) -> std::result::Result<(), Error> {
    let (memory, state) = split(caller)?;
    let open_responses = state.open_responses().ok_or(Error::InvalidHandle)?;
    open_responses.check(handle.cast_unsigned())?;
    let value = open_responses.header(handle.cast_unsigned(), input(memory, name)?)?;
    buffer.write(memory, value)
}

fn all_headers(caller: &mut GuestCaller<'_>, handle: i32, buffer: &OutputBuffer) -> std::result::Result<(), Error> {
    let (memory, state) = split(caller)?;
    let text = state.open_responses().ok_or(Error::InvalidHandle)?.headers_text(handle.cast_unsigned())?;
    buffer.write(memory, text.as_bytes())
}

fn read_body(
    caller: &mut GuestCaller<'_>,
    handle: i32,
    buffer: Range<usize>,
    read: i32,
) -> std::result::Result<(), Error> {
    let (memory, state) = split(caller)?;
    let open_responses = state.open_responses().ok_or(Error::InvalidHandle)?;
    open_responses.check(handle.cast_unsigned())?;
    let into = memory.get_mut(buffer).ok_or(Error::MemoryAccess)?;
    let count = open_responses.read(handle.cast_unsigned(), into)?;
    output_number(memory, read, count)
}
