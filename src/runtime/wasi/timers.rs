//! How does a guest sleep?
//!
//! Through `poll_oneoff`. A call that waits for timers only, as sleeping does, is served here without a thread. One that polls
//! files is served by `file_polls`. wasmtime-wasi serves all others.

use std::time::Duration;

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p0::types as preview0;
use wasmtime_wasi::p1::types::{Errno, Event, EventFdReadwrite, Eventrwflags, Eventtype, Subscription, SubscriptionU};
use wiggle::{GuestMemory, GuestType as _};

use crate::runtime::wasi::abi::{ErrnoResult, MODULE, PREVIEW_0, at, error, write};
use crate::runtime::wasi::state::{ModuleState, SUBSCRIPTIONS_PER_CALL, split, time_left};
use crate::runtime::wasi::{file_polls, files};

/// Makes `poll_oneoff` available to guests.
pub(in crate::runtime) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "poll_oneoff",
        |mut caller: Caller<'_, ModuleState>, parameters: PollParameters| {
            Box::new(async move { poll(&mut caller, parameters).await })
        },
    )?;
    linker.func_wrap_async(
        PREVIEW_0,
        "poll_oneoff",
        |mut caller: Caller<'_, ModuleState>, parameters: PollParameters| {
            Box::new(async move { poll_in_preview_0(&mut caller, parameters).await })
        },
    )?;
    Ok(())
}

/// Where the subscriptions are, where the events go, how many subscriptions there are, and where the number of events goes.
type PollParameters = (i32, i32, i32, i32);

async fn poll(caller: &mut Caller<'_, ModuleState>, parameters: PollParameters) -> ErrnoResult {
    let (subscriptions, events, count, stored) = parameters;
    if count.cast_unsigned() > SUBSCRIPTIONS_PER_CALL {
        return error(Errno::Inval);
    }
    if let Some(timers) = timers(caller, subscriptions, count)? {
        return sleep(caller, &timers, events, stored).await;
    }
    if let Some(polled) = file_polls::poll(caller, parameters).await? {
        return Ok(polled);
    }
    let polled = files::poll_oneoff(caller, parameters).await;
    match file_polls::poll(caller, parameters).await? {
        Some(of_files) => Ok(of_files),
        None => polled,
    }
}

/// Polls with the subscriptions of preview 0, which are longer. Those of preview 1 stand in their place while the guest waits.
/// wasmtime-wasi 48 leaves gaps between them, so that only the first is read.
async fn poll_in_preview_0(caller: &mut Caller<'_, ModuleState>, parameters: PollParameters) -> ErrnoResult {
    let (subscriptions, _, count, _) = parameters;
    if count.cast_unsigned() > SUBSCRIPTIONS_PER_CALL {
        return error(Errno::Inval);
    }
    let size = count.cast_unsigned() * preview0::Subscription::guest_size();
    let place = at::<u8>(subscriptions).as_array(size);
    let (mut memory, _) = split(caller)?;
    let original = memory.to_vec(place)?;
    let Some(translated) = translated(&memory, subscriptions, count) else { return error(Errno::Inval) };
    let mut next = at::<Subscription>(subscriptions);
    for subscription in translated {
        memory.write(next, subscription)?;
        next = next.add(1)?;
    }
    let polled = poll(caller, parameters).await;
    split(caller)?.0.copy_from_slice(&original, place)?;
    polled
}

/// Subscriptions of preview 0 as those of preview 1. `None` if one of them is malformed.
fn translated(memory: &GuestMemory<'_>, subscriptions: i32, count: i32) -> Option<Vec<Subscription>> {
    let subscriptions = at::<preview0::Subscription>(subscriptions).as_array(count.cast_unsigned());
    let translate = |subscription: preview0::Subscription| Subscription {
        userdata: subscription.userdata,
        u: match subscription.u {
            preview0::SubscriptionU::Clock(clock) => SubscriptionU::Clock(clock.into()),
            preview0::SubscriptionU::FdRead(stream) => SubscriptionU::FdRead(stream.into()),
            preview0::SubscriptionU::FdWrite(stream) => SubscriptionU::FdWrite(stream.into()),
        },
    };
    subscriptions.iter().map(|place| memory.read(place.ok()?).ok().map(translate)).collect()
}

/// A timer that a guest waits for: its id, and the time until it fires.
struct Timer {
    userdata: u64,
    remaining: Duration,
}

/// The timers that a guest subscribes to. `None` if it subscribes to anything else or makes a mistake: wasmtime-wasi serves
/// those calls.
fn timers(caller: &mut Caller<'_, ModuleState>, subscriptions: i32, count: i32) -> Result<Option<Vec<Timer>>> {
    let (memory, state) = split(caller)?;
    let count = count.cast_unsigned();
    if count == 0 {
        return Ok(None);
    }
    let mut timers = Vec::new();
    for subscription in at::<Subscription>(subscriptions).as_array(count).iter() {
        let subscription: Subscription = match memory.read(subscription?) {
            Ok(subscription) => subscription,
            Err(_) => return Ok(None),
        };
        let SubscriptionU::Clock(clock) = subscription.u else { return Ok(None) };
        let Some(remaining) = time_left(&clock, state) else { return Ok(None) };
        timers.push(Timer { userdata: subscription.userdata, remaining });
    }
    Ok(Some(timers))
}

async fn sleep(caller: &mut Caller<'_, ModuleState>, timers: &[Timer], events: i32, stored: i32) -> ErrnoResult {
    let shortest = timers.iter().map(|timer| timer.remaining).min().unwrap_or_default();
    if !shortest.is_zero() {
        tokio::time::sleep(shortest).await;
    }
    let (mut memory, _) = split(caller)?;
    let mut event = at::<Event>(events);
    let mut count = 0u32;
    for timer in timers.iter().filter(|timer| timer.remaining <= shortest) {
        let fd_readwrite = EventFdReadwrite { nbytes: 0, flags: Eventrwflags::empty() };
        let fired = Event { userdata: timer.userdata, error: Errno::Success, type_: Eventtype::Clock, fd_readwrite };
        memory.write(event, fired)?;
        event = event.add(1)?;
        count += 1;
    }
    write(&mut memory, stored, count)
}
