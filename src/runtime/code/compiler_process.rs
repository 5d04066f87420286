//! How is a module compiled in a process that can be ended?
//!
//! The compiler takes time and memory as the module makes it, and a compilation cannot be stopped from within the process. So
//! modules of third parties, and snapshots, are compiled by the executable `wagi` in a process of its own: it gets the module on standard
//! input, and prints the code on standard output, which is a file, or on standard error why there is none.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::Pid;

use crate::format;
use crate::runtime::code::compiler_target::CompilerTarget;
use crate::runtime::code::compiler_turns::CompilerTurns;
use crate::runtime::code::precompiled::{CompiledCode, CompilerOutput};
use crate::runtime::engine::threads::background_compilers;
use crate::runtime::error::Error;
use crate::wasm_bytes::NotWasm;

/// The subcommand of `wagi` that compiles.
pub const COMPILER_COMMAND: &str = "__compile";

/// Stands between the causes of an error on standard error.
const SEPARATOR: char = '\0';

/// The largest part of standard error that is read.
const MAX_STDERR: u64 = 64 << 10;

/// What the standard library prints before a process ends that gets no more memory.
const OUT_OF_MEMORY: [&str; 3] = ["memory allocation of", "Cannot allocate memory", "out of memory"];

/// The executable that compiles modules of third parties and snapshots, and what one of them may take.
#[derive(Clone)]
pub struct CompilerProcess {
    program: PathBuf,
    time: Duration,
    /// In bytes; `u64::MAX` for no limit.
    memory: u64,
    target: CompilerTarget,
    /// Each compilation uses all cores, and has them for itself, so that its time does not depend on other modules.
    running: Arc<Mutex<()>>,
    /// When those have a core that compile in the background; `None` for the others.
    turns: Option<Arc<CompilerTurns>>,
}

impl CompilerProcess {
    /// A compiler for modules that take no more than this time, and this many bytes of memory.
    pub fn new(program: PathBuf, time: Duration, memory: u64) -> Self {
        let (target, running) = (CompilerTarget::Guests, Arc::default());
        Self { program, time, memory, target, running, turns: None }
    }

    /// The same executable for snapshots: without limits, and on half of the cores.
    pub(in crate::runtime) fn for_snapshots(&self, turns: Arc<CompilerTurns>) -> Self {
        let (program, running) = (self.program.clone(), Arc::default());
        Self {
            program,
            time: Duration::MAX,
            memory: u64::MAX,
            target: CompilerTarget::Guests,
            running,
            turns: Some(turns),
        }
    }

    /// The same for another engine.
    pub(in crate::runtime) fn with_target(&self, target: CompilerTarget) -> Self {
        Self { target, ..self.clone() }
    }

    /// Compiles a module or component, binary or text.
    pub(in crate::runtime) fn compile(&self, module: &[u8]) -> Result<CompiledCode, Error> {
        if let Some(other) = NotWasm::by_first_bytes(module) {
            return Err(other.into());
        }
        let _turn = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let output = CompilerOutput::new().map_err(Error::Compiler)?;
        let mut child = output.stdout().and_then(|stdout| self.spawn(stdout)).map_err(Error::Compiler)?;
        let errors = self.exchange(&mut child, module);
        self.turns.iter().for_each(|turns| turns.leave());
        if errors.is_none() {
            // It may have ended by itself just now.
            let _ = child.kill();
        }
        let status = child.wait().map_err(Error::Compiler)?;
        let Some(errors) = errors else { return Err(Error::CompileTime(self.time)) };
        match status.success() {
            true => output.written().map_err(Error::Compiler),
            false => Err(self.error(status, &errors)),
        }
    }

    fn spawn(&self, stdout: Stdio) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        let words = [COMPILER_COMMAND.to_owned(), self.memory.to_string(), self.target.to_string()];
        command.args(words).env_clear().current_dir("/");
        if self.turns.is_some() {
            // How many threads wasmtime compiles on.
            command.env("RAYON_NUM_THREADS", background_compilers().to_string());
            // What is sent to the group of a server, such as Ctrl-C, is for the server.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()).spawn()
    }

    /// Writes the module, and reads standard error until the process ends; `None` if it takes too long.
    fn exchange(&self, child: &mut Child, module: &[u8]) -> Option<String> {
        let (stdin, stderr) = (child.stdin.take()?, child.stderr.take()?);
        let (sender, receiver) = channel();
        let (written, is_read) = channel();
        let module = module.to_vec();
        // The threads end when the process does.
        thread::spawn(move || {
            write(stdin, &module);
            drop::<Sender<()>>(written);
        });
        if let Some(turns) = &self.turns {
            // By then it ends with this process, also while it is stopped.
            let _ = is_read.recv();
            turns.enter(Pid::from_child(child));
        }
        thread::spawn(move || {
            let _ = sender.send(read(stderr));
        });
        receiver.recv_timeout(self.time).ok()
    }

    fn error(&self, status: ExitStatus, errors: &str) -> Error {
        let is_out_of_memory = self.memory != u64::MAX && OUT_OF_MEMORY.iter().any(|text| errors.contains(text));
        match status.code() {
            Some(1) if !is_out_of_memory => printed_error(errors),
            // Aborted, or a thread of the compiler has panicked, or the module could not be read.
            None | Some(1 | 2 | 101 | 134) if is_out_of_memory => Error::CompileMemory(self.memory),
            _ => Error::Compiler(io::Error::other(format!("{status}: {}", errors.lines().next().unwrap_or_default()))),
        }
    }
}

fn write(mut stdin: ChildStdin, module: &[u8]) {
    // A process that has ended says why on standard error.
    let _ = stdin.write_all(module);
}

/// The first part of what is printed. The rest is read, too: it may be more than a pipe holds.
fn read(mut stderr: ChildStderr) -> String {
    let mut errors = Vec::new();
    let _ = stderr.by_ref().take(MAX_STDERR).read_to_end(&mut errors);
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&errors).into_owned()
}

/// The error that a process has printed. Most have kinds of their own, which go by their words.
fn printed_error(printed: &str) -> Error {
    let (message, rest) = printed.split_once(SEPARATOR).unwrap_or((printed, ""));
    let is = |error: &Error| error.to_string() == message;
    let none = || wasmtime::Error::msg("");
    match rest {
        "" => NotWasm::text(message).into(),
        _ if is(&Error::LegacyExceptions(none())) => Error::LegacyExceptions(causes(rest)),
        _ if is(&Error::Compile(none())) => Error::of_compilation(causes(rest)),
        _ => match Error::of_compilation(causes(rest)) {
            proposal @ Error::Proposal { .. } => proposal,
            _ => Error::of_compilation(causes(printed)),
        },
    }
}

/// The error with these causes, the last one first.
fn causes(errors: &str) -> wasmtime::Error {
    let mut causes = errors.rsplit(SEPARATOR).map(str::to_owned);
    let last = wasmtime::Error::msg(causes.next().unwrap_or_default());
    causes.fold(last, wasmtime::Error::context)
}

/// An error as the process prints it, with its causes.
pub fn printed_causes(error: &dyn std::error::Error) -> String {
    format::causes(error).collect::<Vec<_>>().join(&SEPARATOR.to_string())
}

#[cfg(test)]
mod tests {
    use crate::runtime::code::compiler_process::*;

    #[test]
    fn the_error_of_the_process_is_that_of_a_compilation_here() {
        let threads = "(module (memory 1 2 shared))";
        let legacy = "(module (func (try (do))))";
        for text in [threads, legacy, "(module (func (result i32)))", "(module"] {
            let error = CompilerTarget::Guests.compile(text.as_bytes()).expect_err(text);
            let printed = printed_error(&printed_causes(&error));
            assert_eq!((printed.to_string(), printed.help()), (error.to_string(), error.help()), "{text}");
        }
    }
}
