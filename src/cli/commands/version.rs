//! `wagi version`: which version this is, with which engine, and for which system it was built.

use serde_json::json;

use crate::cli::terminal::{OutputFormat, print_json, print_result};

/// The versions of all packages that wagi is built of.
const LOCK_FILE: &str = include_str!("../../../Cargo.lock");

/// The parts that a build can leave out.
const FEATURES: [(&str, bool); 1] = [("otel", cfg!(feature = "otel"))];

/// Prints it.
pub fn print(format: OutputFormat) -> anyhow::Result<()> {
    let features: Vec<&str> = FEATURES.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    let (version, wasmtime, target) = (env!("CARGO_PKG_VERSION"), wasmtime(LOCK_FILE), target());
    match format {
        OutputFormat::Text => print_result(&format!(
            "WAGI Server {version}\nwasmtime {wasmtime}\nfeatures {}\ntarget {target}\n",
            if features.is_empty() { "none".to_owned() } else { features.join(" ") },
        )),
        OutputFormat::Json => {
            print_json(&json!({ "version": version, "wasmtime": wasmtime, "features": features, "target": target }))
        }
    }
}

/// The version of the engine in a lock file of cargo.
fn wasmtime(lock_file: &str) -> &str {
    let after_name = lock_file.split("\nname = \"wasmtime\"\n").nth(1).unwrap_or_default();
    let version = after_name.lines().next().and_then(|line| line.strip_prefix("version = \""));
    version.and_then(|version| version.strip_suffix('"')).unwrap_or("unknown")
}

/// The system that this was built for, as the compiler calls it.
fn target() -> String {
    let vendor = if cfg!(target_vendor = "apple") { "apple" } else { "unknown" };
    let environment = if cfg!(target_env = "gnu") {
        "-gnu"
    } else if cfg!(target_env = "musl") {
        "-musl"
    } else {
        ""
    };
    let system = if cfg!(target_vendor = "apple") { "darwin" } else { std::env::consts::OS };
    format!("{}-{vendor}-{system}{environment}", std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::version::*;

    #[test]
    fn the_version_of_the_engine_is_that_of_the_lock_file() {
        let version = wasmtime(LOCK_FILE);
        assert!(
            version.split('.').count() == 3 && version.split('.').all(|part| part.parse::<u32>().is_ok()),
            "{version}"
        );
        assert_eq!(wasmtime(""), "unknown");
    }
}
