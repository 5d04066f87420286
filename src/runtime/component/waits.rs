//! Which host functions let a guest of WASI 0.3 wait for something other than its client?
//!
//! The functions of the clocks, those of WASI 0.2 that block, and calls to upstreams (see `call_wait`). Each function does
//! what wasmtime-wasi does, and records that the guest waits.

use std::time::Duration;

use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll::{Host, HostPollable};
use wasmtime_wasi::p3::bindings::clocks::monotonic_clock;

use crate::runtime::component::other_wait::OtherWait;
use crate::runtime::component::state::ComponentState;

/// Replaces the functions of wasmtime-wasi that wait.
pub(in crate::runtime::component) fn add_to_linker(linker: &mut Linker<ComponentState>) -> Result<()> {
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.3.0")?;
    clock.func_wrap_concurrent("wait-for", |accessor: &Accessor<ComponentState>, (time,): (u64,)| {
        Box::pin(sleep(accessor, move |_| time))
    })?;
    clock.func_wrap_concurrent("wait-until", |accessor: &Accessor<ComponentState>, (when,): (u64,)| {
        Box::pin(sleep(accessor, move |now| when.saturating_sub(now)))
    })?;
    let mut poll = linker.instance("wasi:io/poll@0.2.12")?;
    poll.func_wrap_async(
        "poll",
        |mut store: StoreContextMut<'_, ComponentState>, (list,): (Vec<Resource<DynPollable>>,)| {
            Box::new(async move {
                let _wait = OtherWait::begin(&store.data().stdio);
                Ok((store.data_mut().ctx().table.poll(list).await?,))
            })
        },
    )?;
    poll.func_wrap_async(
        "[method]pollable.block",
        |mut store: StoreContextMut<'_, ComponentState>, (pollable,): (Resource<DynPollable>,)| {
            Box::new(async move {
                let _wait = OtherWait::begin(&store.data().stdio);
                store.data_mut().ctx().table.block(pollable).await
            })
        },
    )
}

/// Sleeps for the nanoseconds that `remaining` returns for the time on the guest's clock.
async fn sleep(accessor: &Accessor<ComponentState>, remaining: impl FnOnce(u64) -> u64) -> Result<()> {
    let (stdio, now) = accessor.with(|mut access| -> Result<_> {
        let state: &mut ComponentState = access.get();
        let now = monotonic_clock::Host::now(&mut wasmtime_wasi::clocks::WasiClocksView::clocks(state))?;
        Ok((state.stdio.clone(), now))
    })?;
    let remaining = remaining(now);
    if remaining > 0 {
        let _wait = OtherWait::begin(&stdio);
        tokio::time::sleep(Duration::from_nanos(remaining)).await;
    }
    Ok(())
}
