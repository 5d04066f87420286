//! Which arguments may the requests of a snapshot have, and where in memory do they lie?
//!
//! A program that starts learns how many arguments it has, and keeps that number. So a snapshot is for requests with as many: each argument
//! has a slot of a fixed size, which gets that of the request.

use std::sync::Arc;

use crate::strings::StringBlock;

use crate::runtime::resume::areas::{LaidOut, StringArea, put};

/// The least room for each argument, with its NUL, and for all of them, if they are many.
const ROOM_OF_ONE: usize = 4 << 10;
const ROOM: usize = 64 << 10;

/// A layout for the arguments of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct ArgumentPlaces {
    slots: Vec<ArgumentSlot>,
    length: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ArgumentSlot {
    start: u32,
    capacity: u32,
    /// The length of the argument in the snapshot, with its NUL.
    first: u32,
}

/// Which arguments the requests of a snapshot may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum SnapshotArguments {
    /// Any: the program has not asked for them before its checkpoint.
    Any,
    /// Only those of the snapshot: the program has copied them, or all requests have the same.
    Same(StringBlock),
    /// As many as there are slots, where the program has them.
    Slots(ArgumentPlaces, Arc<[StringArea]>),
}

impl ArgumentPlaces {
    /// The layout for programs with as many arguments as these.
    pub fn new(arguments: &StringBlock) -> Self {
        let least = ROOM_OF_ONE.min(ROOM / arguments.len().max(1));
        let narrow = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let mut length = 0u32;
        let slot = |argument: &str| {
            let first = argument.len() + 1;
            let (start, capacity) = (length, narrow(first.next_multiple_of(64).max(least)));
            length = length.saturating_add(capacity);
            ArgumentSlot { start, capacity, first: narrow(first) }
        };
        let slots = arguments.iter().map(slot).collect();
        Self { slots, length }
    }

    /// Whether these are as many, and none is too long.
    pub fn fit(&self, arguments: &StringBlock) -> bool {
        let has_room = |(slot, argument): (&ArgumentSlot, &str)| argument.len() < slot.capacity as usize;
        arguments.len() == self.slots.len() && self.slots.iter().zip(arguments.iter()).all(has_room)
    }

    /// Lays arguments out; `None` for those that do not fit.
    pub fn lay_out(&self, arguments: &StringBlock) -> Option<LaidOut> {
        if !self.fit(arguments) {
            return None;
        }
        let mut buffer = vec![0; self.length as usize];
        for (slot, argument) in self.slots.iter().zip(arguments.iter()) {
            put(&mut buffer, slot.start, argument.as_bytes())?;
        }
        let starts: Vec<u32> = self.slots.iter().map(|slot| slot.start).collect();
        let pointers = u32::try_from(starts.len()).ok()?;
        Some(LaidOut::new(buffer, starts, (pointers, 0)))
    }

    /// Writes arguments that fit to their slots, in place of those of the snapshot; `None` if the memory has no such places. The pointers
    /// to them are the same.
    fn write(&self, arguments: &StringBlock, memory: &mut [u8], area: StringArea) -> Option<()> {
        for (slot, argument) in self.slots.iter().zip(arguments.iter()) {
            let start = (area.buffer as usize).checked_add(slot.start as usize)?;
            let length = (argument.len() + 1).max(slot.first as usize).min(slot.capacity as usize);
            let (own, rest) =
                memory.get_mut(start..start.checked_add(length)?)?.split_at_mut_checked(argument.len())?;
            own.copy_from_slice(argument.as_bytes());
            rest.fill(0);
        }
        Some(())
    }
}

impl SnapshotArguments {
    /// Whether requests with these arguments fit.
    pub fn fit(&self, arguments: &StringBlock) -> bool {
        match self {
            Self::Any => true,
            Self::Same(own) => own == arguments,
            Self::Slots(places, _) => places.fit(arguments),
        }
    }

    /// Whether requests with another number of arguments would fit another snapshot of the same program.
    pub fn have_another_count(&self, arguments: &StringBlock) -> bool {
        matches!(self, Self::Slots(places, _) if places.slots.len() != arguments.len())
    }

    /// Writes arguments that fit to their places; `None` if the memory has no such places.
    pub fn write(&self, arguments: &StringBlock, memory: &mut [u8]) -> Option<()> {
        match self {
            Self::Any | Self::Same(_) => Some(()),
            Self::Slots(places, areas) => areas.iter().try_for_each(|area| places.write(arguments, memory, *area)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::resume::areas::UnusedPointers;
    use crate::runtime::resume::arguments::*;

    fn string(memory: &[u8], pointer: usize) -> String {
        let start = u32::from_le_bytes(memory[pointer..pointer + 4].try_into().expect("4 bytes")) as usize;
        let length = memory[start..].iter().position(|byte| *byte == 0).expect("a NUL");
        String::from_utf8_lossy(&memory[start..start + length]).into_owned()
    }

    #[test]
    fn a_pointer_that_was_taken_before_leads_to_the_argument_of_the_request() {
        let first = StringBlock::from_iter(["/a/some/long/path", "a=1"]);
        let places = ArgumentPlaces::new(&first);
        let laid_out = places.lay_out(&first).expect("it fits");
        let area = StringArea { pointers: Some(64), buffer: 4096 };
        let mut memory = vec![0xaa; 1 << 17];
        let (pointers, strings) = laid_out.bytes(area.buffer, UnusedPointers::Nameless);
        memory[64..64 + pointers.len()].copy_from_slice(&pointers);
        memory[4096..4096 + strings.len()].copy_from_slice(strings);
        let arguments = SnapshotArguments::Slots(places, [area].into());
        for request in [["/a", "b=2&c"], ["/a/an/even/longer/path", ""], ["", "x"]] {
            let request = StringBlock::from_iter(request);
            assert!(arguments.fit(&request));
            assert_eq!(arguments.write(&request, &mut memory), Some(()));
            assert_eq!([64, 68].map(|pointer| string(&memory, pointer)), request.iter().collect::<Vec<_>>()[..]);
        }
        let taken = 4096 + "/a/".len();
        assert!(memory[taken..taken + "some/long/path".len()].iter().all(|byte| *byte == 0), "nothing is left");
        assert_eq!(arguments.write(&first, &mut [0; 100]), None);
    }

    #[test]
    fn others_than_those_with_a_slot_do_not_fit() {
        let first = StringBlock::from_iter(["/a", "a=1"]);
        let slots = SnapshotArguments::Slots(ArgumentPlaces::new(&first), Arc::default());
        for other in [&["/a"][..], &["/a", "b", "c"], &["/a", &"x".repeat(ROOM_OF_ONE)], &[]] {
            assert!(!slots.fit(&StringBlock::from_iter(other)), "{other:?}");
            assert!(SnapshotArguments::Any.fit(&StringBlock::from_iter(other)));
        }
        let same = SnapshotArguments::Same(first.clone());
        assert!(same.fit(&first) && !same.fit(&StringBlock::from_iter(["/a", "a=2"])));
        assert!(slots.fit(&StringBlock::from_iter(["/a", &"x".repeat(ROOM_OF_ONE - 1)])));
        assert!(slots.have_another_count(&StringBlock::from_iter(["/a"])) && !slots.have_another_count(&first));
    }
}
