//! What happens in a run that is no request?
//!
//! A rehearsal is watched: it is known which files it has seen and where it keeps its variables. Its clocks and random numbers are those
//! that it is given, so that two rehearsals can be compared. It is captured at its checkpoint, or goes on with other clocks and
//! random numbers, as a program does that begins there.
//!
//! | file | question |
//! | --- | --- |
//! | `calls` | what do the calls of preview 1 do then? |
//! | `strings` | where does it get its variables and its arguments? |
//! | `paths` | which file does a path lead to? |
//! | `held` | which files are open at the checkpoint? |
//! | `numbers` | which times and random numbers does it get? |

pub(in crate::runtime) mod calls;
mod held;
pub(in crate::runtime) mod numbers;
pub(in crate::runtime) mod paths;
pub(in crate::runtime) mod strings;

use std::path::PathBuf;

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::files::SeenFiles;
use crate::runtime::resume::held_files::HeldFiles;
use crate::runtime::resume::stopped::Stopped;
use crate::runtime::wasi::rehearsal::numbers::Numbers;
use crate::runtime::wasi::rehearsal::paths::{GuestPaths, SeenPath};
use crate::runtime::wasi::rehearsal::strings::AskedStrings;

/// The path whose `stat` is a checkpoint. There is never a file.
pub(in crate::runtime) const CHECKPOINT: &str = "/.wagi/checkpoint";

/// A run that is no request.
pub(in crate::runtime) struct Rehearsal {
    pub stage: RehearsalStage,
    /// The numbers before the checkpoint, and those behind it.
    pub before: Numbers,
    pub after: Numbers,
    pub variables: AskedStrings,
    pub arguments: AskedStrings,
    /// The script, as the guest sees it.
    pub script: Option<String>,
    /// How often the program has looked for it.
    pub looks: ScriptLooks,
    /// How many looks for it come before the one that is the checkpoint; `None` if none is.
    pub script_checkpoint: Option<u32>,
    pub paths: GuestPaths,
    pub files: SeenFiles,
    /// The files that are open at the checkpoint.
    pub held: HeldFiles,
    /// How many functions the module imports.
    pub imported_functions: u32,
    /// The checkpoint that was reached.
    pub reached: Option<Checkpoint>,
    /// The program at its checkpoint, or why there is none.
    pub captured: Option<Result<Stopped, ColdReason>>,
}

/// How far a rehearsal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum RehearsalStage {
    /// Its instance is made. The engine cannot read its frames yet.
    Instantiating,
    /// It is on the way to its checkpoint, where it is captured.
    Captured,
    /// It is on the way to its checkpoint, and goes on there.
    Passing,
    /// It is behind its checkpoint.
    Behind,
}

/// What a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Checkpoint {
    /// The program has asked for [`CHECKPOINT`].
    Named,
    /// It has looked for its script.
    Script,
    /// It has read its request body.
    StandardInput,
}

/// How often a program has looked for its script, with the times that it has opened it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) struct ScriptLooks {
    all: u32,
    /// How many come before the script is opened, if it is.
    before_opening: Option<u32>,
}

impl ScriptLooks {
    /// Notes one more. Returns how many were before it.
    pub fn note(&mut self, opens: bool) -> u32 {
        let before = self.all;
        if opens {
            self.before_opening.get_or_insert(before);
        }
        self.all = before.saturating_add(1);
        before
    }

    /// How many looks come before the one with which the program begins to run its script: the last one before it opens it. Some
    /// interpreters look for it much earlier, too, for their configuration. `None` if it has never looked for it.
    pub fn before_last(&self) -> Option<u32> {
        let looks = self.before_opening.unwrap_or(self.all);
        (self.all > 0).then(|| looks.saturating_sub(1))
    }
}

/// Ends a rehearsal that was captured, or that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("it was captured")]
pub(in crate::runtime) struct Captured;

impl Rehearsal {
    /// Whether the checkpoint is still ahead.
    pub fn is_ahead(&self) -> bool {
        self.stage != RehearsalStage::Behind
    }

    /// The numbers that the program gets now.
    pub fn numbers(&mut self) -> &mut Numbers {
        if self.is_ahead() { &mut self.before } else { &mut self.after }
    }

    /// Which checkpoint it is to look for this place, if it is one.
    fn checkpoint_at(&mut self, place: &SeenPath, opens: bool) -> Option<Checkpoint> {
        if place.guest == CHECKPOINT {
            return Some(Checkpoint::Named);
        }
        let is_script = self.is_ahead() && self.script.as_ref() == Some(&place.guest);
        let is_meant = is_script && Some(self.looks.note(opens)) == self.script_checkpoint;
        is_meant.then_some(Checkpoint::Script)
    }

    /// Notes that the program has seen a file, unless each request sees it anew. False if there are too many.
    fn watch(&mut self, host: Option<PathBuf>) -> bool {
        !self.is_ahead() || host.is_none_or(|host| self.files.add(host))
    }

    /// Ends the rehearsal: it cannot be captured.
    pub fn refuse(&mut self, refusal: ColdReason) -> wasmtime::Error {
        self.captured.get_or_insert(Err(refusal));
        Captured.into()
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::wasi::rehearsal::*;

    #[test]
    fn the_last_look_before_the_script_is_opened_begins_to_run_it() {
        for (looks, last) in [
            (&[][..], None),
            (&[true], Some(0)),
            (&[false, true, false], Some(0)),
            (&[false, false, false, true, true], Some(2)),
            (&[false, false], Some(1)),
        ] {
            let mut noted = ScriptLooks::default();
            for (index, opens) in (0..).zip(looks) {
                assert_eq!(noted.note(*opens), index);
            }
            assert_eq!(noted.before_last(), last, "{looks:?}");
        }
    }
}
