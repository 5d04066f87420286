//! Which files that a guest polls are ready?
//!
//! All of them: a regular file is always ready for reading and for writing (POSIX `poll`). So a call of `poll_oneoff` with a
//! file in it returns at once, with all that is ready now. wasmtime-wasi would read from the file to find out, on a thread
//! whose time no guest pays, and which a file system that hangs would keep.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wasmtime::{Caller, Result};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{
    Event, EventFdReadwrite, Eventrwflags, Eventtype, Fd, Filetype, Subscription, SubscriptionU,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::GuestMemory;

use crate::runtime::wasi::abi::{at, write};
use crate::runtime::wasi::files::{polls_files, with_files};
use crate::runtime::wasi::state::{ModuleState, split, time_left};

/// What a subscription is for, and whether that is ready now.
enum Polled {
    Ready(Eventtype, Eventrwflags),
    Waits,
    /// A descriptor that is neither a file nor a standard stream, or a mistake: wasmtime-wasi answers.
    Unknown,
}

/// Polls what a guest subscribes to, if there are files among it and everything else is known here.
pub(in crate::runtime::wasi) async fn poll(
    caller: &mut Caller<'_, ModuleState>,
    (subscriptions, events, count, stored): (i32, i32, i32, i32),
) -> Result<Option<i32>> {
    if !polls_files(caller, subscriptions, count)? {
        return Ok(None);
    }
    with_files(caller).await?;
    let (mut memory, state) = split(caller)?;
    let mut ready = Vec::new();
    for subscription in at::<Subscription>(subscriptions).as_array(count.cast_unsigned()).iter() {
        let Ok(subscription) = memory.read(subscription?) else { return Ok(None) };
        let userdata = subscription.userdata;
        match poll_one(subscription.u, &mut memory, state).await {
            Polled::Ready(type_, flags) => ready.push(event(userdata, type_, flags)),
            Polled::Waits => {}
            Polled::Unknown => return Ok(None),
        }
    }
    let (mut next, mut written) = (at::<Event>(events), 0u32);
    for event in ready {
        memory.write(next, event)?;
        next = next.add(1)?;
        written += 1;
    }
    write(&mut memory, stored, written).map(Some)
}

async fn poll_one(subscription: SubscriptionU, memory: &mut GuestMemory<'_>, state: &mut ModuleState) -> Polled {
    let (fd, type_) = match subscription {
        SubscriptionU::Clock(clock) => {
            return match time_left(&clock, state) {
                Some(Duration::ZERO) => Polled::Ready(Eventtype::Clock, Eventrwflags::empty()),
                Some(_) => Polled::Waits,
                None => Polled::Unknown,
            };
        }
        SubscriptionU::FdRead(stream) => (stream.file_descriptor, Eventtype::FdRead),
        SubscriptionU::FdWrite(stream) => (stream.file_descriptor, Eventtype::FdWrite),
    };
    match (i32::from(fd), type_) {
        (number, _) if !state.is_standard_stream(number) => poll_file(fd, type_, memory, state.wasi()).await,
        (0, Eventtype::FdRead) | (1 | 2, Eventtype::FdWrite) if is_ready(i32::from(fd), state) => {
            Polled::Ready(type_, Eventrwflags::empty())
        }
        (0, Eventtype::FdRead) | (1 | 2, Eventtype::FdWrite) => Polled::Waits,
        _ => Polled::Unknown,
    }
}

/// Whether a standard stream is ready. The guest does not wait for it.
fn is_ready(fd: i32, state: &ModuleState) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    match fd {
        0 => {
            let mut stdin = state.stdio.stdin();
            let polled = stdin.poll_ready(&mut cx);
            stdin.wait.set_reading(false);
            polled.is_ready()
        }
        1 => matches!(state.stdio.stdout().poll_writable(&mut cx), Poll::Ready(())),
        _ => true,
    }
}

async fn poll_file(fd: Fd, type_: Eventtype, memory: &mut GuestMemory<'_>, wasi: &mut WasiP1Ctx) -> Polled {
    let Ok(stat) = wasi.fd_filestat_get(memory, fd).await else { return Polled::Unknown };
    if stat.filetype != Filetype::RegularFile {
        return Polled::Unknown;
    }
    let is_at_end = type_ == Eventtype::FdRead && wasi.fd_tell(memory, fd).is_ok_and(|at| at >= stat.size);
    Polled::Ready(type_, if is_at_end { Eventrwflags::FD_READWRITE_HANGUP } else { Eventrwflags::empty() })
}

fn event(userdata: u64, type_: Eventtype, flags: Eventrwflags) -> Event {
    // As wasmtime-wasi, which does not count either.
    let nbytes = u64::from(type_ != Eventtype::Clock);
    Event {
        userdata,
        error: wasmtime_wasi::p1::types::Errno::Success,
        type_,
        fd_readwrite: EventFdReadwrite { nbytes, flags },
    }
}
