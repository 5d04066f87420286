//! Optimizing a module with `wasm-opt`, the optimizer of Binaryen, if it is on the PATH.
//!
//! Its time and the size of its output are limited.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use wagi::startup::ahead_of_time::is_component;

use crate::cli::terminal::print_message;

const PROGRAM: &str = "wasm-opt";

/// The longest time that it may take.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The largest output: this factor times the input, plus these bytes. Inlining makes a module larger, but not by that
/// much.
const MAX_GROWTH: usize = 4;
const EXTRA_BYTES: usize = 1 << 20;

/// The bytes of its standard error that are kept.
const MAX_STDERR: u64 = 4096;

/// The features of the engine. Without these options `wasm-opt` uses the features that the module declares, and many
/// modules declare none.
const FEATURES: [&str; 9] = [
    "--enable-bulk-memory",
    "--enable-extended-const",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
    "--enable-tail-call",
];

/// Returns a module, binary or text, after `wasm-opt -O3`. Without `wasm-opt` warns and returns the module unchanged.
pub(in crate::cli) fn optimize(module: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let binary = wat::parse_bytes(&module).context("not a WebAssembly module")?.into_owned();
    ensure!(
        !is_component(&binary),
        "this is a component, and `{PROGRAM}` takes modules only: optimize the module it is made of, or compile without `--optimize`"
    );
    let mut child = match start() {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            print_message(format_args!(
                "warning: there is no `{PROGRAM}` on the PATH: the module is compiled as it is"
            ));
            return Ok(module);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot run `{PROGRAM}`")),
    };
    let max_size = binary.len().saturating_mul(MAX_GROWTH).saturating_add(EXTRA_BYTES);
    let output = collect_output(&mut child, binary, max_size);
    // It may have timed out, or it may print without end.
    let _ = child.kill();
    let status = child.wait().with_context(|| format!("cannot run `{PROGRAM}`"))?;
    let (optimized, stderr) = match output {
        Ok(output) => output.with_context(|| format!("cannot read what `{PROGRAM}` prints"))?,
        Err(RecvTimeoutError::Timeout) => bail!("`{PROGRAM}` has not finished within {} s", TIMEOUT.as_secs()),
        Err(RecvTimeoutError::Disconnected) => bail!("cannot read what `{PROGRAM}` prints"),
    };
    ensure!(optimized.len() <= max_size, "`{PROGRAM}` prints more than {max_size} bytes");
    ensure!(status.success(), "`{PROGRAM}` failed with {status}: {}", stderr.trim());
    print_message(format_args!("`{PROGRAM} -O3`: {} bytes", optimized.len()));
    Ok(optimized)
}

fn start() -> io::Result<Child> {
    let mut command = Command::new(PROGRAM);
    command.args(["-O3", "-", "-o", "-"]).args(FEATURES);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Standard output and standard error.
type OptimizerOutput = io::Result<(Vec<u8>, String)>;

/// Writes `module` to the child and returns its output, with at most one byte more than `max_size`. The threads are not
/// joined after a timeout, because processes that the child started may keep its output open.
fn collect_output(child: &mut Child, module: Vec<u8>, max_size: usize) -> Result<OptimizerOutput, RecvTimeoutError> {
    let (stdin, stdout, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // A failure is ignored: if the child failed and closed its input, its standard error says more.
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&module)));
    let stderr = thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut errors) = errors {
            let _ = errors.by_ref().take(MAX_STDERR).read_to_end(&mut text);
            let _ = io::copy(&mut errors, &mut io::sink());
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let limit = u64::try_from(max_size).unwrap_or(u64::MAX).saturating_add(1);
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(limit).read_to_end(&mut bytes));
        // After a timeout the receiver is gone.
        let _ = sender.send(read.map(|_| (bytes, stderr.join().unwrap_or_default())));
    });
    receiver.recv_timeout(TIMEOUT)
}
