//! What is a module, what does it get, and what will go wrong?

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use wagi::admin::configuration;
use wagi::config::Config;
use wagi::counted;
use wagi::observe::sha256_hex;
use wagi::printable;
use wagi::startup::{Inspection, inspect};

use crate::cli::commands::size;
use crate::cli::files;

/// The names of one module of imports that are shown.
const MAX_NAMES: usize = 12;

/// A module as it would be served.
pub struct ModuleReport {
    file: String,
    length: u64,
    digest: String,
    found: Inspection,
    /// What its entry grants it.
    entry: Value,
}

/// What a module asks for that its entry may lack.
struct WantedGrant {
    /// Whether an import asks for it: the module that it is imported from, and its name.
    is_wanted: fn(&str, &str) -> bool,
    /// The key of an entry that grants it.
    key: Option<&'static str>,
    remark: &'static str,
}

const WANTED: [WantedGrant; 3] = [
    WantedGrant {
        is_wanted: |module, name| name == "path_open" || module.starts_with("wasi:filesystem/types"),
        key: Some("volumes"),
        remark: "it can open files, and is granted none: in a modules.toml, add volumes = { \"/data\" = \"data\" }",
    },
    WantedGrant {
        is_wanted: |module, _| {
            ["wasi_experimental_http", "wasi:http/outgoing-handler", "wasi:http/client"]
                .iter()
                .any(|interface| module.starts_with(interface))
        },
        key: Some("allowed_hosts"),
        remark: "it can call other servers, and each call is refused: in a modules.toml, add allowed_hosts = [\"https://api.example.com\"]",
    },
    WantedGrant {
        is_wanted: |module, name| name.starts_with("sock_") || module.starts_with("wasi:sockets/"),
        key: None,
        remark: "it can use sockets, and gets none: calls of other servers go over HTTP",
    },
];

impl ModuleReport {
    pub async fn new(path: &Path, config: &Config) -> anyhow::Result<Self> {
        let bytes = files::read(path)?;
        let (file, length, digest) = (path.display().to_string(), bytes.len() as u64, sha256_hex(&bytes));
        let found = inspect(bytes).await.with_context(|| format!("cannot inspect `{file}`"))?;
        let entry = configuration::config(config)["modules"][0].take();
        Ok(Self { file, length, digest, found, entry })
    }

    /// What will go wrong, as far as one can see before a request.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = self.found.problems.clone();
        let imports = || self.found.imports.iter().map(|(item, _)| item);
        for wanted in &WANTED {
            // The imports of components have the interface as their name.
            let asks = |module: &str, name: &str| {
                (wanted.is_wanted)(module, name) || (module.is_empty() && (wanted.is_wanted)(name, ""))
            };
            let lacks = |key: &str| self.entry[key].as_array().is_none_or(Vec::is_empty);
            if imports().any(|item| asks(&item.module, &item.name)) && wanted.key.is_none_or(lacks) {
                remarks.push(wanted.remark.to_owned());
            }
        }
        let limit = self.entry["limits"]["memory"].as_u64().unwrap_or(u64::MAX);
        if self.found.memory.0 > limit {
            remarks.push(format!(
                "its memory has {} bytes at the start, and `limits.memory` is {limit}",
                self.found.memory.0
            ));
        }
        remarks
    }

    pub fn json(&self) -> Value {
        let import = |(item, provided): &(wagi::startup::Item, Option<bool>)| json!({ "module": item.module, "name": item.name, "kind": item.kind, "provided": provided });
        json!({
            "module": self.file,
            "kind": self.found.kind,
            "text": self.found.is_text,
            "size": self.length,
            "digest": format!("sha256:{}", self.digest),
            "imports": self.found.imports.iter().map(import).collect::<Vec<_>>(),
            "entrypoints": self.found.entry_points,
            "gets": self.entry,
            "remarks": self.remarks(),
        })
    }

    pub fn text(&self) -> String {
        let mut lines = vec![
            format!("{}: {}, {}, sha256:{}", self.file, self.found.kind, size(self.length), self.digest),
            "imports".to_owned(),
        ];
        lines.extend(self.imports());
        lines.push("gets".to_owned());
        lines.extend(self.gets());
        let remarks = self.remarks();
        lines.push(if remarks.is_empty() { "nothing is wrong with it".to_owned() } else { "will go wrong".to_owned() });
        lines.extend(remarks.into_iter().map(|remark| format!("  {remark}")));
        lines.iter().map(|line| format!("{}\n", printable::line(line))).collect()
    }

    fn imports(&self) -> Vec<String> {
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (item, provided) in &self.found.imports {
            let group = match (provided, item.module.as_str()) {
                (Some(false), _) => "provided by nothing here",
                (_, "") => "interfaces",
                (_, module) => module,
            };
            groups.entry(group).or_default().push(&item.name);
        }
        let shown = |(group, names): (&str, Vec<&str>)| {
            let more = names.len().saturating_sub(MAX_NAMES);
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            let names: Vec<&str> = names.into_iter().take(MAX_NAMES).collect();
            format!("  {group}: {}{more}", names.join(", "))
        };
        if groups.is_empty() { vec!["  none".to_owned()] } else { groups.into_iter().map(shown).collect() }
    }

    fn gets(&self) -> Vec<String> {
        let list = |key: &str| {
            let values = self.entry[key].as_array().into_iter().flatten();
            let values: Vec<String> =
                values.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
            if values.is_empty() { "none".to_owned() } else { values.join(", ") }
        };
        let limits = &self.entry["limits"];
        let seconds = |key: &str| format!("{key} {}s", limits[key].as_f64().unwrap_or_default());
        let memory = size(limits["memory"].as_u64().unwrap_or_default());
        vec![
            "  requests: for every path".to_owned(),
            format!("  variables: those of CGI; of the operator: {}", list("environment")),
            format!("  files: {}", list("volumes")),
            format!("  servers that it may call: {}", list("allowed_hosts")),
            format!(
                "  limits: memory {memory}, {}, {}, {} at once",
                seconds("cpu_time"),
                seconds("time_to_head"),
                counted(limits["concurrency"].as_u64().unwrap_or_default(), "request", "requests")
            ),
        ]
    }
}
