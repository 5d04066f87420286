//! What is known of a program that has reached its checkpoint?

use std::borrow::Cow;
use std::mem::discriminant;
use std::ops::Range;
use std::sync::Arc;

use crate::strings::StringBlock;

use crate::runtime::resume::areas::StringAreas;
use crate::runtime::resume::arguments::SnapshotArguments;
use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::files::SeenFiles;
use crate::runtime::resume::held_files::HeldFiles;
use crate::runtime::resume::stopped::Stopped;
use crate::runtime::resume::times::{TimePlace, TimeShift};
use crate::runtime::warm_start::making::comparison::{AtCheckpoint, Clocks, KeptTimes, compare};
use crate::runtime::wasi::rehearsal::Checkpoint;
use crate::runtime::wasi::rehearsal::numbers::Numbers;

/// How much later the second run begins: a time at which every unit of it is another one.
pub(in crate::runtime::warm_start) const LATER: TimeShift =
    TimeShift { realtime: 98_765_043_210_987, monotonic: 7_654_321_987 };

/// The program at its checkpoint, as one run of it has got there.
pub(in crate::runtime::warm_start) struct ReachedOnce {
    pub stopped: Stopped,
    pub checkpoint: Checkpoint,
    pub numbers: Numbers,
    /// Where it has its variables.
    pub areas: StringAreas,
    /// Which arguments requests may have, as far as one run tells.
    pub arguments: SnapshotArguments,
    pub argument_areas: StringAreas,
    /// The places of its variables and its arguments in memory.
    pub strings: Vec<Range<usize>>,
    pub left: Vec<(usize, Vec<u8>)>,
    pub files: SeenFiles,
    pub held: HeldFiles,
}

/// The program at its checkpoint, which other runs of it have reached as well.
pub(in crate::runtime::warm_start) struct Reached {
    pub stopped: Stopped,
    pub checkpoint: Checkpoint,
    pub numbers: Numbers,
    /// Where it has its variables.
    pub areas: StringAreas,
    /// Which arguments requests may have.
    pub arguments: SnapshotArguments,
    pub files: SeenFiles,
    pub held: HeldFiles,
    pub times: ReachedTimes,
}

/// What a program at its checkpoint has made of the times that it was told.
pub(in crate::runtime::warm_start) enum ReachedTimes {
    /// It has some in memory, as it was told.
    Told(Arc<[TimePlace]>),
    /// It has computed something from them, which all requests share.
    Computed,
}

/// Compares a program at its checkpoint with another run of it.
pub(in crate::runtime::warm_start) fn compared(
    first: &ReachedOnce,
    second: &ReachedOnce,
    clocks: Clocks,
) -> Result<KeptTimes, ColdReason> {
    let at = |reached: &ReachedOnce| {
        let arguments = (discriminant(&reached.arguments), reached.argument_areas.clone());
        (reached.checkpoint, reached.areas.clone(), arguments, reached.held.clone())
    };
    let has_same_files = first.files.have_the_paths_of(&second.files);
    if has_same_files && first.files != second.files {
        return Err(ColdReason::FilesChanged);
    }
    if !has_same_files || at(first) != at(second) {
        return Err(ColdReason::Differs("what it did before".to_owned()));
    }
    compare(&first.at_checkpoint(), &second.at_checkpoint(), &first.strings, clocks)
}

impl ReachedTimes {
    /// The places that get the times of each request.
    pub fn places(&self) -> Arc<[TimePlace]> {
        match self {
            Self::Told(places) => places.clone(),
            Self::Computed => Arc::default(),
        }
    }

    /// How much later than the snapshot the request of this number begins.
    pub fn shift(&self, number: usize) -> TimeShift {
        match self {
            Self::Told(_) if number % 2 == 1 => LATER,
            _ => TimeShift::default(),
        }
    }
}

impl ReachedOnce {
    /// Other arguments, as many as the program has, for another run of it; its own, if it has asked for none or has no room for them.
    pub fn other_arguments(&self, own: &StringBlock, other: &StringBlock) -> StringBlock {
        let SnapshotArguments::Slots(places, _) = &self.arguments else { return own.clone() };
        let mut others = other.iter().map(Cow::Borrowed);
        let other_than = |argument| others.next().unwrap_or_else(|| format!("other-{argument}").into());
        let arguments: StringBlock = own.iter().map(other_than).collect();
        if places.fit(&arguments) { arguments } else { own.clone() }
    }

    /// The same, when other runs have shown for which arguments it is the same, and what it has made of the times.
    pub fn confirmed(self, arguments: SnapshotArguments, times: ReachedTimes) -> Reached {
        let Self { stopped, checkpoint, numbers, areas, files, held, .. } = self;
        Reached { stopped, checkpoint, numbers, areas, arguments, files, held, times }
    }

    fn at_checkpoint(&self) -> AtCheckpoint<'_> {
        AtCheckpoint { stopped: &self.stopped, times: &self.numbers.times, left: &self.left }
    }
}

impl Reached {
    /// Whether the program has named its checkpoint.
    pub fn is_named(&self) -> bool {
        self.checkpoint == Checkpoint::Named
    }
}
