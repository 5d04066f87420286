//! Where in the memory of a program do its variables lie, before its checkpoint and after it?
//!
//! A program that starts asks for its variables once, and keeps pointers into what it gets. So they lie in a layout that does not
//! depend on their values: a slot of a fixed size for each variable that requests have, and behind the slots room for the header
//! fields of requests. When the program goes on, the variables of a request are written to the same places, and a pointer that
//! the program has taken before leads to the value of the request. Some have no REMOTE_PORT, and some no HTTPS: their slots are empty.

use crate::strings::StringBlock;

use crate::runtime::resume::areas::{LaidOut, put};

/// What a header field of the request begins with. All other variables have slots.
const HEADER_FIELD: &str = "HTTP_";

/// The room for header fields, and their number.
const ROOM: u32 = 32 << 10;
const FIELDS: u32 = 128;

/// What pointers lead to that are not used: a variable without a name. Programs that start do not expect NULL there.
const UNUSED: &[u8] = b"=\0";
const UNUSED_LENGTH: u32 = 2;

/// A layout for the variables of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct VariablePlaces {
    slots: Vec<VariableSlot>,
    /// Where the slots end, and the room for header fields begins, behind what unused pointers lead to.
    slots_end: u32,
    /// Where the header fields of the first environment end.
    first_end: u32,
}

/// The place of a variable, with its name and the NUL behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct VariableSlot {
    name: String,
    start: u32,
    capacity: u32,
}

/// Why variables do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Unfit {
    /// There is one without a slot, or they have another order.
    Names,
    /// A value is too long.
    Length,
}

/// What a slot has room for, its name and NUL included.
fn capacity(name: &str, length: usize) -> u32 {
    let least = match name {
        "QUERY_STRING" | "REQUEST_URI" | "X_FULL_URL" => 4096,
        "PATH_INFO" | "PATH_TRANSLATED" | "SCRIPT_NAME" | "SCRIPT_FILENAME" | "X_RAW_PATH_INFO" => 1024,
        "REMOTE_USER" | "SSL_CLIENT_S_DN" => 1024,
        _ => 256,
    };
    u32::try_from(length.next_multiple_of(64)).unwrap_or(u32::MAX).max(least)
}

fn name_of(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

impl VariablePlaces {
    /// The layout for programs whose variables have the names of one of these environments, and values about as long. The first
    /// environment is that of the snapshot.
    pub fn new<'a>(environments: impl IntoIterator<Item = &'a StringBlock>) -> Self {
        let mut slots: Vec<VariableSlot> = Vec::new();
        let mut first_fields = None;
        for environment in environments {
            let fields = environment.iter().filter(|variable| name_of(variable).starts_with(HEADER_FIELD));
            first_fields.get_or_insert_with(|| fields.map(|field| field.len() + 1).sum::<usize>());
            let mut next = 0;
            for variable in environment.iter().filter(|variable| !name_of(variable).starts_with(HEADER_FIELD)) {
                let name = name_of(variable);
                let capacity = capacity(name, variable.len() + 1);
                // All have one order, but some lack what others have.
                match slots.iter_mut().enumerate().skip(next).find(|(_, slot)| slot.name == name) {
                    Some((index, slot)) => {
                        slot.capacity = slot.capacity.max(capacity);
                        next = index + 1;
                    }
                    None => {
                        slots.insert(next, VariableSlot { name: name.to_owned(), start: 0, capacity });
                        next += 1;
                    }
                }
            }
        }
        let mut end = 0u32;
        for slot in &mut slots {
            slot.start = end;
            end = end.saturating_add(slot.capacity);
        }
        let first_fields = u32::try_from(first_fields.unwrap_or_default()).unwrap_or(u32::MAX);
        Self { slots, slots_end: end, first_end: end.saturating_add(UNUSED_LENGTH).saturating_add(first_fields) }
    }

    fn pointers(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX).saturating_add(FIELDS)
    }

    fn bytes(&self) -> u32 {
        self.slots_end.saturating_add(ROOM)
    }

    /// Lays variables out, in their order. Each slot is for the variable of its name, if there is one.
    pub fn lay_out(&self, environment: &StringBlock) -> Result<LaidOut, Unfit> {
        let mut buffer = vec![0; self.bytes() as usize];
        let unused = self.slots_end;
        put(&mut buffer, unused, UNUSED).ok_or(Unfit::Length)?;
        let (mut starts, mut used) = (Vec::with_capacity(environment.len()), 0);
        let mut free = unused + UNUSED_LENGTH;
        for variable in environment.iter() {
            let length = u32::try_from(variable.len() + 1).map_err(|_| Unfit::Length)?;
            let name = name_of(variable);
            let start = if name.starts_with(HEADER_FIELD) {
                let start = free;
                free = free.checked_add(length).filter(|end| *end <= self.bytes()).ok_or(Unfit::Length)?;
                start
            } else {
                // Most requests have a variable for each slot or for the one after it.
                let mut left = self.slots.iter().enumerate().skip(used);
                let (index, slot) = left.find(|(_, slot)| slot.name == name).ok_or(Unfit::Names)?;
                used = index + 1;
                if length > slot.capacity {
                    return Err(Unfit::Length);
                }
                slot.start
            };
            put(&mut buffer, start, variable.as_bytes()).ok_or(Unfit::Length)?;
            starts.push(start);
        }
        if starts.len() > self.pointers() as usize {
            return Err(Unfit::Length);
        }
        let laid_out = LaidOut::new(buffer, starts, (self.pointers(), unused));
        Ok(laid_out.written_to(free.max(self.first_end)))
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::resume::areas::{StringArea, UnusedPointers};
    use crate::runtime::resume::variables::*;

    fn string(memory: &[u8], pointer: usize) -> Option<String> {
        let start = u32::from_le_bytes(memory[pointer..pointer + 4].try_into().expect("4 bytes")) as usize;
        let length = memory[start..].iter().position(|byte| *byte == 0)?;
        (start > 0).then(|| String::from_utf8_lossy(&memory[start..start + length]).into_owned())
    }

    #[test]
    fn a_pointer_that_was_taken_before_leads_to_the_value_of_the_request() {
        let places = VariablePlaces::new([&StringBlock::from_iter(["REQUEST_METHOD=GET", "QUERY_STRING="])]);
        let area = StringArea { pointers: Some(64), buffer: 4096 };
        let mut memory = vec![0xaa; 1 << 17];
        let first = places.lay_out(&StringBlock::from_iter(["REQUEST_METHOD=GET", "QUERY_STRING="])).expect("it fits");
        let (pointers, strings) = first.bytes(area.buffer, UnusedPointers::Nameless);
        memory[64..64 + pointers.len()].copy_from_slice(&pointers);
        memory[4096..4096 + strings.len()].copy_from_slice(strings);
        let taken: Vec<u8> = memory[68..72].to_vec();
        assert_eq!(string(&memory, 68).as_deref(), Some("QUERY_STRING="));
        assert_eq!(string(&memory, 72).as_deref(), Some("="), "an unused pointer");
        let request = StringBlock::from_iter(["HTTP_A=1", "REQUEST_METHOD=POST", "QUERY_STRING=a=b", "HTTP_COOKIE=c"]);
        places.lay_out(&request).expect("it fits").write(&mut memory, area).expect("it is in memory");
        let listed: Vec<_> = (0..5).map(|index| string(&memory, 64 + 4 * index)).collect();
        let expected = ["HTTP_A=1", "REQUEST_METHOD=POST", "QUERY_STRING=a=b", "HTTP_COOKIE=c"];
        assert_eq!(listed[..4], expected.map(|text| Some(text.to_owned())));
        assert_eq!(listed[4], None);
        memory[..4].copy_from_slice(&taken);
        assert_eq!(string(&memory, 0).as_deref(), Some("QUERY_STRING=a=b"));
    }

    #[test]
    fn nothing_is_left_of_the_header_fields_of_the_snapshot_and_nothing_is_written_behind_them() {
        let first = StringBlock::from_iter(["A=1", "HTTP_COOKIE=a-long-value", "HTTP_X=1"]);
        let places = VariablePlaces::new([&first]);
        let area = StringArea { pointers: Some(64), buffer: 4096 };
        let laid_out = places.lay_out(&first).expect("it fits");
        let mut memory = vec![0xaa; 1 << 17];
        let (_, strings) = laid_out.bytes(area.buffer, UnusedPointers::Nameless);
        memory[4096..4096 + strings.len()].copy_from_slice(strings);
        for variables in [StringBlock::from_iter(["A=2", "HTTP_Y=2"]), StringBlock::from_iter(["A=3"]), first] {
            places.lay_out(&variables).expect("it fits").write(&mut memory, area).expect("it is in memory");
            let expected = places.lay_out(&variables).expect("it fits");
            assert_eq!(&memory[4096..4096 + strings.len()], expected.bytes(area.buffer, UnusedPointers::Null).1);
        }
        memory[4096 + strings.len() - 1] = 7;
        places
            .lay_out(&StringBlock::from_iter(["A=2"]))
            .expect("it fits")
            .write(&mut memory, area)
            .expect("it is in memory");
        assert_eq!(memory[4096 + strings.len() - 1], 7, "pages behind the fields are those of the snapshot");
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let places = VariablePlaces::new([&StringBlock::from_iter(["A=1", "B=2"])]);
        for (variables, reason) in [
            (StringBlock::from_iter(["A=1", "B=2", "HTTPS=on"]), Unfit::Names),
            (StringBlock::from_iter(["B=1", "A=2"]), Unfit::Names),
            (StringBlock::from_iter(["A=1", &format!("B={}", "x".repeat(300))]), Unfit::Length),
            (StringBlock::from_iter(["A=1", "B=2", &format!("HTTP_A={}", "x".repeat(40_000))]), Unfit::Length),
        ] {
            assert_eq!(places.lay_out(&variables), Err(reason), "{variables:?}");
        }
        let many: Vec<String> = (0..200).map(|number| format!("HTTP_{number}=")).collect();
        let mut variables = StringBlock::from_iter(["A=1", "B=2"]);
        many.iter().for_each(|variable| variables.push(variable));
        assert_eq!(places.lay_out(&variables), Err(Unfit::Length));
    }

    #[test]
    fn a_variable_that_only_some_requests_have_has_a_slot_of_its_own() {
        let plain = StringBlock::from_iter(["A=1", "REMOTE_PORT=7", "B=2", "REMOTE_USER="]);
        let proxied = StringBlock::from_iter(["A=1", "B=22", "HTTPS=on", "REMOTE_USER=x", "SSL_CLIENT_VERIFY=SUCCESS"]);
        let places = VariablePlaces::new([&plain, &proxied]);
        let area = StringArea { pointers: Some(64), buffer: 4096 };
        let listed = |variables: &StringBlock, memory: &mut Vec<u8>| {
            places.lay_out(variables).expect("it fits").write(memory, area).expect("it is in memory");
            (0..6).map_while(|index| string(memory, 64 + 4 * index)).collect::<Vec<_>>()
        };
        let mut memory = vec![0xaa; 1 << 17];
        for variables in [
            plain,
            proxied,
            StringBlock::from_iter(["A=1", "B=3", "REMOTE_USER=y"]),
            StringBlock::from_iter(["REMOTE_PORT=8", "HTTPS=on", "SSL_CLIENT_VERIFY=NONE", "HTTP_A=1"]),
        ] {
            assert_eq!(listed(&variables, &mut memory), variables.iter().collect::<Vec<_>>());
        }
        assert_eq!(places.lay_out(&StringBlock::from_iter(["HTTPS=on", "B=2"])), Err(Unfit::Names), "another order");
    }
}
