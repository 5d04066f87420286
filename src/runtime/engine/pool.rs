//! Which thread polls a guest that uses files, or computes for long?
//!
//! There are three sets of threads. Threads are started when there is work, and end when there is none. Guests take turns: a guest
//! that yields goes to the end of the queue. While a thread sleeps in an operation on a file, another thread works instead: see
//! `watch`.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::runtime::engine::task::{Lane, Queue, Task};
use crate::runtime::engine::threads::{lower_priority, set_idle_policy, thread_time};
use crate::runtime::engine::watch::{VolumeAccess, Worker};

/// The threads for guests that use files and have not computed for long. They do little but wait for disks, and each reads
/// and writes for a few milliseconds at most.
const FILE_THREADS: usize = 8;

/// How long a thread waits for work.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The threads of all lanes.
pub(in crate::runtime::engine) struct Pools {
    lanes: [LanePool; Lane::ALL.len()],
    /// The runtime whose timers and connections guests in the background use.
    drivers: Handle,
    /// The threads that sleep in operations on files.
    asleep: AtomicUsize,
    /// For the threads that are started.
    this: std::sync::Weak<Self>,
}

/// The threads of one lane.
struct LanePool {
    limit: usize,
    state: Mutex<PoolState>,
    ready: Condvar,
    workers: Mutex<Vec<Arc<Worker>>>,
}

#[derive(Default)]
struct PoolState {
    tasks: VecDeque<Arc<Task>>,
    /// Tasks whose volumes have too many threads asleep.
    held: Vec<Arc<Task>>,
    /// The threads, without those that sleep in operations on files.
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Pools {
    /// No threads yet. There will be one per core in the background, and one idle one per core.
    pub fn new(drivers: Handle) -> Arc<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Arc::new_cyclic(|this| Self {
            lanes: Lane::ALL.map(|lane| match lane {
                Lane::Files => LanePool::new(FILE_THREADS),
                Lane::Background | Lane::Idle => LanePool::new(cores),
            }),
            drivers,
            asleep: AtomicUsize::new(0),
            this: this.clone(),
        })
    }

    fn pool(&self, lane: Lane) -> &LanePool {
        let [files, background, idle] = &self.lanes;
        match lane {
            Lane::Files => files,
            Lane::Background => background,
            Lane::Idle => idle,
        }
    }

    /// Looks after the threads: to be called every few milliseconds.
    pub fn watch(&self) {
        for lane in Lane::ALL {
            let pool = self.pool(lane);
            let workers: Vec<_> = pool.workers().iter().cloned().collect();
            let fell_asleep = workers.iter().filter(|worker| worker.watch(&self.asleep)).count();
            let mut state = pool.state();
            state.threads = state.threads.saturating_sub(fell_asleep);
            let (held, free) = std::mem::take(&mut state.held).into_iter().partition(|task| is_held(task));
            state.held = held;
            let free: Vec<_> = free;
            state.tasks.extend(free);
            self.grow(lane, state);
        }
    }

    /// Drops all tasks, and ends the threads when they have polled what they poll.
    pub fn close(&self) {
        for pool in &self.lanes {
            let mut state = pool.state();
            state.closed = true;
            let tasks: Vec<_> = std::mem::take(&mut state.tasks).into_iter().chain(state.held.drain(..)).collect();
            drop(state);
            pool.ready.notify_all();
            tasks.iter().for_each(|task| task.drop_job());
        }
    }

    /// Wakes a thread for what is to be done, or starts one if all are busy and there may be one more.
    fn grow(&self, lane: Lane, mut state: MutexGuard<'_, PoolState>) {
        let pool = self.pool(lane);
        if state.tasks.is_empty() || state.closed {
            return;
        }
        let is_short = state.tasks.len() > state.idle && state.threads < pool.limit;
        state.threads += usize::from(is_short);
        drop(state);
        pool.ready.notify_one();
        if let (true, Some(pools)) = (is_short, self.this.upgrade()) {
            let name = match lane {
                Lane::Files => "wagi-files",
                Lane::Background => "wagi-background",
                Lane::Idle => "wagi-idle",
            };
            if let Err(error) = thread::Builder::new().name(name.into()).spawn(move || pools.work(lane)) {
                tracing::warn!(%error, "cannot start a thread for guests");
                let mut state = pool.state();
                state.threads = state.threads.saturating_sub(1);
            }
        }
    }

    /// Polls tasks until there have been none for a while.
    fn work(&self, lane: Lane) {
        match lane {
            Lane::Files => {}
            Lane::Background => lower_priority(),
            Lane::Idle => set_idle_policy(),
        }
        let pool = self.pool(lane);
        let worker = Arc::new(Worker::current());
        pool.workers().push(worker.clone());
        let mut clock = thread_time();
        while let Some(task) = pool.next() {
            self.run(&task, &worker, &mut clock);
            drop(task);
            if worker.end(&self.asleep) && !pool.rejoin() {
                break;
            }
        }
        pool.workers().retain(|other| !Arc::ptr_eq(other, &worker));
    }

    fn run(&self, task: &Arc<Task>, worker: &Worker, clock: &mut u64) {
        if let Some(guest) = &task.files {
            match guest.admission() {
                _ if task.is_aborted() => {}
                VolumeAccess::Granted => {}
                VolumeAccess::Wait => return self.pool(task.lane()).state().held.push(task.clone()),
                VolumeAccess::Refused => return task.refuse(),
            }
            worker.begin(guest);
        }
        let runtime = match task.lane() {
            Lane::Files => task.caller.as_ref().unwrap_or(&self.drivers),
            Lane::Background | Lane::Idle => &self.drivers,
        };
        let _entered = runtime.enter();
        task.run(clock);
    }
}

/// Whether a task still may not be polled.
fn is_held(task: &Task) -> bool {
    !task.is_aborted() && task.files.as_ref().is_some_and(|guest| guest.admission() == VolumeAccess::Wait)
}

impl Queue for Pools {
    fn push(&self, task: Arc<Task>) {
        let lane = task.lane();
        let mut state = self.pool(lane).state();
        if state.closed {
            drop(state);
            return task.drop_job();
        }
        state.tasks.push_back(task);
        self.grow(lane, state);
    }
}

impl LanePool {
    fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), ready: Condvar::new(), workers: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn workers(&self) -> MutexGuard<'_, Vec<Arc<Worker>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next task for this thread; `None` if the thread is to end.
    fn next(&self) -> Option<Arc<Task>> {
        let mut state = self.state();
        loop {
            if let Some(task) = state.tasks.pop_front() {
                return Some(task);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            let (woken, waited) = self.ready.wait_timeout(state, IDLE_TIME).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.tasks.is_empty() {
                state.threads = state.threads.saturating_sub(1);
                return None;
            }
        }
    }

    /// Lets a thread that was asleep work again, if there may be one more.
    fn rejoin(&self) -> bool {
        let mut state = self.state();
        let is_wanted = state.threads < self.limit;
        state.threads += usize::from(is_wanted);
        is_wanted
    }
}
