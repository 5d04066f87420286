//! Which snapshots does the cache keep, and when is one used again?
//!
//! A snapshot is kept beside the code of modules, with the same owner, mode, checksum and bounds. Its [`key`] is the digest of all that it
//! depends on: this version of wagi, the program, the requests with which it was initialized and tried, and what its guests may use. The
//! engine is in the name of the file. What the program has seen of files is in the description: if one of them has changed, the snapshot
//! is removed and made again. So is one that is damaged.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wasmtime::Module;

use crate::format::hex;

use crate::runtime::code::file_cache::DescribedModule;
use crate::runtime::code::machine_code::NewCode;
use crate::runtime::instance::grants::Grants;
use crate::runtime::resume::areas::StringArea;
use crate::runtime::resume::arguments::SnapshotArguments;
use crate::runtime::resume::files::SeenFiles;
use crate::runtime::resume::held_files::HeldFiles;
use crate::runtime::resume::times::TimePlace;
use crate::runtime::warm_start::WarmStartSetup;
use crate::runtime::warm_start::layout::RequestLayout;
use crate::runtime::warm_start::making::REQUESTS;
use crate::runtime::warm_start::program::Program;
use crate::runtime::warm_start::request::{RehearsalRequest, SnapshotKey, SnapshotScope};
use crate::runtime::warm_start::snapshot::{ProvenRequests, ResumedModule, WarmSnapshot};
use crate::runtime::wasi::state::MEMORY;

/// What is written differs from what other versions have written. It is raised when snapshots become others in the same version of wagi.
const FORMAT: u32 = 3;

impl Program {
    /// The snapshot that the cache has kept, if there is one and the files that it depends on are the same.
    pub fn kept(&self, setup: &WarmStartSetup, key: &SnapshotKey) -> Option<WarmSnapshot> {
        let engine = self.engines.for_resumed(&self.code_cache).ok()?;
        let name = kept_key(self, setup, key);
        let kept = self.code_cache.described(&engine.engine, &name).filter(|_| self.has_its_volumes())?;
        let described = Description::read(&kept.description);
        // Volumes that hang are no reason to forget it.
        let is_current = described.as_ref().map_or(Some(false), |described| described.files.are_unchanged_in_time())?;
        let Some(described) = described.filter(|_| is_current) else {
            self.code_cache.forget_described(&engine.engine, &name);
            return None;
        };
        let DescribedModule { module, .. } = kept;
        let layout = setup.layout(key)?;
        let entry_point = self.functions.last().map_or("_start", String::as_str);
        let start = ResumedModule {
            linked: engine.link(&module, self.unknown_imports).ok()?.linked,
            memory: module.get_export_index(MEMORY),
            entry_point: module.get_export_index(entry_point)?,
            areas: described.areas.into(),
            arguments: Arc::new(described.arguments.of(&layout)?),
            times: described.times.into(),
        };
        Some(WarmSnapshot {
            key: key.clone(),
            start,
            places: layout.variables,
            realtime: described.realtime,
            monotonic: described.monotonic,
            files: Arc::new(described.files),
            held: described.held,
            scope: described.scope,
            took: described.took,
            frames: described.frames,
            bytes: described.bytes,
            proven: ProvenRequests::default(),
        })
    }

    /// Keeps a snapshot for the next start.
    pub fn keep(&self, setup: &WarmStartSetup, snapshot: &WarmSnapshot, new: &NewCode<Module>) {
        let Some(description) = Description::write(snapshot) else { return };
        let name = kept_key(self, setup, &snapshot.key);
        self.code_cache.keep_described(new.code.engine(), &name, new, &description);
    }
}

/// What is known of a snapshot besides its code and its requests.
struct Description {
    areas: Vec<StringArea>,
    arguments: DescribedArguments,
    times: Vec<TimePlace>,
    realtime: u64,
    monotonic: Duration,
    files: SeenFiles,
    held: HeldFiles,
    scope: SnapshotScope,
    took: Duration,
    frames: usize,
    bytes: usize,
}

impl Description {
    /// `None` for a snapshot that is not kept: the name of a file is not text.
    fn write(snapshot: &WarmSnapshot) -> Option<Vec<u8>> {
        let WarmSnapshot { start, realtime, monotonic, files, held, scope, took, frames, bytes, .. } = snapshot;
        let nanoseconds = |time: &Duration| u64::try_from(time.as_nanos()).ok();
        let written = json!({
            "areas": written_areas(&start.areas),
            "arguments": DescribedArguments::written(&start.arguments),
            "times": start.times.iter().map(TimePlace::numbers).collect::<Value>(),
            "realtime": realtime,
            "monotonic": nanoseconds(monotonic)?,
            "files": files.written()?,
            "held": held.written(),
            "requests": scope.name(),
            "took": nanoseconds(took)?,
            "frames": frames,
            "bytes": bytes,
        });
        Some(written.to_string().into_bytes())
    }

    fn read(written: &[u8]) -> Option<Self> {
        let written: Value = serde_json::from_slice(written).ok()?;
        let number = |name: &str| written.get(name)?.as_u64();
        Some(Self {
            areas: read_areas(written.get("areas")?)?,
            arguments: DescribedArguments::read(written.get("arguments")?)?,
            times: written.get("times")?.as_array()?.iter().map(TimePlace::of_numbers).collect::<Option<_>>()?,
            realtime: number("realtime")?,
            monotonic: Duration::from_nanos(number("monotonic")?),
            files: SeenFiles::read(written.get("files")?)?,
            held: HeldFiles::read(written.get("held")?)?,
            scope: SnapshotScope::of_name(written.get("requests")?.as_str()?)?,
            took: Duration::from_nanos(number("took")?),
            frames: usize::try_from(number("frames")?).ok()?,
            bytes: usize::try_from(number("bytes")?).ok()?,
        })
    }
}

fn written_areas(areas: &[StringArea]) -> Value {
    areas.iter().map(|area| json!([area.pointers, area.buffer])).collect()
}

fn read_areas(written: &Value) -> Option<Vec<StringArea>> {
    let area = |area: &Value| {
        let place = |place: &Value| u32::try_from(place.as_u64()?).ok();
        let pointers = area.get(0)?;
        let pointers = if pointers.is_null() { None } else { Some(place(pointers)?) };
        Some(StringArea { pointers, buffer: place(area.get(1)?)? })
    };
    written.as_array()?.iter().map(area).collect()
}

/// Which arguments requests may have. Those of the snapshot itself follow from its requests.
enum DescribedArguments {
    Any,
    Same,
    Slots(Vec<StringArea>),
}

impl DescribedArguments {
    fn written(arguments: &SnapshotArguments) -> Value {
        match arguments {
            SnapshotArguments::Any => "any".into(),
            SnapshotArguments::Same(_) => "same".into(),
            SnapshotArguments::Slots(_, areas) => written_areas(areas),
        }
    }

    fn read(written: &Value) -> Option<Self> {
        match written.as_str() {
            Some("any") => Some(Self::Any),
            Some("same") => Some(Self::Same),
            Some(_) => None,
            None => read_areas(written).map(Self::Slots),
        }
    }

    fn of(self, layout: &RequestLayout) -> Option<SnapshotArguments> {
        Some(match self {
            Self::Any => SnapshotArguments::Any,
            Self::Same => SnapshotArguments::Same(layout.first.arguments.clone()),
            Self::Slots(areas) => SnapshotArguments::Slots(layout.arguments.clone()?, areas.into()),
        })
    }
}

/// A digest of parts, each with its length, so that no two lists of parts are the same bytes.
#[derive(Default)]
struct PartsDigest(Sha256);

impl PartsDigest {
    fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn add_request(&mut self, request: Option<&RehearsalRequest>) {
        let Some(RehearsalRequest { arguments, environment, body }) = request else { return self.add("no request") };
        for strings in [arguments, environment] {
            self.add(strings.len().to_le_bytes());
            strings.iter().for_each(|string| self.add(string));
        }
        self.add(body);
    }

    /// What decides what the guests see of the system.
    fn add_grants(&mut self, grants: &Grants, empty: &[usize]) {
        let volumes = &grants.volumes;
        let paths = volumes.paths();
        self.add(format!("{:?} {:?} {}", grants.limits, volumes.writable(), paths.len()));
        let scratch = volumes.scratch().iter().map(|scratch| (scratch.descriptor, scratch.limits));
        let scratch: Vec<_> = scratch.collect();
        self.add(format!("{scratch:?}"));
        for (index, (guest, host)) in paths.iter().enumerate() {
            self.add(guest);
            // Empty directories of this process have other names in the next.
            self.add(if empty.contains(&index) { &[] } else { host.as_os_str().as_encoded_bytes() });
        }
    }
}

/// What a snapshot is kept under.
fn kept_key(program: &Program, setup: &WarmStartSetup, key: &SnapshotKey) -> String {
    let mut digest = PartsDigest::default();
    digest.add(format!("{FORMAT} {}", env!("CARGO_PKG_VERSION")));
    digest.add(&setup.digest);
    digest.add(format!("{:?} {:?} {}", program.functions, program.unknown_imports, setup.shared_random));
    digest.add(format!("{key:?}"));
    for number in 0..REQUESTS {
        digest.add_request((setup.requests)(key, number, &[]).as_ref());
    }
    digest.add_grants(&program.grants, &program.empty_volumes());
    format!("snapshot-{}", hex(&digest.0.finalize()))
}

#[cfg(test)]
mod tests {
    use crate::runtime::warm_start::kept::*;
    use crate::strings::StringBlock;

    fn digest_of(arguments: &[&str], environment: &[&str], body: &'static str) -> String {
        let (arguments, environment) = (StringBlock::from_iter(arguments), StringBlock::from_iter(environment));
        let mut digest = PartsDigest::default();
        digest.add_request(Some(&RehearsalRequest { arguments, environment, body: body.into() }));
        hex(&digest.0.finalize())
    }

    #[test]
    fn requests_that_differ_have_other_digests() {
        let first = digest_of(&["a"], &["A=1"], "body");
        assert_eq!(first, digest_of(&["a"], &["A=1"], "body"));
        for other in [
            digest_of(&["a", ""], &["A=1"], "body"),
            digest_of(&["a", "A=1"], &[], "body"),
            digest_of(&[], &["a", "A=1"], "body"),
            digest_of(&["a"], &["A=1body"], ""),
            digest_of(&["a"], &["A=2"], "body"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_description_that_lacks_something_is_none() {
        let whole = json!({
            "areas": [[1, 2], [null, 3]], "arguments": [[4, 5]], "times": [[8, 4, 0, 5, 3]], "realtime": 9, "monotonic": 3,
            "files": [["/a", null, null]], "held": [5, [null]], "requests": "without-body", "took": 4, "frames": 5, "bytes": 6,
        });
        let read = Description::read(whole.to_string().as_bytes()).expect("it is whole");
        let area = |pointers, buffer| StringArea { pointers, buffer };
        assert_eq!(read.areas, [area(Some(1), 2), area(None, 3)]);
        assert_eq!((read.frames, read.bytes, read.files.len(), read.times.len()), (5, 6, 1, 1));
        assert_eq!((read.held.numbers().count(), read.scope), (1, SnapshotScope::WithoutBody));
        for name in [
            "areas",
            "arguments",
            "times",
            "realtime",
            "monotonic",
            "files",
            "held",
            "requests",
            "took",
            "frames",
            "bytes",
        ] {
            let mut lacking = whole.clone();
            lacking.as_object_mut().expect("an object").remove(name);
            assert!(Description::read(lacking.to_string().as_bytes()).is_none(), "{name}");
        }
        assert!(Description::read(b"").is_none());
    }
}
