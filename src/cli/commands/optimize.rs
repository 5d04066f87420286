//! What does `wasm-opt` make of a module?
//!
//! The optimiser of Binaryen, if there is one on the PATH. It is given little more than the module: time, and room for what it
//! prints.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use wagi::startup::ahead::is_component;

use crate::cli::commands::say;

const PROGRAM: &str = "wasm-opt";

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// It may make a module larger, inlining functions, but not by so much.
const GROWTH: usize = 4;
const ROOM: usize = 1 << 20;

/// How much is kept of what it has to say.
const LONGEST_COMPLAINT: u64 = 4096;

/// What the engine can run. Without them it believes what the module says of itself, which many modules do not.
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

/// A module, binary or text, after `wasm-opt -O3`; as it is, with a word about it, if there is no `wasm-opt`.
pub(in crate::cli) fn optimized(module: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let binary = wat::parse_bytes(&module).context("not a WebAssembly module")?.into_owned();
    ensure!(
        !is_component(&binary),
        "this is a component, and `{PROGRAM}` takes modules only: optimise the module it is made of, or compile without `--optimize`"
    );
    let mut child = match start() {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            say(format_args!("warning: there is no `{PROGRAM}` on the PATH: the module is compiled as it is"));
            return Ok(module);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot run `{PROGRAM}`")),
    };
    let most = binary.len().saturating_mul(GROWTH).saturating_add(ROOM);
    let printed = printed(&mut child, binary, most);
    // One that is late or prints for ever is not waited for.
    let _ = child.kill();
    let ended = child.wait().with_context(|| format!("cannot run `{PROGRAM}`"))?;
    let (optimized, complaint) = match printed {
        Ok(printed) => printed.with_context(|| format!("cannot read what `{PROGRAM}` prints"))?,
        Err(RecvTimeoutError::Timeout) => bail!("`{PROGRAM}` has not finished within {} s", PATIENCE.as_secs()),
        Err(RecvTimeoutError::Disconnected) => bail!("cannot read what `{PROGRAM}` prints"),
    };
    ensure!(optimized.len() <= most, "`{PROGRAM}` prints more than {most} bytes");
    ensure!(ended.success(), "`{PROGRAM}` failed with {ended}: {}", complaint.trim());
    say(format_args!("`{PROGRAM} -O3`: {} bytes", optimized.len()));
    Ok(optimized)
}

fn start() -> io::Result<Child> {
    let mut command = Command::new(PROGRAM);
    command.args(["-O3", "-", "-o", "-"]).args(FEATURES);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

type Printed = io::Result<(Vec<u8>, String)>;

/// What it prints, at most one byte more than `most`, and what it says about it. Programs of its own may hold its output open,
/// so that the threads which read are left behind rather than waited for.
fn printed(child: &mut Child, module: Vec<u8>, most: usize) -> Result<Printed, RecvTimeoutError> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // One that fails early has closed its input already; what it says is more to the point.
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&module)));
    let complaint = thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = stderr.by_ref().take(LONGEST_COMPLAINT).read_to_end(&mut text);
            let _ = io::copy(&mut stderr, &mut io::sink());
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(most).read_to_end(&mut bytes));
        // Nobody listens any more if it was late.
        let _ = sender.send(read.map(|_| (bytes, complaint.join().unwrap_or_default())));
    });
    receiver.recv_timeout(PATIENCE)
}
