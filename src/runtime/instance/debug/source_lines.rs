//! Which lines of the source was a guest running when it trapped?
//!
//! The file of the program says it, if it has debug information in DWARF. It is read again for each trap, in a thread of the lowest
//! priority, and one at a time: so it takes no memory of a server that runs well, and traps one after the other do not slow
//! down other guests. A trap that comes meanwhile, or for which it takes too long, has the names of functions only.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use addr2line::{Context, Location};
use tokio::sync::oneshot;
use wasmparser::{Encoding, Parser, Payload};

use crate::format::sha256_hex;
use crate::regular_file;
use crate::wasm_bytes::MAGIC;

use crate::runtime::engine::threads::lower_priority;

/// The file of a program.
#[derive(Clone, Debug)]
pub struct ProgramFile {
    /// Where it is.
    pub path: PathBuf,
    /// The SHA-256 that it had when it was loaded.
    pub sha256: String,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct SourcePlace {
    /// The function, as the compiler names it.
    pub function: Option<String>,
    pub file: String,
    pub line: Option<u32>,
    pub column: Option<u32>,
}

/// The longest file that is read.
const MAX_FILE: u64 = 256 << 20;

/// How long a request waits for the lines of a trap.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many inlined functions are named at one place.
const MAX_INLINED: usize = 8;

/// Whether lines are looked up just now.
static IS_BUSY: AtomicBool = AtomicBool::new(false);

/// The turn of the thread that looks up lines.
struct LookupTurn;

impl LookupTurn {
    fn take() -> Option<Self> {
        (!IS_BUSY.swap(true, Ordering::Acquire)).then_some(Self)
    }
}

impl Drop for LookupTurn {
    fn drop(&mut self) {
        IS_BUSY.store(false, Ordering::Release);
    }
}

impl ProgramFile {
    /// The places of instructions at these offsets in the file: for each, those of the functions that were inlined there, the
    /// innermost first, and that of the function itself. Nothing if the file does not say it, or not in time.
    pub(in crate::runtime) async fn places(&self, offsets: Vec<u64>) -> Vec<Vec<SourcePlace>> {
        let Some(turn) = LookupTurn::take() else { return Vec::new() };
        let (sender, receiver) = oneshot::channel();
        let file = self.clone();
        let looking = std::thread::Builder::new().name("wagi-lines".into()).spawn(move || {
            let _turn = turn;
            lower_priority();
            // The receiver is gone if it took too long.
            let _ = sender.send(file.look_up(&offsets));
        });
        if looking.is_err() {
            return Vec::new();
        }
        match tokio::time::timeout(PATIENCE, receiver).await {
            Ok(Ok(places)) => places,
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    fn look_up(&self, offsets: &[u64]) -> Vec<Vec<SourcePlace>> {
        let Ok(bytes) = regular_file::read(&self.path, MAX_FILE) else { return Vec::new() };
        // A file that was replaced says nothing about the program that runs.
        if !bytes.starts_with(MAGIC) || sha256_hex(&bytes) != self.sha256 {
            return Vec::new();
        }
        places(&bytes, offsets)
    }
}

/// A module of the file, or of the component in it.
#[derive(Default)]
struct DebugInfo {
    module: Range<u64>,
    /// Where its code begins; addresses in DWARF count from there.
    code: u64,
    sections: Vec<(String, Range<usize>)>,
}

type Slice<'a> = EndianSlice<'a, LittleEndian>;

fn places(program: &[u8], offsets: &[u64]) -> Vec<Vec<SourcePlace>> {
    let mut found = vec![Vec::new(); offsets.len()];
    for module in modules(program).iter().filter(|module| !module.sections.is_empty()) {
        let within: Vec<usize> =
            (0..offsets.len()).filter(|&at| offsets.get(at).is_some_and(|at| module.module.contains(at))).collect();
        if within.is_empty() {
            continue;
        }
        let Some(context) = module.context(program) else { continue };
        for at in within {
            if let (Some(found), Some(offset)) = (found.get_mut(at), offsets.get(at)) {
                *found = at_address(&context, offset.saturating_sub(module.code));
            }
        }
    }
    found
}

fn modules(program: &[u8]) -> Vec<DebugInfo> {
    let (mut done, mut open) = (Vec::new(), Vec::<(bool, DebugInfo)>::new());
    for payload in Parser::new(0).parse_all(program).map_while(Result::ok) {
        match payload {
            Payload::Version { encoding, range, .. } => {
                let module = DebugInfo { module: range.start as u64..u64::MAX, ..DebugInfo::default() };
                open.push((encoding == Encoding::Module, module));
            }
            Payload::CodeSectionStart { range, .. } => {
                open.last_mut().iter_mut().for_each(|(_, module)| module.code = range.start as u64);
            }
            Payload::CustomSection(section) if section.name().starts_with(".debug_") => {
                let data = section.data_offset()..section.data_offset() + section.data().len();
                open.last_mut().iter_mut().for_each(|(_, module)| {
                    module.sections.push((section.name().to_owned(), data.clone()));
                });
            }
            Payload::End(end) => {
                if let Some((true, mut module)) = open.pop() {
                    module.module.end = end as u64;
                    done.push(module);
                }
            }
            _ => {}
        }
    }
    done
}

impl DebugInfo {
    fn context<'a>(&self, program: &'a [u8]) -> Option<Context<Slice<'a>>> {
        let section = |id: SectionId| {
            let known = self.sections.iter().find(|(name, _)| name == id.name());
            let data = known.and_then(|(_, range)| program.get(range.clone())).unwrap_or_default();
            Ok::<_, addr2line::gimli::Error>(EndianSlice::new(data, LittleEndian))
        };
        Context::from_dwarf(Dwarf::load(section).ok()?).ok()
    }
}

fn at_address(context: &Context<Slice<'_>>, address: u64) -> Vec<SourcePlace> {
    let mut places = Vec::new();
    let Ok(mut frames) = context.find_frames(address).skip_all_loads() else { return places };
    while let Ok(Some(frame)) = frames.next() {
        let Some(Location { file: Some(file), line, column }) = frame.location else { continue };
        let function = frame.function.as_ref().and_then(|name| name.raw_name().ok()).map(|name| name.into_owned());
        places.push(SourcePlace { function, file: file.to_owned(), line, column });
        if places.len() > MAX_INLINED {
            break;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use crate::runtime::instance::debug::source_lines::*;

    #[test]
    fn modules_in_a_component_have_their_own_sections() {
        let text = "(component (core module (@custom \".debug_line\" \"abc\") (func (export \"a\")))
            (core module (func (export \"b\"))))";
        let program = wat::parse_str(text).expect("a component");
        let found = modules(&program);
        let names: Vec<_> = found.iter().map(|module| module.sections.len()).collect();
        assert_eq!(names, [1, 0]);
        assert!(found.iter().all(|module| module.module.contains(&module.code)));
        assert!(found[0].module.end <= found[1].module.start);
    }

    #[test]
    fn debug_information_of_any_bytes_is_no_panic() {
        let names = ["info", "abbrev", "line", "str", "ranges", "aranges"];
        for seed in 0_u8..64 {
            let bytes: String = (0_u8..96).map(|at| format!("\\{:02x}", at.wrapping_mul(seed) ^ seed)).collect();
            let sections: String =
                names.iter().map(|name| format!("(@custom \".debug_{name}\" \"{bytes}\")")).collect();
            let program = wat::parse_str(format!("(module (func) {sections})")).expect("a module");
            assert_eq!(places(&program, &[0, 10, 20, u64::MAX]).len(), 4);
        }
    }

    #[test]
    fn a_file_that_was_replaced_says_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.wasm");
        std::fs::write(&path, wat::parse_str("(module)").expect("a module")).expect("a file");
        let file = ProgramFile { path, sha256: sha256_hex(b"another") };
        assert_eq!(file.look_up(&[1]), Vec::<Vec<SourcePlace>>::new());
    }
}
