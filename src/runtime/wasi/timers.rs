//! How does a guest sleep?
//!
//! Through `poll_oneoff`. A call that waits for timers only, as sleeping does, is served here without a thread. One that polls
//! files is served by `file_polls`. wasmtime-wasi serves all others.

use std::time::Duration;

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p1::types::{Errno, Event, EventFdReadwrite, Eventrwflags, Eventtype, Subscription, SubscriptionU};

use crate::runtime::wasi::abi::{ErrnoResult, MODULE, at, error, write};
use crate::runtime::wasi::state::{ModuleState, split, time_left};
use crate::runtime::wasi::{file_polls, files};

/// The longest list of subscriptions: as many as a guest may have descriptors, as on other systems (EINVAL in `poll`).
const SUBSCRIPTIONS_PER_CALL: u32 = 64;

/// What wasmtime-wasi keeps for a subscription while it waits: the stream or the time, and what is waited for.
const RESOURCES_PER_SUBSCRIPTION: usize = 2;

/// Makes `poll_oneoff` available to guests.
pub(in crate::runtime) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "poll_oneoff",
        |mut caller: Caller<'_, ModuleState>, (subscriptions, events, count, stored): (i32, i32, i32, i32)| {
            Box::new(async move {
                if count.cast_unsigned() > SUBSCRIPTIONS_PER_CALL {
                    return error(Errno::Inval);
                }
                if let Some(timers) = timers(&mut caller, subscriptions, count)? {
                    return sleep(&mut caller, &timers, events, stored).await;
                }
                if let Some(polled) = file_polls::poll(&mut caller, (subscriptions, events, count, stored)).await? {
                    return Ok(polled);
                }
                caller.data_mut().set_poll_room(SUBSCRIPTIONS_PER_CALL as usize * RESOURCES_PER_SUBSCRIPTION);
                let polled = files::poll_oneoff(&mut caller, (subscriptions, events, count, stored)).await;
                if let Some(polled) = file_polls::poll(&mut caller, (subscriptions, events, count, stored)).await? {
                    return Ok(polled);
                }
                caller.data_mut().set_poll_room(0);
                polled
            })
        },
    )?;
    Ok(())
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
