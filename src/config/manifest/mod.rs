//! What does a modules.toml say?
//!
//! The reader visits the file value by value and does not deserialize it, so that one run finds every problem with its
//! location. Called by `Config::load`.

mod admin_table;
mod build_table;
mod debug_table;
mod hosts;
mod module_table;
mod scripts_table;
mod server_table;
mod static_table;
mod volumes;
mod warm_start;
mod written;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::config::admin::AdminTable;
use crate::config::environment::redaction;
use crate::config::limits::AllLimits;
pub use crate::config::manifest::build_table::ModuleBuild;
use crate::config::manifest::module_table::Defaults;
pub(super) use crate::config::manifest::server_table::{ServerTable, TlsTable};
pub use crate::config::manifest::written::{WrittenValue, written_values};
use crate::config::reader::file;
use crate::config::reader::report::{Report, parse_toml};
use crate::config::reader::suggest::nearest;
use crate::config::reader::values::{Value, ValueError, array, string, table};
use crate::config::{
    DebugConfig, Diagnostic, EntryConfig, Hostname, RegistryConfig, ServerEnvironment, SourceFile, StaticConfig,
    signatures,
};

/// The largest modules.toml in bytes: thousands of modules fit.
const MAX_FILE_SIZE: u64 = 4 << 20;

const KEYS: [&str; 9] = ["module", "static", "limits", "default_host", "server", "tls", "admin", "debug", "registries"];

/// The content of a modules.toml, without the parts that hold errors.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub hostname: Option<Hostname>,
    pub server: ServerTable,
    pub tls: TlsTable,
    pub admin: AdminTable,
    pub debug: DebugConfig,
    pub limits: AllLimits,
    pub entries: Vec<EntryConfig>,
    pub static_files: Vec<StaticConfig>,
    pub signed_registries: Vec<RegistryConfig>,
    pub builds: Vec<ModuleBuild>,
    /// The files that it names.
    pub files: Vec<PathBuf>,
    /// Whether the file is TOML.
    pub is_toml: bool,
}

/// Options for reading a modules.toml.
pub(super) struct ParseOptions<'a> {
    /// The variables of `--env` and `--env-file`.
    pub environment: &'a [(String, String)],
    /// The values of `${NAME}`.
    pub server: &'a ServerEnvironment,
    /// Whether unknown keys are errors.
    pub strict: bool,
}

/// Reads the file at `path`.
pub(super) fn read(path: &Path, options: &ParseOptions<'_>, problems: &mut Vec<Diagnostic>) -> Manifest {
    match file::read(path, "configuration file", MAX_FILE_SIZE, SourceFile::new) {
        Ok(file) => {
            let (manifest, found) = parse(&file, options);
            problems.extend(found);
            manifest
        }
        Err(problem) => {
            problems.push(*problem);
            Manifest::default()
        }
    }
}

fn parse(file: &Arc<SourceFile>, options: &ParseOptions<'_>) -> (Manifest, Vec<Diagnostic>) {
    let mut report = Report::new(Arc::clone(file), options.strict);
    let mut manifest = Manifest::default();
    if let Some(root) = parse_toml(file, &mut report) {
        redact(file, root.get_ref(), &report);
        manifest.is_toml = true;
        manifest.read_root(root.get_ref(), options, &mut report);
    } else {
        file.redact(redaction::pieces(file.text()));
    }
    manifest.files = report.take_files();
    (manifest, report.finish())
}

/// Marks the values of `file` that must not be shown.
fn redact(file: &SourceFile, root: &DeTable<'_>, report: &Report) {
    let mut redacted = redaction::values(root);
    if report.errors() > 0 {
        // Of a duplicate key the tree has one value only.
        redacted.extend(redaction::pieces(file.text()));
    }
    file.redact(redacted);
}

impl Manifest {
    fn read_server(&mut self, root: &DeTable<'_>, report: &mut Report) {
        self.hostname = report.optional(root, "default_host", default_host);
        if let Some(server) = report.optional(root, "server", |value| table("server", value)) {
            self.server = ServerTable::read(server, report);
            if let (Some(_), Some(name)) = (root.get("default_host"), server.get("server_name")) {
                let error = ValueError::new("`server_name` and `default_host` are the same setting");
                report.error(name.span(), error.help("keep one of them"));
            }
        }
        if let Some(tls) = report.optional(root, "tls", |value| table("tls", value)) {
            self.tls = TlsTable::read(tls, report);
        }
        if let Some(admin) = report.optional(root, "admin", |value| table("admin", value)) {
            self.admin = AdminTable::read(admin, report);
        }
        if let Some(debug) = report.optional(root, "debug", |value| table("debug", value)) {
            self.debug = debug_table::read(debug, report);
        }
    }

    fn read_root(&mut self, root: &DeTable<'_>, options: &ParseOptions<'_>, report: &mut Report) {
        if let Some((key, error)) = other_file(root) {
            return report.error(key, error);
        }
        report.unknown_keys(root, &KEYS, "at the top level");
        self.read_server(root, report);
        self.signed_registries = signatures::table::of_registries(root, report);
        if let Some(limits) = report.optional(root, "limits", |value| table("limits", value)) {
            self.limits.read(limits, report);
        }
        if root.get("module").or(root.get("static")).is_none() {
            let error = ValueError::new("there is no `[[module]]` in this file");
            return report.error(
                0..0,
                error.help("write `[[module]]`, and below it `route = \"/...\"` and `module = \"hello.wasm\"`"),
            );
        }
        let defaults = Defaults {
            limits: &self.limits.module,
            compress: self.server.compress,
            environment: options.environment,
            server: options.server,
        };
        let tables = root.get("module").map(|modules| tables("module", modules, report)).unwrap_or_default();
        let mut starts = Vec::new();
        for (table, header) in tables {
            let start = header.start;
            self.builds.extend(build_table::of_module(table));
            if let Some(entry) = module_table::read(table, header, &defaults, report) {
                self.entries.push(entry);
                starts.push(start);
            }
        }
        self.read_static(root, &starts, report);
    }

    /// Reads each `[[static]]`. The entries with modules begin at `starts`.
    fn read_static(&mut self, root: &DeTable<'_>, starts: &[usize], report: &mut Report) {
        let tables = root.get("static").map(|values| tables("static", values, report)).unwrap_or_default();
        for (table, header) in tables {
            let modules_before = starts.iter().filter(|start| **start < header.start).count();
            let entry = static_table::read(table, header, self.server.compress, report);
            self.static_files.extend(entry.map(|entry| StaticConfig { modules_before, ..entry }));
        }
    }
}

/// The error about a file that is for another program, or whose entries have another name, and the span of a key that shows
/// it.
fn other_file(root: &DeTable<'_>) -> Option<(Range<usize>, ValueError)> {
    if root.contains_key("module") || root.contains_key("static") {
        return None;
    }
    let key = |is: &dyn Fn(&str) -> bool| root.keys().find(|key| is(key.get_ref()));
    if let Some(key) = key(&|key| ["spin_manifest_version", "spin_version"].contains(&key)) {
        let error = ValueError::new("this is a manifest of Spin, not a modules.toml")
            .help("`wagi import spin.toml` writes a modules.toml from such a file, and says what it cannot take along");
        return Some((key.span(), error));
    }
    if let Some(key) = key(&|key| key == "package" || key == "workspace") {
        let error = ValueError::new("this is a Cargo.toml, not a modules.toml");
        return Some((key.span(), error.help("build the program, and write a modules.toml that names its .wasm file")));
    }
    let (key, meant) = root.keys().find_map(|key| Some((key, nearest(key.get_ref(), ["module", "static"])?)))?;
    let error = ValueError::new(format!("there is no `[[{meant}]]` in this file, but `{}`", key.get_ref()));
    Some((key.span(), error.help(format!("did you mean `[[{meant}]]`?"))))
}

/// The tables of `[[key]]`, each with its span.
fn tables<'v, 'i>(key: &str, values: &'v Value<'i>, report: &mut Report) -> Vec<(&'v DeTable<'i>, Range<usize>)> {
    let array = array(key, "an array of tables", values.get_ref())
        .map_err(|error| error.help(format!("write `[[{key}]]`, in two pairs of brackets")));
    let array = report.accept(values.span(), array).unwrap_or_default();
    let mut tables = Vec::new();
    for (index, value) in array.iter().enumerate() {
        let parsed = table(&format!("{key}[{index}]"), value.get_ref());
        tables.extend(report.accept(value.span(), parsed).map(|table| (table, value.span())));
    }
    tables
}

fn default_host(value: &DeValue<'_>) -> Result<Hostname, ValueError> {
    let text = string("default_host", value)?;
    text.parse().map_err(|error| ValueError::new(format!("in `default_host`: {error}")))
}

#[cfg(test)]
mod tests {
    use crate::config::manifest::*;

    fn parsed(file: &Arc<SourceFile>, environment: &[(String, String)], strict: bool) -> (Manifest, Vec<Diagnostic>) {
        parse(file, &ParseOptions { environment, server: &ServerEnvironment::default(), strict })
    }

    /// Numbers that look random and are the same in every run (Knuth's 64-bit multiplier).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % limit
        }
    }

    const SAMPLE: &str = "default_host = \"é:3000\"\r\n[limits]\nmemory = \"64KiB\"\n[[module]]\nroute = \"/a/...\"\n\
        module = '''x'''\nargv = \"${ARGS}\"\nvolumes = { \"/\" = \"src\", '/x' = { path = \"src\", read_only = true } }\n\
        environment.A = \"1\"\nallowed_hosts = [\"https://a.example\", 3]\nhttp_max_concurrency = 1_000\n\
        [module.limits]\nqueue = 3\n[[module]]\nrouet = 1979-05-27T07:32:00Z\n";

    /// For any bytes the reader ends, and every problem can be rendered.
    #[test]
    fn damaged_files_are_reported_and_never_panic() {
        let mut dice = Dice(3);
        let pieces =
            ["[", "]", "[[module]]", "\"", "'''", "=", ".", "{", "}", "\n", "\r", "\0", "é", "limits", "#", ","];
        for _ in 0..3_000 {
            let mut text = SAMPLE.to_owned();
            for _ in 0..=dice.below(4) {
                let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
                let (from, length) = (dice.below(places.len()), dice.below(12));
                let to = places.get(from + length).copied().unwrap_or(text.len());
                text.replace_range(places[from]..to, pieces[dice.below(pieces.len())]);
            }
            let file = SourceFile::new("modules.toml", text);
            let (_, problems) = parsed(&file, &[], dice.below(2) == 0);
            for problem in &problems {
                assert!(problem.render(false).contains(" modules.toml:"), "{problem:?}");
            }
            assert!(problems.iter().any(Diagnostic::is_error));
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_stack_overflow() {
        let text = format!("module = {}", "[".repeat(100_000));
        let (_, problems) = parsed(&SourceFile::new("modules.toml", text), &[], false);
        assert!(!problems.is_empty());
        assert!(problems.iter().all(|problem| problem.render(false).contains("modules.toml:1:")));
    }

    #[test]
    fn good_entries_come_back_beside_bad_ones() {
        let text = "[[module]]\nroute='/a'\nmodule='Cargo.toml'\n[[module]]\nroute=1\n\
            [[module]]\nroute='/c'\nmodule='Cargo.toml'";
        let (manifest, problems) = parsed(&SourceFile::new("modules.toml", text), &[], false);
        let routes: Vec<_> = manifest.entries.iter().map(|entry| entry.route.to_string()).collect();
        assert_eq!(routes, ["/a", "/c"]);
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn variables_of_the_operator_override_those_of_a_module() {
        let text = "[[module]]\nroute='/'\nmodule='Cargo.toml'\nenvironment = { A = 'own', B = 'own' }";
        let options = [("B".to_owned(), "options".to_owned()), ("C".to_owned(), "options".to_owned())];
        let (manifest, _) = parsed(&SourceFile::new("modules.toml", text), &options, false);
        let entry = manifest.entries.first().expect("one entry");
        let pairs: Vec<_> = entry.environment.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(pairs, [("A", "own"), ("B", "options"), ("C", "options")]);
    }

    #[test]
    fn snapshots_may_hold_no_value_of_the_operator() {
        let text =
            "[[module]]\nroute='/'\nmodule='Cargo.toml'\nwarm_start=true\nenvironment = { A = 'own', B = 'own' }";
        let options = [("B".to_owned(), "secret".to_owned())];
        let (manifest, _) = parsed(&SourceFile::new("modules.toml", text), &options, false);
        let warm_start = manifest.entries.first().and_then(|entry| entry.warm_start.clone()).expect("it begins warm");
        assert_eq!(warm_start.plain_variables, ["A"]);
    }
}
