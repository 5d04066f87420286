//! `wagi inspect`: show what a module is, and how it can be served.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use wagi::ColdExplanation;
use wagi::config::{
    Config, Diagnostic, LockPolicy, ModuleRef, Options, Registries, ServerEnvironment, Source, TrustedSigners,
};
use wagi::fetch::{self, Artifact, ArtifactRequest, SignatureReport};
use wagi::observe::sha256_hex;
use wagi::printable;
use wagi::startup::{Inspection, Item, inspect};

use crate::cli::commands::check::warm_start_json;
use crate::cli::commands::size;
use crate::cli::files;
use crate::cli::terminal::progress::Bars;
use crate::cli::terminal::{OutputFormat, print_json, print_problems, print_result};

/// The options of `wagi inspect`.
pub struct InspectCommand {
    /// A path or a reference.
    pub source: String,
    pub format: OutputFormat,
    pub policy: SignaturePolicy,
    pub module_cache: Option<PathBuf>,
    pub registries: Registries,
    pub server_environment: ServerEnvironment,
}

/// Where it is written whose signature is wanted.
pub enum SignaturePolicy {
    /// Nowhere: what signers say of themselves is shown.
    None,
    /// On the command line.
    Signers(TrustedSigners),
    /// In a modules.toml.
    Manifest(PathBuf),
}

/// The bytes of a module, and the artifact that they are from.
struct Input {
    bytes: Vec<u8>,
    artifact: Option<Artifact>,
    /// Who vouches for it. `None` if it is a file without a signature, and none is wanted.
    signature: Option<SignatureReport>,
}

impl InspectCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let (source, format) = (self.source.clone(), self.format);
        let mut problems = Vec::new();
        let input = self.read_input(&mut problems).await?;
        print_problems(&problems);
        let Some(Input { bytes, artifact, signature }) = input else { return Ok(ExitCode::FAILURE) };
        let (length, digest) = (bytes.len() as u64, sha256_hex(&bytes));
        let found = inspect(bytes).await.with_context(|| format!("cannot inspect `{source}`"))?;
        let is_refused = signature.as_ref().is_some_and(|signature| matches!(signature.verified, Some(Err(_))));
        let report = InspectionReport { source, length, digest, artifact, signature, found };
        match format {
            OutputFormat::Json => print_json(&report.json())?,
            OutputFormat::Text => print_result(&report.text())?,
        }
        Ok(if is_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Reads the file with that name, or else pulls the artifact with that reference.
    async fn read_input(self, problems: &mut Vec<Diagnostic>) -> anyhow::Result<Option<Input>> {
        let path = Path::new(&self.source);
        let is_file = path.exists() || looks_like_a_path(&self.source);
        let module = if is_file { ModuleRef::File(path.to_owned()) } else { fetch::artifact_ref(&self.source) };
        let signers = match self.policy {
            SignaturePolicy::None => None,
            SignaturePolicy::Signers(signers) => Some(signers),
            SignaturePolicy::Manifest(file) => {
                let signers = manifest_signers(file, self.server_environment, &module, problems);
                if problems.iter().any(Diagnostic::is_error) {
                    return Ok(None);
                }
                signers
            }
        };
        if is_file {
            let bytes = files::read(path)?;
            let signature = fetch::file_signature(path, &bytes, signers.as_ref());
            let signature = signature.map_err(|problem| problems.push(*problem));
            return Ok(signature.ok().map(|signature| Input { bytes, artifact: None, signature }));
        }
        let (reference, module_cache, registries) = (self.source, self.module_cache, self.registries);
        let request = ArtifactRequest { reference, signers, module_cache, registries };
        let Some(artifact) = fetch::artifact(request, Bars::on_stderr().progress(), problems).await else {
            return Ok(None);
        };
        let path = &artifact.module.path;
        let bytes = files::read(path)?;
        anyhow::ensure!(
            sha256_hex(&bytes) == artifact.module.sha256.as_str(),
            "`{}` has just been changed",
            path.display()
        );
        let signature = Some(artifact.signature.clone());
        Ok(Some(Input { bytes, artifact: Some(artifact), signature }))
    }
}

/// Whose signature a modules.toml wants of a module.
fn manifest_signers(
    file: PathBuf,
    server_environment: ServerEnvironment,
    module: &ModuleRef,
    problems: &mut Vec<Diagnostic>,
) -> Option<TrustedSigners> {
    let mut options = Options::new(Source::Manifest(file));
    options.server_environment = server_environment;
    options.lock = LockPolicy::Ignore;
    let (config, found) = Config::load(&options);
    problems.extend(found);
    fetch::wanted_signers(&config, module, problems)
}

fn looks_like_a_path(source: &str) -> bool {
    let is_below = ["/", "./", "../"].iter().any(|start| source.starts_with(start));
    is_below || source.ends_with(".wasm") || source.ends_with(".wat")
}

/// The result of an inspection.
struct InspectionReport {
    source: String,
    length: u64,
    digest: String,
    artifact: Option<Artifact>,
    signature: Option<SignatureReport>,
    found: Inspection,
}

impl InspectionReport {
    fn json(&self) -> Value {
        let found = &self.found;
        let item = |item: &Item| json!({ "name": item.name, "kind": item.kind });
        let import = |(import, served): &(Item, Option<bool>)| json!({ "module": import.module, "name": import.name, "kind": import.kind, "served": served });
        let sub_routes = found.sub_routes.as_ref().map(|list| {
            list.iter().map(|(route, entry)| json!({ "route": route, "entrypoint": entry })).collect::<Vec<_>>()
        });
        let artifact = self.artifact.as_ref().map(|artifact| {
            let manifest = artifact.module.manifest.as_ref().map(|digest| format!("sha256:{digest}"));
            json!({ "reference": artifact.reference, "manifest": manifest, "layout": artifact.layout, "claimed_signers": artifact.signature.claimed })
        });
        json!({
            "module": self.source,
            "kind": found.kind,
            "text": found.is_text,
            "size": self.length,
            "digest": format!("sha256:{}", self.digest),
            "artifact": artifact,
            "signature": self.signature.as_ref().map(signature_json),
            "memory": { "minimum": found.memory.0, "maximum": found.memory.1 },
            "imports": found.imports.iter().map(import).collect::<Vec<_>>(),
            "exports": found.exports.iter().map(item).collect::<Vec<_>>(),
            "entrypoints": found.entry_points,
            "subroutes": sub_routes,
            "warm_start": warm_start_json(found.cold.as_ref()),
            "problems": found.problems,
        })
    }

    fn text(&self) -> String {
        let found = &self.found;
        let mut lines = vec![
            format!("kind      {}{}", found.kind, if found.is_text { ", as text" } else { "" }),
            format!("size      {} ({} bytes)", size(self.length), self.length),
            format!("digest    sha256:{}", self.digest),
        ];
        if let Some(artifact) = &self.artifact {
            if let Some(manifest) = &artifact.module.manifest {
                lines.push(format!("manifest  sha256:{manifest}"));
            }
            lines.push(format!("layout    {}", artifact.layout));
        }
        lines.extend(self.signature.as_ref().map(|signature| format!("signed    {}", signed(signature))));
        if found.kind == "module" {
            let (minimum, maximum) = found.memory;
            let maximum =
                maximum.map_or_else(|| "no limit of its own".to_owned(), |max| format!("at most {}", size(max)));
            lines.push(format!("memory    {} at the start, {maximum}", size(minimum)));
            lines.push(match &found.cold {
                None => "warm      possible".to_owned(),
                Some(ColdExplanation { reason, text }) => format!("warm      never ({reason}): {text}"),
            });
        }
        lines.extend(self.imports());
        lines.push(list("exports", found.exports.iter().map(|export| format!("{} ({})", export.name, export.kind))));
        if found.kind == "module" {
            lines.push(list("entry points", found.entry_points.iter().cloned()));
        }
        if let Some(routes) = &found.sub_routes {
            lines.push(list("sub-routes", routes.iter().map(|(route, entry)| format!("{route} -> {entry}"))));
        }
        if !found.problems.is_empty() {
            lines.push(list("cannot be served as it is", found.problems.iter().cloned()));
        }
        lines.join("\n") + "\n"
    }

    /// Returns one paragraph for each module that is imported from.
    fn imports(&self) -> Vec<String> {
        let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (import, served) in &self.found.imports {
            let not = if *served == Some(false) { ", which nothing here provides" } else { "" };
            let line = format!("{} ({}){not}", import.name, import.kind);
            groups.entry(&import.module).or_default().push(line);
        }
        if groups.is_empty() {
            return vec![list("imports", std::iter::empty())];
        }
        let title =
            |module: &str| if module.is_empty() { "imports".to_owned() } else { format!("imports from {module}") };
        groups.into_iter().map(|(module, lines)| list(&title(module), lines.into_iter())).collect()
    }
}

/// Who vouches for it.
fn signed(signature: &SignatureReport) -> String {
    match (&signature.verified, signature.claimed.as_deref()) {
        (Some(Ok(signer)), _) => format!("verified: {}", printable::line(signer)),
        (Some(Err(reason)), _) => format!("not verified: {}", printable::line(reason)),
        (None, None) => "not known: what is attached to it cannot be read".to_owned(),
        (None, Some([])) => "no".to_owned(),
        (None, Some(signers)) => {
            let signers: Vec<_> = signers.iter().map(|signer| printable::line(signer)).collect();
            format!("claimed, not verified: by {}; `--verify-key FILE` verifies it", signers.join(", "))
        }
    }
}

fn signature_json(signature: &SignatureReport) -> Value {
    let verified = signature.verified.as_ref();
    json!({
        "verified": verified.map(Result::is_ok),
        "signer": verified.and_then(|verified| verified.as_ref().ok()),
        "reason": verified.and_then(|verified| verified.as_ref().err()),
        "claimed": signature.claimed,
    })
}

/// The lines of a list that are shown. A module may import 100,000 functions; `--json` has them all.
const MAX_LINES: usize = 500;

/// Returns a title with indented lines below it.
fn list(title: &str, lines: impl ExactSizeIterator<Item = String>) -> String {
    let left_out = lines.len().saturating_sub(MAX_LINES);
    let mut text = printable::line(title).into_owned();
    text += if lines.len() == 0 { ": none" } else { ":" };
    for line in lines.take(MAX_LINES) {
        text += "\n  ";
        text += &printable::line(&line);
    }
    if left_out > 0 {
        text += &format!("\n  ... and {left_out} more, which `--json` shows");
    }
    text
}
