//! `wagi __compile`: how a server compiles modules of third parties, and snapshots. Not for users.
//!
//! The module is on standard input, and its code goes to standard output. The process limits its own memory; the server
//! limits its time.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::thread;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wagi::startup::ahead_of_time;
use wagi::startup::ahead_of_time::CompilerTarget;

/// What the threads of the compiler, one for each core, take besides.
const BYTES_PER_CORE: u64 = 4 << 20;

/// The options of `wagi __compile`.
pub struct CompilerCommand {
    /// The limit on the memory of the process, in bytes; the largest number for none.
    pub memory: u64,
    /// The engine that the code is for.
    pub target: CompilerTarget,
}

impl CompilerCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        Ok(match self.compiled() {
            Ok(Ok(code)) => print(&code),
            Ok(Err(causes)) => {
                // What cannot be printed is not told.
                let _ = io::stderr().write_all(causes.as_bytes());
                ExitCode::FAILURE
            }
            Err(error) => not_compiled(&format!("{error:#}")),
        })
    }

    /// The code, or why the module is refused. An error is no mistake in the module.
    fn compiled(&self) -> anyhow::Result<Result<Vec<u8>, String>> {
        self.limit()?;
        let mut module = Vec::new();
        io::stdin().read_to_end(&mut module).context("cannot read the module")?;
        Ok(self.target.compile(&module).map_err(|error| ahead_of_time::printed_causes(&error)))
    }

    fn limit(&self) -> anyhow::Result<()> {
        // Otherwise the process would go on after a server that was killed.
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        let none = Some(0);
        setrlimit(Resource::Core, Rlimit { current: none, maximum: none }).context("cannot limit core dumps")?;
        if self.memory == u64::MAX {
            return Ok(());
        }
        let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
        let wanted = self.memory.saturating_add(cores.saturating_mul(BYTES_PER_CORE));
        // The operator may have set a limit that is lower.
        let memory = Some(getrlimit(Resource::Data).maximum.map_or(wanted, |maximum| wanted.min(maximum)));
        setrlimit(Resource::Data, Rlimit { current: memory, maximum: memory }).context("cannot limit the memory")
    }
}

fn print(code: &[u8]) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(code).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => not_compiled(&format!("cannot write the code: {error}")),
    }
}

/// The end for a reason that is not in the module. The exit code says so.
fn not_compiled(reason: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{reason}");
    ExitCode::from(2)
}
