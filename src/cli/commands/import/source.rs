//! Where is the program of a component?

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use wagi::observe::sha256_hex;

use crate::cli::commands::import::notes::{ManifestValue, Notes, value};
use crate::cli::files;

/// The program of a component.
pub(super) struct ImportedSource {
    /// What `module` says.
    pub module: String,
    /// The form of the file, if it is there.
    pub form: Option<WasmForm>,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WasmForm {
    Module,
    Component,
}

impl ImportedSource {
    /// The source of a component.
    pub fn new(source: &ManifestValue<'_>, directory: &Path, notes: &mut Notes<'_>) -> Option<Self> {
        if let Some(path) = source.get_ref().as_str() {
            return Some(Self::of_file(&directory.join(path)));
        }
        let table = notes.table("source", source)?;
        let text = |key: &str| value(table, key).and_then(|found| found.get_ref().as_str()).map(str::to_owned);
        if let Some(url) = text("url") {
            return Some(Self::of_url(url, text("digest"), source.span(), directory, notes));
        }
        if let (Some(package), Some(version)) = (text("package"), text("version")) {
            let Some(registry) = text("registry") else {
                let message = format!("the package `{package}` names no registry");
                notes.error(source.span(), message, "add `registry = \"HOST\"`, the one that Spin asks by default");
                return None;
            };
            return Some(Self::of_package(&registry, &package, &version, source.span(), notes));
        }
        if let Some(reference) = text("reference") {
            let help = "write the server into `bindle_server`; parcels are named by their bindle: see docs/bindle.md";
            notes.add(source.span(), format!("the bindle `{reference}` needs a server"), help);
            return Some(Self { module: format!("bindle:{reference}"), form: None });
        }
        notes.error(source.span(), "`source` names no program", "write `source = \"FILE.wasm\"`");
        None
    }

    fn of_file(path: &Path) -> Self {
        Self { module: path.display().to_string(), form: form(path) }
    }

    /// A program that Spin downloads: it has to be there as a file.
    fn of_url(
        url: String,
        digest: Option<String>,
        span: Range<usize>,
        directory: &Path,
        notes: &mut Notes<'_>,
    ) -> Self {
        let name = url.rsplit('/').next().filter(|name| !name.is_empty() && !name.contains(['?', '#']));
        let path = directory.join(name.unwrap_or("module.wasm"));
        let shown = path.display().to_string();
        let digest = digest.as_deref().and_then(|digest| digest.strip_prefix("sha256:")).map(str::to_owned);
        match files::read(&path) {
            Ok(bytes) => {
                let found = sha256_hex(&bytes);
                if let Some(digest) = digest.filter(|digest| *digest != found) {
                    let message = format!("`{shown}` has the SHA-256 {found}, and not {digest}");
                    notes.add(span, message, format!("download it again: `curl -fL -o {shown} {url}`"));
                }
            }
            Err(_) => {
                let check = digest.map(|digest| format!("; its SHA-256 is {digest}")).unwrap_or_default();
                let help = format!("`curl -fL -o {shown} {url}`{check}");
                notes.add(span, format!("`{shown}` has to be downloaded: wagi takes no modules from URLs"), help);
            }
        }
        Self { module: shown, form: form(&path) }
    }

    /// A package of a registry of components.
    fn of_package(registry: &str, package: &str, version: &str, span: Range<usize>, notes: &mut Notes<'_>) -> Self {
        let module = format!("oci://{registry}/{}:{version}", package.replace(':', "/"));
        let message = format!("the package `{package}` is taken from `{module}`");
        notes.add(span, message, "a registry may keep packages below a prefix of its own: try `wagi inspect` with it");
        Self { module, form: None }
    }
}

/// Whether a file is a module or a component, binary or text.
fn form(path: &Path) -> Option<WasmForm> {
    let mut begin = Vec::new();
    File::open(path).ok()?.take(4096).read_to_end(&mut begin).ok()?;
    if let Some(version) = begin.strip_prefix(b"\0asm") {
        return Some(if version.starts_with(&[1, 0, 0, 0]) { WasmForm::Module } else { WasmForm::Component });
    }
    let text = String::from_utf8_lossy(&begin);
    Some(if text.contains("(component") { WasmForm::Component } else { WasmForm::Module })
}
