//! Where does a program have the strings that it has asked for?
//!
//! It asks for its variables, and for its arguments, into memory of its own: a list of pointers, and the strings. It may ask more than once,
//! and may give the memory back. What it still has at its checkpoint is where the strings of a request belong.

use std::ops::Range;

/// Where a program has its variables, or its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct StringArea {
    /// The list of pointers; `None` if only the strings are left.
    pub pointers: Option<u32>,
    /// The strings.
    pub buffer: u32,
}

/// Where a program has asked for its strings, as far as it still has them there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) struct StringAreas {
    kept: Vec<StringArea>,
    /// What it no longer has: lists of pointers, each with the place of the strings.
    lists_given_back: Vec<(u32, u32)>,
    strings_given_back: Vec<u32>,
}

/// Strings as they lie in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct LaidOut {
    buffer: Vec<u8>,
    /// Where in the buffer each string begins, in their order.
    starts: Vec<u32>,
    /// What unused pointers lead to.
    unused: u32,
    pointers: u32,
    /// What lies behind this in the buffer is zero, and was zero in the snapshot.
    written: usize,
}

/// Writes bytes with a NUL behind them, which is there already.
pub(super) fn put(buffer: &mut [u8], start: u32, bytes: &[u8]) -> Option<()> {
    let start = start as usize;
    buffer.get_mut(start..start + bytes.len())?.copy_from_slice(bytes);
    Some(())
}

/// What pointers without a string lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum UnusedPointers {
    /// A string of no use: the program has just learned how many there are.
    Nameless,
    /// NULL, where its list ends.
    Null,
}

impl LaidOut {
    /// Strings that begin at these places of a buffer, with as many pointers. Those that are not needed lead to `unused`.
    pub fn new(buffer: Vec<u8>, starts: Vec<u32>, (pointers, unused): (u32, u32)) -> Self {
        Self { written: buffer.len(), buffer, starts, unused, pointers }
    }

    /// The same, of which only the bytes before `end` differ from those of the snapshot.
    pub fn written_to(self, end: u32) -> Self {
        Self { written: self.buffer.len().min(end as usize), ..self }
    }

    /// The number of pointers, as a program is told.
    pub fn pointers(&self) -> u32 {
        self.pointers
    }

    /// The number of bytes of all strings.
    pub fn length(&self) -> u32 {
        u32::try_from(self.buffer.len()).unwrap_or(u32::MAX)
    }

    /// The bytes of a list whose strings are at `buffer`, and those of the strings.
    pub fn bytes(&self, buffer: u32, unused: UnusedPointers) -> (Vec<u8>, &[u8]) {
        let rest = match unused {
            UnusedPointers::Nameless => buffer.wrapping_add(self.unused),
            UnusedPointers::Null => 0,
        };
        let pointers = self.starts.iter().map(|start| buffer.wrapping_add(*start));
        let pointers = pointers.chain(std::iter::repeat(rest)).take(self.pointers as usize);
        (pointers.flat_map(u32::to_le_bytes).collect(), &self.buffer)
    }

    /// Writes the strings to their places in `memory`; `None` if it has no such places.
    pub fn write(&self, memory: &mut [u8], area: StringArea) -> Option<()> {
        let (pointers, strings) = self.bytes(area.buffer, UnusedPointers::Null);
        let list = area.pointers.map(|start| (start, pointers.as_slice()));
        let strings = strings.get(..self.written)?;
        for (start, bytes) in list.into_iter().chain([(area.buffer, strings)]) {
            let start = start as usize;
            memory.get_mut(start..start + bytes.len())?.copy_from_slice(bytes);
        }
        Some(())
    }

    fn list(&self, start: u32) -> Range<usize> {
        start as usize..start as usize + self.pointers as usize * 4
    }

    fn strings(&self, start: u32) -> Range<usize> {
        start as usize..start as usize + self.buffer.len()
    }
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

impl StringAreas {
    /// Notes that the program asks for its strings in `area`. Where an older area is in the way, the program no longer has it: it
    /// has given this memory away.
    pub fn ask(&mut self, area: StringArea, laid_out: &LaidOut) {
        let strings = laid_out.strings(area.buffer);
        let list = area.pointers.map(|start| laid_out.list(start));
        let taken = |range: &Range<usize>| overlap(range, &strings) || list.iter().any(|list| overlap(range, list));
        for mut older in std::mem::take(&mut self.kept) {
            // Strings that are in the same places are those of both.
            let has_strings = older.buffer == area.buffer || !taken(&laid_out.strings(older.buffer));
            let is_list_taken = |start: &u32| !has_strings || taken(&laid_out.list(*start));
            if let Some(start) = older.pointers.take_if(|start| is_list_taken(start)) {
                self.lists_given_back.push((start, older.buffer));
            }
            match has_strings {
                true if older.pointers.is_some() || older.buffer != area.buffer => self.kept.push(older),
                true => {}
                false => self.strings_given_back.push(older.buffer),
            }
        }
        self.kept.push(area);
    }

    /// Those that it still has.
    pub fn kept(&self) -> &[StringArea] {
        &self.kept
    }

    /// What was once written to memory that the program no longer has its strings in: where, and which bytes.
    pub fn left(&self, laid_out: &LaidOut) -> Vec<(usize, Vec<u8>)> {
        let list = |&(start, buffer): &(u32, u32)| (start as usize, laid_out.bytes(buffer, UnusedPointers::Nameless).0);
        let strings = |start: &u32| (*start as usize, laid_out.buffer.clone());
        self.lists_given_back.iter().map(list).chain(self.strings_given_back.iter().map(strings)).collect()
    }

    /// The places of all of them in memory.
    pub fn ranges(&self, laid_out: &LaidOut) -> Vec<Range<usize>> {
        let lists = self.kept.iter().filter_map(|area| area.pointers).map(|start| laid_out.list(start));
        lists.chain(self.kept.iter().map(|area| laid_out.strings(area.buffer))).collect()
    }

    /// Whether `memory` has in them what was written there, and no other list of these strings. A program that has moved its list,
    /// to add a variable, goes by the new one.
    pub fn are_kept(&self, memory: &[u8], laid_out: &LaidOut) -> bool {
        let has_other_list = |area: &StringArea| self.has_other_list(memory, area.buffer, laid_out);
        self.are_unchanged(memory, laid_out) && !self.kept.iter().any(has_other_list)
    }

    /// Whether `memory` has in them what was written there.
    pub fn are_unchanged(&self, memory: &[u8], laid_out: &LaidOut) -> bool {
        let is_kept = |area: &StringArea| {
            let (pointers, strings) = laid_out.bytes(area.buffer, UnusedPointers::Nameless);
            let list = area.pointers.map(|start| memory.get(laid_out.list(start)) == Some(&pointers));
            list.unwrap_or(true) && memory.get(laid_out.strings(area.buffer)) == Some(strings)
        };
        self.kept.iter().all(is_kept)
    }

    fn has_other_list(&self, memory: &[u8], buffer: u32, laid_out: &LaidOut) -> bool {
        /// Fewer than a list has that is not used, and more than are left of one by chance.
        const REPEATED: usize = 64;
        let unused = buffer.wrapping_add(laid_out.unused).to_le_bytes();
        let mut repeated = 0;
        for (index, word) in memory.chunks_exact(4).enumerate() {
            repeated = if word == unused { repeated + 1 } else { 0 };
            let is_known = || {
                let lists = self.kept.iter().filter_map(|area| area.pointers);
                lists.map(|start| laid_out.list(start)).any(|list| list.contains(&(index * 4)))
            };
            if repeated >= REPEATED && !is_known() {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::resume::areas::*;
    use crate::runtime::resume::variables::VariablePlaces;
    use crate::strings::StringBlock;

    /// Programs whose areas begin at these places, one after the other: the list, and the strings.
    fn asked(laid_out: &LaidOut, areas: &[(u32, u32)]) -> Vec<(Option<u32>, u32)> {
        let mut asked = StringAreas::default();
        for (pointers, buffer) in areas {
            asked.ask(StringArea { pointers: Some(*pointers), buffer: *buffer }, laid_out);
        }
        asked.kept().iter().map(|area| (area.pointers, area.buffer)).collect()
    }

    #[test]
    fn memory_that_is_given_to_a_new_list_is_no_longer_an_older_one() {
        let places = VariablePlaces::new([&StringBlock::from_iter(["A=1", "B=2"])]);
        let laid_out = places.lay_out(&StringBlock::from_iter(["A=1", "B=2"])).expect("it fits");
        let far = 1 << 20;
        for (areas, left) in [
            // Twice the same.
            (vec![(64, 4096), (64, 4096)], vec![(Some(64), 4096)]),
            // CPython and CRuby: a library has asked, and has freed both.
            (vec![(64, 4096), (192, 4096)], vec![(Some(192), 4096)]),
            // Both are in use, with the same strings.
            (vec![(64, 4096), (2048, 4096)], vec![(Some(64), 4096), (Some(2048), 4096)]),
            // The list was freed, but not the strings, to which there may be pointers.
            (vec![(64, 4096), (192, far)], vec![(None, 4096), (Some(192), far)]),
            // The strings were freed.
            (vec![(64, 4096), (far, 4160)], vec![(Some(far), 4160)]),
            (vec![(64, 4096), (4096, far)], vec![(Some(4096), far)]),
        ] {
            assert_eq!(asked(&laid_out, &areas), left, "{areas:?}");
        }
    }

    #[test]
    fn areas_are_kept_while_nothing_is_written_there_and_the_list_is_not_copied() {
        let places = VariablePlaces::new([&StringBlock::from_iter(["A=1", "B=2"])]);
        let laid_out = places.lay_out(&StringBlock::from_iter(["A=1", "B=2"])).expect("it fits");
        let mut areas = StringAreas::default();
        areas.ask(StringArea { pointers: Some(64), buffer: 4096 }, &laid_out);
        let mut memory = vec![0; 1 << 17];
        let (pointers, strings) = laid_out.bytes(4096, UnusedPointers::Nameless);
        memory[64..64 + pointers.len()].copy_from_slice(&pointers);
        memory[4096..4096 + strings.len()].copy_from_slice(strings);
        assert!(areas.are_kept(&memory, &laid_out));
        for changed in [64, 64 + 4 * 100, 4096, 4096 + strings.len() - 1] {
            let mut memory = memory.clone();
            memory[changed] ^= 1;
            assert!(!areas.are_kept(&memory, &laid_out), "{changed}");
        }
        // As `setenv` does, with one more.
        memory.copy_within(64..64 + pointers.len(), 100_000);
        assert!(!areas.are_kept(&memory, &laid_out));
    }
}
