//! What does a key `verify` say?
//!
//! A key that is unknown is an error here, and no warning as elsewhere: an operator who misspells one would get less than what was asked for.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use crate::config::reader::report::Report;
use crate::config::reader::values::{Value, ValueError, array, string, table};
use crate::config::{ModuleRef, RegistryConfig, SourceLocation, TrustedSigners, VerifyConfig};

const KEYS: [&str; 4] = ["key", "identity", "issuer", "trusted_root"];

/// Enough for old and new keys while they are changed.
const MAX_KEYS: usize = 16;

/// The file with the signature of a local module is named after the module, and this.
pub(crate) const BUNDLE_EXTENSION: &str = ".sigstore.json";

/// Reads the key `verify` of a `[[module]]`.
pub(in crate::config) fn of_module(
    entry: &DeTable<'_>,
    module: Option<&ModuleRef>,
    report: &mut Report,
) -> Option<VerifyConfig> {
    let value = entry.get("verify")?;
    match module {
        Some(ModuleRef::Bindle { .. }) => {
            let error =
                ValueError::new("`verify` is for files and for modules of registries, and this one is a bindle's");
            report.error(
                value.span(),
                error.help("publish the module in a registry, and write `module = \"oci:HOST/NAME:TAG\"`"),
            );
        }
        Some(ModuleRef::File(path)) => {
            let mut bundle = path.clone().into_os_string();
            bundle.push(BUNDLE_EXTENSION);
            report.names_file(&PathBuf::from(bundle));
        }
        Some(ModuleRef::Oci(_)) | None => {}
    }
    read(value, report)
}

/// Reads `[registries."HOST"]`, each of them.
pub(in crate::config) fn of_registries(root: &DeTable<'_>, report: &mut Report) -> Vec<RegistryConfig> {
    let registries = report.optional(root, "registries", |value| {
        table("registries", value)
            .map_err(|error| error.help("write `[registries.\"ghcr.io/acme\"]`, and `verify` below it"))
    });
    let mut found = Vec::new();
    for (name, value) in registries.into_iter().flatten() {
        let parsed = table(name.get_ref(), value.get_ref());
        let Some(registry) = report.accept(value.span(), parsed) else { continue };
        for key in registry.keys().filter(|key| key.get_ref() != "verify") {
            report.error(
                key.span(),
                ValueError::new(format!("unknown key `{}` in `[registries]`", key.get_ref()))
                    .help("known are `verify`"),
            );
        }
        let Some(verify) = registry.get("verify") else {
            let error = ValueError::new(format!("`verify` is missing for the registry `{}`", name.get_ref()));
            report.error(name.span(), error.help("write `verify = { key = \"cosign.pub\" }`"));
            continue;
        };
        let location = SourceLocation::new(report.file(), name.span());
        let verify = read(verify, report);
        found.extend(verify.map(|verify| RegistryConfig { name: name.get_ref().to_string(), location, verify }));
    }
    found
}

fn read(value: &Value<'_>, report: &mut Report) -> Option<VerifyConfig> {
    let verify = report.accept(value.span(), table("verify", value.get_ref()))?;
    for key in verify.keys().filter(|key| !KEYS.contains(&key.get_ref().as_ref())) {
        let error = ValueError::new(format!("unknown key `{}` in `verify`", key.get_ref()));
        report.error(key.span(), error.help("known are `key`, `identity`, `issuer`, `trusted_root`"));
    }
    let mut text = |key: &'static str| report.optional(verify, key, |value| not_empty(key, value));
    let (identity, issuer, trusted_root) = (text("identity"), text("issuer"), text("trusted_root"));
    if let Some(path) = &trusted_root {
        report.names_file(path.as_ref());
    }
    let has = |key| verify.contains_key(key);
    let signers = match (has("key"), has("identity") || has("issuer")) {
        (true, false) => {
            TrustedSigners::Keys { files: keys(verify, report)?, trusted_root: trusted_root.map(PathBuf::from) }
        }
        (false, true) => {
            for missing in ["identity", "issuer", "trusted_root"].into_iter().filter(|key| !has(key)) {
                let error = ValueError::new(format!("`{missing}` is missing in `verify`, which wants an identity"));
                report.error(value.span(), error.help(IDENTITY));
            }
            TrustedSigners::Identity { identity: identity?, issuer: issuer?, trusted_root: trusted_root?.into() }
        }
        (true, true) => {
            let error =
                ValueError::new("`key` and `identity` exclude each other: a signature is of a key or of a certificate");
            report.error(value.span(), error.help("keep one of them"));
            return None;
        }
        (false, false) => {
            let error = ValueError::new("`verify` says neither `key` nor `identity`");
            report
                .error(value.span(), error.help(format!("write `verify = {{ key = \"cosign.pub\" }}`, or {IDENTITY}")));
            return None;
        }
    };
    Some(VerifyConfig { location: SourceLocation::new(report.file(), value.span()), signers })
}

const IDENTITY: &str = "`verify = { identity = \"me@example.com\", issuer = \"https://accounts.example.com\", trusted_root = \"trusted_root.json\" }`";

/// The files of `key`, which is one or a list.
fn keys(verify: &DeTable<'_>, report: &mut Report) -> Option<Vec<PathBuf>> {
    let value = verify.get("key")?;
    let files: Vec<PathBuf> = match value.get_ref() {
        DeValue::Array(_) => {
            let elements = report.accept(value.span(), array("key", "a file or an array of files", value.get_ref()))?;
            let elements = elements.iter().map(|element| (element.span(), not_empty("key", element.get_ref())));
            let files: Vec<_> =
                elements.filter_map(|(span, file)| report.accept(span, file).map(PathBuf::from)).collect();
            files
        }
        other => report.accept(value.span(), not_empty("key", other)).map(PathBuf::from).into_iter().collect(),
    };
    if files.len() > MAX_KEYS {
        report.error(value.span(), ValueError::new(format!("`key` has more than {MAX_KEYS} files")));
    }
    if files.is_empty() && matches!(value.get_ref(), DeValue::Array(_)) {
        report.error(value.span(), ValueError::new("`key` has no file in it").help("write `key = \"cosign.pub\"`"));
    }
    files.iter().for_each(|file| report.names_file(file));
    (!files.is_empty()).then_some(files)
}

fn not_empty(key: &str, value: &DeValue<'_>) -> Result<String, ValueError> {
    match string(key, value)? {
        "" => Err(ValueError::new(format!("`{key}` is empty"))),
        text => Ok(text.to_owned()),
    }
}
