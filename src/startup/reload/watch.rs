//! When has a file changed that was read?
//!
//! The system tells that something has changed in a directory; whether it was one of the files, their stamps say. A reload is
//! asked for when nothing has changed any more for a while: programs write files in steps, and several files one after the
//! other.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::gateway::ReloadHandle;

use crate::startup::reload::directories;
use crate::startup::reload::files::Stamps;

/// How long nothing must have changed.
const QUIET: Duration = Duration::from_millis(100);

/// How often files are looked at while they change. With many files it is less often.
const INTERVAL: Duration = Duration::from_millis(20);
const MAX_SHARE: u32 = 10;
const MAX_LOOK: Duration = Duration::from_millis(20);

/// How often they are looked at if the system does not tell.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Asks for a reload each time that files are not as they were `read`, until there is nothing left to reload. What was read
/// counts, and not what was seen since: a file that was missing may have been read as soon as it came, and be missing again.
pub(super) async fn run(mut read: watch::Receiver<Stamps>, reload: ReloadHandle) {
    let mut known = read.borrow_and_update().clone();
    let mut has_warned = false;
    loop {
        let began = Instant::now();
        let changes = Changes::of(&known).unwrap_or_else(|error| {
            if !std::mem::replace(&mut has_warned, true) {
                tracing::warn!(%error, "changes of files are looked for from time to time: the system does not tell of them");
            }
            Changes::Polled
        });
        let now = look(known.clone()).await;
        if now != known {
            quiet(now).await;
            // A reload may have read them meanwhile.
            known = known.with_read(&read.borrow_and_update());
            let now = look(known.clone()).await;
            if now != known {
                known = now;
                reload.trigger();
            }
            continue;
        }
        let took = began.elapsed().min(MAX_LOOK);
        tokio::select! {
            changed = read.changed() => {
                if changed.is_err() {
                    return;
                }
                known = known.with_read(&read.borrow_and_update());
            }
            // What is written beside the files, such as a log, must not keep a thread busy.
            () = changes.next() => tokio::time::sleep(INTERVAL.max(took * MAX_SHARE)).await,
        }
    }
}

/// The stamps of the same files as they are now.
async fn look(stamps: Stamps) -> Stamps {
    let looking = tokio::task::spawn_blocking(move || Stamps::of(stamps.files()));
    // It only fails when the runtime ends.
    looking.await.unwrap_or_default()
}

/// Waits until files do not change any more, which have these stamps now.
async fn quiet(mut stamps: Stamps) {
    let mut changed = Instant::now();
    while changed.elapsed() < QUIET {
        tokio::time::sleep(INTERVAL).await;
        let began = Instant::now();
        let now = look(stamps.clone()).await;
        if now != stamps {
            (stamps, changed) = (now, began);
        }
        tokio::time::sleep(began.elapsed().min(MAX_LOOK)).await;
    }
}

/// Tells of changes in directories.
enum Changes {
    #[cfg(target_os = "linux")]
    Told(inotify::Directories),
    /// Nothing tells.
    Polled,
}

impl Changes {
    fn of(stamps: &Stamps) -> io::Result<Self> {
        Self::told(&directories::of(stamps.files()))
    }

    #[cfg(target_os = "linux")]
    fn told(directories: &BTreeSet<PathBuf>) -> io::Result<Self> {
        inotify::Directories::watch(directories).map(Self::Told)
    }

    #[cfg(not(target_os = "linux"))]
    fn told(_: &BTreeSet<PathBuf>) -> io::Result<Self> {
        Ok(Self::Polled)
    }

    /// Waits until something may have changed.
    async fn next(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Told(directories) => directories.changed().await,
            Self::Polled => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}

/// What Linux has for this.
#[cfg(target_os = "linux")]
mod inotify {
    use std::collections::BTreeSet;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;

    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    use tokio::io::unix::AsyncFd;

    /// Directories that are watched.
    pub struct Directories(AsyncFd<OwnedFd>);

    impl Directories {
        #[expect(deprecated, reason = "an `OwnedFd` is open as long as it lives, and what replaces it is unsafe")]
        pub fn watch(directories: &BTreeSet<PathBuf>) -> io::Result<Self> {
            let descriptor = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let changes = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB | WatchFlags::CREATE;
            let names = WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
            for directory in directories {
                match add_watch(&descriptor, directory, changes | names) {
                    // It shows in the one above that this one has come back.
                    Ok(_) | Err(rustix::io::Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(Self(AsyncFd::new(descriptor)?))
        }

        /// Waits for a change. What it was is not read: the descriptor is not used again.
        pub async fn changed(&self) {
            // An error can only mean that the runtime ends.
            let _ = self.0.readable().await;
        }
    }
}
