//! What becomes of a guest that has trapped?

use wasmtime::{Store, WasmCoreDump};

use crate::runtime::instance::debug::backtrace::{FramePlaces, offsets};
use crate::runtime::instance::ending::{Ending, TrapReport};
use crate::runtime::instance::stdio::Stdio;

/// Which code a guest was running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum RunningCode {
    /// That of its file.
    Program,
    /// That of a snapshot, of which its file says no lines.
    Snapshot,
}

/// How a guest ended with an error. If it has trapped: with the lines of its source, and its core dump, as far as they are wanted.
pub(in crate::runtime) async fn ending<T: Send + 'static>(
    error: wasmtime::Error,
    store: &mut Store<T>,
    stdio: &Stdio,
    code: RunningCode,
) -> Ending {
    if !Ending::is_trap(&error) {
        return error.into();
    }
    let (request, debugging) = stdio.stderr().debugging();
    let Some(debugging) = debugging else { return error.into() };
    stdio.begin_failing();
    let places = match &debugging.program {
        Some(program) if code == RunningCode::Program => FramePlaces(program.places(offsets(&error)).await),
        _ => FramePlaces::default(),
    };
    let mut report = TrapReport::new(&error, &places);
    if let (Some(dumps), Some(dump)) = (&debugging.coredumps, error.downcast_ref::<WasmCoreDump>()) {
        match dumps.write(request, (dump, store), &stdio.cpu_timer).await {
            Ok(path) => {
                let path = path.display().to_string();
                report.reason.push_str(&format!("; core dump: {path}"));
                report.coredump = Some(path);
            }
            Err(error) => report.reason.push_str(&format!("; no core dump: {error}")),
        }
    }
    Ending::Trapped(report)
}
