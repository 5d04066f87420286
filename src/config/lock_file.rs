//! The lock file: which module did each reference resolve to?
//!
//! `wagi lock` writes the file beside the modules.toml. It has the digest of each module, and for an artifact of a
//! registry the digest of its manifest. `Config::load` reads the file, `fetch` serves only what it lists.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use crate::config::reader::file;
use crate::config::reader::report::{Report, parse_toml};
use crate::config::reader::values::{Value, ValueError, array, count, string, table};
use crate::config::{Diagnostic, LockPolicy, Options, Sha256, Source, SourceFile, SourceLocation};

/// The name of the file.
pub const LOCK_FILE: &str = "wagi.lock";

/// The largest lock file in bytes: thousands of modules fit.
const MAX_FILE_SIZE: u64 = 4 << 20;

const VERSION: u64 = 1;

const HEAD: &str = "\
# What the modules of the modules.toml beside this file are, byte for byte. Servers serve what is written here.
# Written by `wagi lock`; keep it under version control.
";

/// The content of a lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The path of the lock file.
    pub path: PathBuf,
    /// The path of the modules.toml beside it.
    pub manifest: PathBuf,
    /// One module for each reference.
    pub modules: Vec<LockedModule>,
}

/// What one reference resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedModule {
    /// The reference as in the modules.toml.
    pub reference: String,
    /// The bindle server, for a `bindle:` module.
    pub server: Option<String>,
    /// The digest of the manifest or index, for a module of a registry.
    pub manifest: Option<Sha256>,
    /// The digest of the module.
    pub module: Sha256,
    /// The length of the module in bytes.
    pub size: u64,
    /// Who has signed it, if that is verified.
    pub signed_by: Option<String>,
    /// The location of the entry in the lock file.
    pub location: Option<SourceLocation>,
}

impl LockedModule {
    /// Returns reference and server, which identify the module.
    pub fn key(&self) -> (&str, Option<&str>) {
        (&self.reference, self.server.as_deref())
    }
}

impl Lock {
    /// Returns the module with the key `key`.
    pub fn find(&self, key: (&str, Option<&str>)) -> Option<&LockedModule> {
        self.modules.iter().find(|module| module.key() == key)
    }
}

/// Reads the lock file beside the modules.toml of `options`. Returns `None` if there is none or it is to be ignored.
pub(super) fn load(options: &Options, problems: &mut Vec<Diagnostic>) -> Option<Lock> {
    let Source::Manifest(manifest) = &options.source else { return None };
    let path = manifest.with_file_name(LOCK_FILE);
    if options.lock == LockPolicy::Ignore {
        return None;
    }
    if !path.exists() {
        if options.lock == LockPolicy::Require {
            let message = format!("there is no lock file `{}`", path.display());
            problems.push(Diagnostic::error(message).help(write_help(manifest)));
        }
        return None;
    }
    match file::read(&path, "lock file", MAX_FILE_SIZE, SourceFile::new) {
        Ok(file) => {
            let mut report = Report::new(Arc::clone(&file), options.strict);
            let modules = parse(&file, &mut report);
            let is_broken = report.errors() > 0;
            problems.extend(report.finish());
            (!is_broken).then(|| Lock { path, manifest: manifest.clone(), modules })
        }
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

/// Returns the help for a missing lock file.
fn write_help(manifest: &Path) -> String {
    format!("write it with `wagi lock -c {}`", manifest.display())
}

fn parse(file: &Arc<SourceFile>, report: &mut Report) -> Vec<LockedModule> {
    let Some(root) = parse_toml(file, report) else { return Vec::new() };
    let root = root.get_ref();
    report.unknown_keys(root, &["version", "module"], "at the top level");
    match root.get("version") {
        None => {
            report.error(0..0, ValueError::new("`version` is missing").help("write the file again with `wagi lock`"))
        }
        Some(value) => {
            let version = count("version", value.get_ref(), VERSION..=VERSION);
            let help = "this server knows version 1: write the file again with its `wagi lock`";
            report.accept(value.span(), version.map_err(|error| error.help(help)));
        }
    }
    let values = report.optional(root, "module", |value| array("module", "an array of tables", value));
    let mut seen = HashSet::new();
    let mut modules = Vec::new();
    for value in values.into_iter().flatten() {
        let Some(module) = module(value, report) else { continue };
        if !seen.insert((module.reference.clone(), module.server.clone())) {
            let error = ValueError::new(format!("`{}` is there twice", module.reference));
            report.error(value.span(), error.help("write the file again with `wagi lock`"));
        }
        modules.push(module);
    }
    modules
}

fn module(value: &Value<'_>, report: &mut Report) -> Option<LockedModule> {
    let entry = report.accept(value.span(), table("module", value.get_ref()))?;
    report.unknown_keys(entry, &["reference", "server", "manifest", "module", "size", "signed_by"], "in `[[module]]`");
    for key in ["reference", "module", "size"].into_iter().filter(|key| !entry.contains_key(*key)) {
        report.error(value.span(), ValueError::new(format!("`{key}` is missing in `[[module]]`")));
    }
    let text =
        |key: &str, report: &mut Report| report.optional(entry, key, |value| string(key, value).map(str::to_owned));
    let (reference, server) = (text("reference", report), text("server", report));
    let signed_by = text("signed_by", report);
    let size = report.optional(entry, "size", |value| count("size", value, 0..=u64::MAX));
    let (manifest, module) = (digest(entry, "manifest", report), digest(entry, "module", report));
    // Without the digest the registry would have to be asked what the reference resolves to now.
    if reference.as_ref().is_some_and(|reference| reference.starts_with("oci:")) && !entry.contains_key("manifest") {
        let error = ValueError::new("`manifest` is missing in `[[module]]`, which is from a registry");
        report.error(value.span(), error.help("write the file again with `wagi lock`"));
    }
    let location = Some(SourceLocation::new(report.file(), value.span()));
    Some(LockedModule { reference: reference?, server, manifest, module: module?, size: size?, signed_by, location })
}

fn digest(entry: &DeTable<'_>, key: &str, report: &mut Report) -> Option<Sha256> {
    report.optional(entry, key, |value| {
        let digits = string(key, value)?.strip_prefix("sha256:").and_then(|digits| digits.parse().ok());
        let error = || ValueError::new(format!("`{key}` must be `sha256:` and 64 hexadecimal digits"));
        digits.ok_or_else(|| error().help("write the file again with `wagi lock`"))
    })
}

/// The content of the file. The same modules give the same bytes.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut modules: Vec<&LockedModule> = self.modules.iter().collect();
        // Of entries with the same module, the one with a signature says more.
        modules.sort_by_key(|module| (module.key(), module.signed_by.is_none()));
        modules.dedup_by_key(|module| module.key());
        writeln!(f, "{HEAD}version = {VERSION}")?;
        for module in modules {
            write!(f, "\n[[module]]\nreference = {}\n", quote(&module.reference))?;
            if let Some(server) = &module.server {
                writeln!(f, "server = {}", quote(server))?;
            }
            if let Some(manifest) = &module.manifest {
                writeln!(f, "manifest = \"sha256:{manifest}\"")?;
            }
            write!(f, "module = \"sha256:{}\"\nsize = {}\n", module.module, module.size)?;
            if let Some(signer) = &module.signed_by {
                writeln!(f, "signed_by = {}", quote(signer))?;
            }
        }
        Ok(())
    }
}

/// Returns `text` as a basic string of TOML.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // Writing to a string cannot fail.
            _ if character.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(character))),
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use crate::config::lock_file::*;

    fn parsed(text: &str) -> (Vec<LockedModule>, Vec<String>) {
        let file = SourceFile::new("wagi.lock", text);
        let mut report = Report::new(Arc::clone(&file), false);
        let modules = parse(&file, &mut report);
        (modules, report.finish().iter().map(|problem| problem.render(false)).collect())
    }

    fn locked(reference: &str, server: Option<&str>, manifest: Option<&str>) -> LockedModule {
        let digest = |digit: &str| digit.repeat(64).parse().expect("a digest");
        let (server, manifest) = (server.map(str::to_owned), manifest.map(digest));
        LockedModule {
            reference: reference.to_owned(),
            server,
            manifest,
            module: digest("b"),
            size: 7,
            signed_by: None,
            location: None,
        }
    }

    #[test]
    fn what_is_written_is_read_and_sorted() {
        let modules = vec![
            locked("oci:h/app:1", None, Some("a")),
            locked("a \"quoted\"\\\u{7}é.wasm", None, None),
            locked("bindle:a/1.0.0", Some("http://two"), None),
            locked("bindle:a/1.0.0", Some("http://one"), None),
            locked("oci:h/app:1", None, Some("a")),
        ];
        let lock = Lock { modules, ..Lock::default() };
        let text = lock.to_string();
        assert!(text.starts_with("# What the modules") && text.contains("\nversion = 1\n"), "{text}");
        let (read, problems) = parsed(&text);
        assert_eq!(problems, [] as [String; 0]);
        let keys: Vec<_> = read.iter().map(LockedModule::key).collect();
        assert_eq!(
            keys,
            [
                ("a \"quoted\"\\\u{7}é.wasm", None),
                ("bindle:a/1.0.0", Some("http://one")),
                ("bindle:a/1.0.0", Some("http://two")),
                ("oci:h/app:1", None),
            ]
        );
        assert!(read.iter().all(|module| module.location.is_some() && module.size == 7));
        assert_eq!(Lock { modules: read, ..Lock::default() }.to_string(), text);
    }

    #[test]
    fn damage_is_reported_where_it_is() {
        let good = Lock { modules: vec![locked("oci:h/app:1", None, Some("a"))], ..Lock::default() }.to_string();
        for (from, to, part, location) in [
            ("version = 1", "", "`version` is missing", ":1:1"),
            ("version = 1", "version = 2", "between 1 and 1", ":3:11"),
            ("size = 7", "size = -7", "`size` must be", ":9:8"),
            ("size = 7", "", "`size` is missing", ":5:1"),
            ("manifest = ", "# ", "`manifest` is missing", ":5:1"),
            ("sha256:aaaa", "sha256:xaaa", "`manifest` must be `sha256:`", ":7:12"),
            ("module = \"sha256:", "module = \"md5:", "`module` must be `sha256:`", ":8:10"),
            ("[[module]]", "[[module]", "not valid TOML", ":5:"),
            ("size = 7", "size = 7\nsise = 8", "unknown key `sise`", ":10:1"),
        ] {
            let (_, problems) = parsed(&good.replace(from, to));
            assert_eq!(problems.len(), 1, "{to}: {problems:?}");
            assert!(problems[0].contains(part) && problems[0].contains(location), "{to}: {}", problems[0]);
        }
        let entry = &good[good.find("\n[[").expect("an entry")..];
        let (_, problems) = parsed(&format!("{good}{entry}"));
        assert!(problems.len() == 1 && problems[0].contains("is there twice"), "{problems:?}");
    }
}
