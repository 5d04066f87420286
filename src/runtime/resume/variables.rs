//! Where in the memory of a program do its variables lie, before its checkpoint and after it?
//!
//! A program that starts asks for its variables once, and keeps pointers into what it gets. So they lie in a layout that does not
//! depend on their values: a slot of a fixed size for each variable that every request has, and behind the slots room for the header
//! fields of requests. When the program goes on, the variables of a request are written to the same places, and a pointer that
//! the program has taken before leads to the value of the request.

use std::ops::Range;

use crate::strings::StringBlock;

/// What a header field of the request begins with. All other variables have slots.
const HEADER_FIELD: &str = "HTTP_";

/// The room for header fields, and their number.
const ROOM: u32 = 32 << 10;
const FIELDS: u32 = 128;

/// What pointers lead to that are not used: a variable without a name. Programs that start do not expect NULL there.
const UNUSED: &[u8] = b"=\0";

/// A layout for the variables of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct VariablePlaces {
    slots: Vec<VariableSlot>,
    /// Where the slots end, and the room for header fields begins, behind what unused pointers lead to.
    slots_end: u32,
}

/// The place of a variable, with its name and the NUL behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct VariableSlot {
    name: String,
    start: u32,
    capacity: u32,
}

/// Where a program has its variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct VariableArea {
    /// The list of pointers; `None` if only the strings are left.
    pub pointers: Option<u32>,
    /// The strings.
    pub buffer: u32,
}

/// Where a program has asked for its variables, as far as it still has them there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) struct VariableAreas {
    kept: Vec<VariableArea>,
    /// What it no longer has: lists of pointers, each with the place of the strings.
    lists_given_back: Vec<(u32, u32)>,
    strings_given_back: Vec<u32>,
}

/// Variables as they lie in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct LaidOut {
    buffer: Vec<u8>,
    /// Where in the buffer each variable begins, in the order of the variables.
    starts: Vec<u32>,
    /// What unused pointers lead to.
    unused: u32,
    pointers: u32,
}

/// Why variables do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Unfit {
    /// There are others than those with slots.
    Names,
    /// A value is too long.
    Length,
}

/// What a slot has room for, its name and NUL included.
fn capacity(name: &str, length: usize) -> u32 {
    let least = match name {
        "QUERY_STRING" | "REQUEST_URI" | "X_FULL_URL" => 4096,
        "PATH_INFO" | "PATH_TRANSLATED" | "SCRIPT_NAME" | "SCRIPT_FILENAME" | "X_RAW_PATH_INFO" => 1024,
        _ => 256,
    };
    u32::try_from(length.next_multiple_of(64)).unwrap_or(u32::MAX).max(least)
}

fn name_of(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

impl VariablePlaces {
    /// The layout for programs whose variables have the names of `environment`, and values about as long.
    pub fn new(environment: &StringBlock) -> Self {
        let mut next = 0u32;
        let variables = environment.iter().filter(|variable| !name_of(variable).starts_with(HEADER_FIELD));
        let slots = variables.map(|variable| {
            let name = name_of(variable);
            let slot =
                VariableSlot { name: name.to_owned(), start: next, capacity: capacity(name, variable.len() + 1) };
            next = next.saturating_add(slot.capacity);
            slot
        });
        let slots = slots.collect();
        Self { slots, slots_end: next }
    }

    fn pointers(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX).saturating_add(FIELDS)
    }

    fn bytes(&self) -> u32 {
        self.slots_end.saturating_add(ROOM)
    }

    /// Lays variables out, in their order. All slots are used, and by the variables of their names.
    pub fn lay_out(&self, environment: &StringBlock) -> Result<LaidOut, Unfit> {
        let mut buffer = vec![0; self.bytes() as usize];
        let unused = self.slots_end;
        put(&mut buffer, unused, UNUSED).ok_or(Unfit::Length)?;
        let (mut starts, mut used) = (Vec::with_capacity(environment.len()), 0);
        let mut free = unused + 2;
        for variable in environment.iter() {
            let length = u32::try_from(variable.len() + 1).map_err(|_| Unfit::Length)?;
            let name = name_of(variable);
            let start = if name.starts_with(HEADER_FIELD) {
                let start = free;
                free = free.checked_add(length).filter(|end| *end <= self.bytes()).ok_or(Unfit::Length)?;
                start
            } else {
                // Variables of most requests have one order, which is that of the slots.
                let slot = self.slots.get(used).filter(|slot| slot.name == name).ok_or(Unfit::Names)?;
                used += 1;
                if length > slot.capacity {
                    return Err(Unfit::Length);
                }
                slot.start
            };
            put(&mut buffer, start, variable.as_bytes()).ok_or(Unfit::Length)?;
            starts.push(start);
        }
        if used != self.slots.len() {
            return Err(Unfit::Names);
        }
        if starts.len() > self.pointers() as usize {
            return Err(Unfit::Length);
        }
        Ok(LaidOut { buffer, starts, unused, pointers: self.pointers() })
    }
}

/// Writes bytes with a NUL behind them, which is there already.
fn put(buffer: &mut [u8], start: u32, bytes: &[u8]) -> Option<()> {
    let start = start as usize;
    buffer.get_mut(start..start + bytes.len())?.copy_from_slice(bytes);
    Some(())
}

/// What pointers without a variable lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum UnusedPointers {
    /// A variable without a name: the program has just learned how many there are.
    Nameless,
    /// NULL, where its list of variables ends.
    Null,
}

impl LaidOut {
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

    /// Writes the variables to their places in `memory`; `None` if it has no such places.
    pub fn write(&self, memory: &mut [u8], area: VariableArea) -> Option<()> {
        let (pointers, strings) = self.bytes(area.buffer, UnusedPointers::Null);
        let list = area.pointers.map(|start| (start, pointers.as_slice()));
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

impl VariableAreas {
    /// Notes that the program asks for its variables in `area`. Where an older area is in the way, the program no longer has it: it
    /// has given this memory away.
    pub fn ask(&mut self, area: VariableArea, laid_out: &LaidOut) {
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
    pub fn kept(&self) -> &[VariableArea] {
        &self.kept
    }

    /// What was once written to memory that the program no longer has its variables in: where, and which bytes.
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

    /// Whether `memory` has in them what was written there, and no other list of these variables. A program that has moved its list,
    /// to add a variable, goes by the new one.
    pub fn are_kept(&self, memory: &[u8], laid_out: &LaidOut) -> bool {
        let is_kept = |area: &VariableArea| {
            let (pointers, strings) = laid_out.bytes(area.buffer, UnusedPointers::Nameless);
            let list = area.pointers.map(|start| memory.get(laid_out.list(start)) == Some(&pointers));
            list.unwrap_or(true) && memory.get(laid_out.strings(area.buffer)) == Some(strings)
        };
        let has_other_list = |area: &VariableArea| self.has_other_list(memory, area.buffer, laid_out);
        self.kept.iter().all(is_kept) && !self.kept.iter().any(has_other_list)
    }

    fn has_other_list(&self, memory: &[u8], buffer: u32, laid_out: &LaidOut) -> bool {
        /// Fewer than a list has that is not used, and more than are left of one by chance.
        const REPEATED: usize = FIELDS as usize / 2;
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
    use crate::runtime::resume::variables::*;

    fn block(variables: &[&str]) -> StringBlock {
        let mut block = StringBlock::default();
        variables.iter().for_each(|variable| block.push(variable));
        block
    }

    fn string(memory: &[u8], pointer: usize) -> Option<String> {
        let start = u32::from_le_bytes(memory[pointer..pointer + 4].try_into().expect("4 bytes")) as usize;
        let length = memory[start..].iter().position(|byte| *byte == 0)?;
        (start > 0).then(|| String::from_utf8_lossy(&memory[start..start + length]).into_owned())
    }

    #[test]
    fn a_pointer_that_was_taken_before_leads_to_the_value_of_the_request() {
        let places = VariablePlaces::new(&block(&["REQUEST_METHOD=GET", "QUERY_STRING="]));
        let area = VariableArea { pointers: Some(64), buffer: 4096 };
        let mut memory = vec![0xaa; 1 << 17];
        let first = places.lay_out(&block(&["REQUEST_METHOD=GET", "QUERY_STRING="])).expect("it fits");
        let (pointers, strings) = first.bytes(area.buffer, UnusedPointers::Nameless);
        memory[64..64 + pointers.len()].copy_from_slice(&pointers);
        memory[4096..4096 + strings.len()].copy_from_slice(strings);
        let taken: Vec<u8> = memory[68..72].to_vec();
        assert_eq!(string(&memory, 68).as_deref(), Some("QUERY_STRING="));
        assert_eq!(string(&memory, 72).as_deref(), Some("="), "an unused pointer");
        let request = block(&["HTTP_A=1", "REQUEST_METHOD=POST", "QUERY_STRING=a=b", "HTTP_COOKIE=c"]);
        places.lay_out(&request).expect("it fits").write(&mut memory, area).expect("it is in memory");
        let listed: Vec<_> = (0..5).map(|index| string(&memory, 64 + 4 * index)).collect();
        let expected = ["HTTP_A=1", "REQUEST_METHOD=POST", "QUERY_STRING=a=b", "HTTP_COOKIE=c"];
        assert_eq!(listed[..4], expected.map(|text| Some(text.to_owned())));
        assert_eq!(listed[4], None);
        memory[..4].copy_from_slice(&taken);
        assert_eq!(string(&memory, 0).as_deref(), Some("QUERY_STRING=a=b"));
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let places = VariablePlaces::new(&block(&["A=1", "B=2"]));
        for (variables, reason) in [
            (block(&["A=1"]), Unfit::Names),
            (block(&["A=1", "B=2", "HTTPS=on"]), Unfit::Names),
            (block(&["B=1", "A=2"]), Unfit::Names),
            (block(&["A=1", &format!("B={}", "x".repeat(300))]), Unfit::Length),
            (block(&["A=1", "B=2", &format!("HTTP_A={}", "x".repeat(40_000))]), Unfit::Length),
        ] {
            assert_eq!(places.lay_out(&variables), Err(reason), "{variables:?}");
        }
        let many: Vec<String> = (0..200).map(|number| format!("HTTP_{number}=")).collect();
        let mut variables = block(&["A=1", "B=2"]);
        many.iter().for_each(|variable| variables.push(variable));
        assert_eq!(places.lay_out(&variables), Err(Unfit::Length));
    }

    /// Programs whose areas begin at these places, one after the other: the list, and the strings.
    fn asked(laid_out: &LaidOut, areas: &[(u32, u32)]) -> Vec<(Option<u32>, u32)> {
        let mut asked = VariableAreas::default();
        for (pointers, buffer) in areas {
            asked.ask(VariableArea { pointers: Some(*pointers), buffer: *buffer }, laid_out);
        }
        asked.kept().iter().map(|area| (area.pointers, area.buffer)).collect()
    }

    #[test]
    fn memory_that_is_given_to_a_new_list_is_no_longer_an_older_one() {
        let places = VariablePlaces::new(&block(&["A=1", "B=2"]));
        let laid_out = places.lay_out(&block(&["A=1", "B=2"])).expect("it fits");
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
        let places = VariablePlaces::new(&block(&["A=1", "B=2"]));
        let laid_out = places.lay_out(&block(&["A=1", "B=2"])).expect("it fits");
        let mut areas = VariableAreas::default();
        areas.ask(VariableArea { pointers: Some(64), buffer: 4096 }, &laid_out);
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
