//! On which threads does a guest compute?
//!
//! A guest starts in place, on the thread that serves its client. One that is still computing when its first slice is
//! over moves here: to a second runtime whose threads run at the lowest priority, where guests take turns slice by slice.
//! So a hello keeps its speed beside any number of guests that loop. A guest that merely waits does not move.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{io, thread};

use pin_project_lite::pin_project;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use wasmtime::Engine;

use crate::runtime::engine::ticker::Ticker;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::stdio::Pipes;

/// The lowest priority there is; asking for it needs no privilege.
const LOWEST_PRIORITY: i32 = 19;

/// What keeps guests going: the ticker that ends slices, and the runtime for those that compute for long.
pub(in crate::runtime) struct Executors {
    slow: Option<Runtime>,
    ticker: Ticker,
}

impl Executors {
    /// Starts the threads of the slow lane, one per core, and the ticker.
    pub fn start(engine: &Engine) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("wagi-slow-lane")
            .on_thread_start(lower_priority)
            // Each poll of a guest takes a whole slice, so timers and sockets are looked at after every few.
            .event_interval(4)
            .enable_all()
            .build()?;
        Ok(Self { slow: Some(runtime), ticker: Ticker::start(engine)? })
    }

    /// From now on there are guests of this engine, too.
    pub fn serve(&self, engine: &Engine) {
        self.ticker.add(engine);
    }

    /// Goes on with a guest on the slow lane. Dropping the handle does not stop it: abort does, at its next slice.
    pub fn take_over<F>(&self, guest: F, pipes: Arc<Pipes>) -> Option<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        pipes.cpu_timer.move_to_background();
        Some(self.slow.as_ref()?.spawn(Metered { guest, pipes }))
    }

    /// Looks after a guest on the slow lane whose answer is complete, and stops it when it takes longer than `patience`.
    pub fn see_off(&self, mut guest: JoinHandle<Ending>, pipes: Arc<Pipes>, patience: Duration) {
        let Some(slow) = &self.slow else { return guest.abort() };
        slow.spawn(async move {
            let reason = match tokio::time::timeout(patience, &mut guest).await {
                Ok(Ok(Ending::Succeeded)) => return,
                Ok(Ok(ending)) => format!("{ending:?}"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => {
                    guest.abort();
                    "it took too long and was stopped".to_owned()
                }
            };
            pipes.stderr().write(format!("[the guest went on behind its answer: {reason}]\n").as_bytes());
        });
    }
}

impl Drop for Executors {
    fn drop(&mut self) {
        // A runtime may be dropped from within another one only this way.
        if let Some(runtime) = self.slow.take() {
            runtime.shutdown_background();
        }
    }
}

fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST_PRIORITY) {
        tracing::warn!(%error, "cannot lower the priority of the threads for long computations");
    }
}

pin_project! {
    /// A guest whose polls are charged to its cpu_timer.
    struct Metered<F> {
        #[pin]
        guest: F,
        pipes: Arc<Pipes>,
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.pipes.cpu_timer.enter();
        let polled = this.guest.poll(cx);
        this.pipes.cpu_timer.leave();
        polled
    }
}
