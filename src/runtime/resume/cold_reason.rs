//! Why is a program served cold, and for how long?

use std::time::Duration;

use crate::runtime::resume::files::SeenFiles;

/// Why no snapshot of a program is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColdReason {
    /// A function on the stack has a reference in a local or an operand.
    #[error("a function on the stack at the checkpoint has reference-typed locals or operands")]
    ReferenceLocals,
    /// A global that can change is a reference.
    #[error("it has a mutable global of a reference type")]
    ReferenceGlobals,
    /// It has operators that change tables.
    #[error("it can change its tables")]
    ChangedTables,
    /// It has operators that read or drop passive segments of data.
    #[error("it uses passive segments")]
    PassiveSegments,
    /// A block around a call has parameters.
    #[error("a block with parameters around a call on the stack at the checkpoint")]
    BlockParameters,
    /// A function on the stack branches on references.
    #[error("a function on the stack at the checkpoint branches on references")]
    ReferenceBranches,
    /// A function on the stack has called through a reference.
    #[error("a call through a reference is on the stack at the checkpoint")]
    ReferenceCalls,
    /// The import was called through a table.
    #[error("the checkpoint was called through a table")]
    IndirectCheckpoint,
    /// It has not one memory of its own, with addresses of 32 bits.
    #[error("it has not exactly one 32-bit memory of its own")]
    Memories,
    /// Its memory is shared.
    #[error("its memory is shared between threads")]
    Threads,
    /// The outermost function on the stack is not the entry point.
    #[error("the checkpoint was reached outside of its entry point")]
    EntryPoint,
    /// It has called what leaves something behind that is not captured.
    #[error("it called `{0}` before its checkpoint")]
    Call(String),
    /// It has written to its response.
    #[error("it wrote to standard output before its checkpoint")]
    Output,
    /// It has opened a file that it could write to.
    #[error("it opened a file for writing before its checkpoint")]
    OpenForWriting,
    /// It has descriptors that a request cannot get again.
    #[error("at its checkpoint it has {0}")]
    Descriptors(&'static str),
    /// It has looked for more files than can be watched.
    #[error("it looked for more than 10000 files before its checkpoint")]
    ManyFiles,
    /// It has drawn random numbers, which all requests would share.
    #[error(
        "it drew random numbers before its checkpoint, which all requests would share; `warm_start = {{ shared_random = true }}` \
         allows it"
    )]
    Random,
    /// The place where it keeps its variables is not known.
    #[error("it has moved or changed its variables before its checkpoint")]
    Variables,
    /// It is another one when its variables or the time are others.
    #[error("{0} at its checkpoint depends on its variables or on the time")]
    Differs(String),
    /// Files have changed while it was looked at.
    #[error("files that it reads changed again and again while its snapshot was made")]
    FilesChanged,
    /// A directory that it has open is no longer the one at its path.
    #[error("a directory of its volumes was replaced since it was opened: a reload opens the new one")]
    VolumeReplaced,
    /// It has more memory than snapshots are made of.
    #[error("it has {0} MiB of memory at its checkpoint, and snapshots have 256 MiB at most")]
    MemorySize(usize),
    /// It has answered a request in another way than without a snapshot.
    #[error("it answered request {0} of the proof in another way than cold")]
    OtherAnswer(usize),
    /// No request of the proof begins at the checkpoint.
    #[error("no request of the proof fits its snapshot: its arguments or its variables have no room there")]
    Unfit,
    /// It has ended, or failed, without a checkpoint.
    #[error("it reached no checkpoint: {0}")]
    NoCheckpoint(String),
    /// The route has no request for such a snapshot.
    #[error("there is no request with which it could be initialized")]
    NoRequest,
    /// Its answers cannot be compared, since they change files.
    #[error("its answers cannot be compared on copies of the volumes that it may write to: {0}")]
    WritableVolumes(String),
    /// The file of the module is not the one that was loaded.
    #[error("the file of its module has changed since it was loaded")]
    ModuleChanged,
    /// Its module is a third party's, which is not compiled in this process.
    #[error("its module is a third party's, of which no snapshots are made while there are limits on compiling")]
    ThirdParty,
    /// It has waited for too long.
    #[error("it waits for more than {0:?}, its `time_to_head`, while it is tried")]
    Waits(Duration),
    /// It needs an engine with a garbage collector.
    #[error("it needs a garbage collector or exceptions")]
    Collector,
    /// The host has failed.
    #[error("making the snapshot failed: {0}")]
    Failed(String),
    /// The module and what was read from its stack do not fit.
    #[error("its stack at the checkpoint is not understood: {0}")]
    Stack(&'static str),
    /// The module is malformed, or has what no engine here has.
    #[error("the module is not understood")]
    Module,
}

/// Whether a reason may pass while the program stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColdSpan {
    /// It lies in the program, or in files that it reads.
    Lasting,
    /// It lies in the moment: the snapshot is tried again after a while.
    Passing,
}

/// Why no snapshot was made, and which files the program had seen by then.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct RefusedSnapshot {
    pub reason: ColdReason,
    /// Another program may have come of it if these files were others.
    pub files: SeenFiles,
}

impl From<ColdReason> for RefusedSnapshot {
    fn from(reason: ColdReason) -> Self {
        Self { reason, files: SeenFiles::default() }
    }
}

impl ColdReason {
    /// Whether it may pass while the program stays the same.
    pub fn span(&self) -> ColdSpan {
        match self {
            Self::FilesChanged
            | Self::VolumeReplaced
            | Self::WritableVolumes(_)
            | Self::ModuleChanged
            | Self::Waits(_)
            | Self::Failed(_) => ColdSpan::Passing,
            _ => ColdSpan::Lasting,
        }
    }

    /// Volumes cannot be copied.
    pub(in crate::runtime) fn volumes(error: std::io::Error) -> Self {
        Self::WritableVolumes(error.to_string())
    }

    /// Its name in the log and in `/status`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReferenceLocals => "reference-locals",
            Self::ReferenceGlobals => "reference-globals",
            Self::ChangedTables => "changed-tables",
            Self::PassiveSegments => "passive-segments",
            Self::BlockParameters => "block-parameters",
            Self::ReferenceBranches => "reference-branches",
            Self::ReferenceCalls => "reference-calls",
            Self::IndirectCheckpoint => "indirect-checkpoint",
            Self::Memories => "memories",
            Self::Threads => "threads",
            Self::EntryPoint => "entry-point",
            Self::Call(_) => "call",
            Self::Output => "output",
            Self::OpenForWriting => "open-for-writing",
            Self::Descriptors(_) => "descriptors",
            Self::ManyFiles => "many-files",
            Self::Random => "random",
            Self::Variables => "variables",
            Self::Differs(_) => "differs",
            Self::FilesChanged => "files-changed",
            Self::VolumeReplaced => "volume-replaced",
            Self::MemorySize(_) => "memory-size",
            Self::OtherAnswer(_) => "other-answer",
            Self::Unfit => "unfit",
            Self::NoCheckpoint(_) => "no-checkpoint",
            Self::NoRequest => "no-request",
            Self::WritableVolumes(_) => "writable-volumes",
            Self::ModuleChanged => "module-changed",
            Self::ThirdParty => "third-party",
            Self::Waits(_) => "waits",
            Self::Collector => "collector",
            Self::Failed(_) => "failed",
            Self::Stack(_) => "stack",
            Self::Module => "module",
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::resume::cold_reason::*;

    #[test]
    fn what_lies_in_the_program_lasts_and_what_lies_in_the_moment_passes() {
        let passing = [
            ColdReason::Waits(Duration::from_secs(1)),
            ColdReason::FilesChanged,
            ColdReason::VolumeReplaced,
            ColdReason::Failed(String::new()),
            ColdReason::ModuleChanged,
            ColdReason::WritableVolumes(String::new()),
        ];
        assert!(passing.iter().all(|reason| reason.span() == ColdSpan::Passing));
        let lasting = [
            ColdReason::Random,
            ColdReason::Output,
            ColdReason::OtherAnswer(1),
            ColdReason::Descriptors("a directory open"),
            ColdReason::NoCheckpoint(String::new()),
        ];
        assert!(lasting.iter().all(|reason| reason.span() == ColdSpan::Lasting));
    }
}
