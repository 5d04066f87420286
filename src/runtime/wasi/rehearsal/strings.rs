//! Where does a program get its variables and its arguments in a rehearsal?
//!
//! In a layout that has room for those of other requests, and it is noted where it has asked for them.

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p1::types::Errno;

use crate::strings::StringBlock;

use crate::runtime::resume::areas::{LaidOut, StringArea, StringAreas, UnusedPointers};
use crate::runtime::wasi::abi::{ErrnoResult, MODULE, SUCCESS, at, error, write};
use crate::runtime::wasi::preview1;
use crate::runtime::wasi::rehearsal::Rehearsal;
use crate::runtime::wasi::state::{ModuleState, split};

/// Strings that a program may ask for.
#[derive(Clone, Debug, Default)]
pub(in crate::runtime) struct AskedStrings {
    /// How they lie in memory; `None` for those of the state, as any guest gets them.
    pub laid_out: Option<LaidOut>,
    /// Where the program has asked for them.
    pub areas: StringAreas,
    /// Whether it knows how many there are.
    pub is_asked: bool,
}

impl AskedStrings {
    /// Those that lie so.
    pub fn of(laid_out: Option<LaidOut>) -> Self {
        Self { laid_out, ..Self::default() }
    }
}

/// Which strings a function is about.
#[derive(Clone, Copy)]
enum GuestStrings {
    Variables,
    Arguments,
}

impl GuestStrings {
    /// Those of a rehearsal, which asks for them now.
    fn ask(self, rehearsal: &mut Rehearsal) -> &mut AskedStrings {
        let is_ahead = rehearsal.is_ahead();
        let asked = match self {
            Self::Variables => &mut rehearsal.variables,
            Self::Arguments => &mut rehearsal.arguments,
        };
        asked.is_asked |= is_ahead;
        asked
    }

    fn own(self, state: &ModuleState) -> &StringBlock {
        match self {
            Self::Variables => &state.environment,
            Self::Arguments => &state.arguments,
        }
    }

    fn sizes(self, caller: &mut Caller<'_, ModuleState>, count: i32, size: i32) -> ErrnoResult {
        let (mut memory, state) = split(caller)?;
        let Some(rehearsal) = state.rehearsal.as_deref_mut() else { return error(Errno::Io) };
        let asked = self.ask(rehearsal);
        match &asked.laid_out {
            Some(laid_out) => {
                write(&mut memory, size, laid_out.length())?;
                write(&mut memory, count, laid_out.pointers())
            }
            None => preview1::write_sizes(&mut memory, self.own(state), count, size),
        }
    }

    fn get(self, caller: &mut Caller<'_, ModuleState>, pointers: i32, buffer: i32) -> ErrnoResult {
        let (mut memory, state) = split(caller)?;
        let Some(rehearsal) = state.rehearsal.as_deref_mut() else { return error(Errno::Io) };
        let asked = self.ask(rehearsal);
        let Some(laid_out) = &asked.laid_out else {
            return preview1::write_strings(&mut memory, self.own(state), pointers, buffer);
        };
        let area = StringArea { pointers: Some(pointers.cast_unsigned()), buffer: buffer.cast_unsigned() };
        let (list, strings) = laid_out.bytes(area.buffer, UnusedPointers::Nameless);
        for (place, bytes) in [(pointers, list.as_slice()), (buffer, strings)] {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            memory.copy_from_slice(bytes, at::<u8>(place).as_array(length))?;
        }
        asked.areas.ask(area, laid_out);
        SUCCESS
    }
}

/// Replaces the functions that give a program its strings.
pub(super) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    use GuestStrings::{Arguments, Variables};
    linker.func_wrap(MODULE, "environ_sizes_get", |mut caller: Caller<'_, ModuleState>, count: i32, size: i32| {
        Variables.sizes(&mut caller, count, size)
    })?;
    linker.func_wrap(MODULE, "environ_get", |mut caller: Caller<'_, ModuleState>, pointers: i32, buffer: i32| {
        Variables.get(&mut caller, pointers, buffer)
    })?;
    linker.func_wrap(MODULE, "args_sizes_get", |mut caller: Caller<'_, ModuleState>, count: i32, size: i32| {
        Arguments.sizes(&mut caller, count, size)
    })?;
    linker.func_wrap(MODULE, "args_get", |mut caller: Caller<'_, ModuleState>, pointers: i32, buffer: i32| {
        Arguments.get(&mut caller, pointers, buffer)
    })?;
    Ok(())
}
