//! How is a component run like a module?
//!
//! Through `wasi:cli/run`: the whole contract of CGI holds, with arguments, environment and standard streams.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use wasmtime::component::Accessor;
use wasmtime::{Result, Store};
use wasmtime_wasi::{p2, p3};

use crate::runtime::component::state;
use crate::runtime::component::state::ComponentState;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::stdio::Stdio;

/// Runs a command of WASI 0.2 to its end.
pub(in crate::runtime::component) async fn run_p2(
    mut store: Store<ComponentState>,
    command: &p2::bindings::CommandPre<ComponentState>,
) -> Ending {
    let stdio = store.data().stdio.clone();
    match command.instantiate_async(&mut store).await {
        Ok(command) => {
            let ran = until_error(&stdio, command.wasi_cli_run().call_run(&mut store)).await;
            ending(ran, &mut store).await
        }
        Err(error) => Ending::of_instantiation(error),
    }
}

/// Runs a command of WASI 0.3 to its end, which is when all its tasks have ended.
pub(in crate::runtime::component) async fn run_p3(
    mut store: Store<ComponentState>,
    command: &p3::bindings::CommandPre<ComponentState>,
) -> Ending {
    let stdio = store.data().stdio.clone();
    let command = match command.instantiate_async(&mut store).await {
        Ok(command) => command,
        Err(error) => return Ending::of_instantiation(error),
    };
    let run = async |accessor: &Accessor<ComponentState>| {
        let ran = command.wasi_cli_run().call_run(accessor).await?;
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        Ok(ran)
    };
    let ran = until_error(&stdio, async { store.run_concurrent(run).await? }).await;
    ending(ran, &mut store).await
}

async fn ending(ran: Result<std::result::Result<(), ()>>, store: &mut Store<ComponentState>) -> Ending {
    match ran {
        Ok(Ok(())) => Ending::Succeeded,
        // An error of `wasi:cli/run` has no code; this is the usual one of programs.
        Ok(Err(())) => Ending::Exited(1),
        Err(error) => state::ending(error, store).await,
    }
}

/// Runs a guest until it ends, or until an error of its streams has to end it.
async fn until_error<T>(stdio: &Stdio, running: impl Future<Output = Result<T>>) -> Result<T> {
    let mut running = pin!(running);
    poll_fn(|cx| {
        let polled = running.as_mut().poll(cx);
        stdio.take_error().map_or(polled, |fault| Poll::Ready(Err(fault)))
    })
    .await
}
