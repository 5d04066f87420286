//! Which configuration does the target of a command name, and how is it loaded? For the commands of developers.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use wagi::config::{LogFormat, Options, Registries, ServerEnvironment, Source};

/// The name of a configuration in a directory.
const MANIFEST: &str = "modules.toml";

/// The target of a command, and what its guests get.
pub struct TargetOptions {
    pub target: PathBuf,
    pub env: Vec<(String, String)>,
    pub env_files: Vec<PathBuf>,
    pub module_cache: Option<PathBuf>,
    pub user_cache: Option<PathBuf>,
    pub registries: Registries,
    /// The executable that compiles modules of others.
    pub compiler: Option<PathBuf>,
    /// The values of `${NAME}` in a modules.toml.
    pub server_environment: ServerEnvironment,
}

impl TargetOptions {
    /// Finds the target, and goes to its directory if it is one, as its paths start there. Those of the command line, such as `file`,
    /// stay what they are.
    pub fn enter(&mut self, file: Option<&mut PathBuf>) -> anyhow::Result<Source> {
        let RunTarget { source, directory } = RunTarget::find(&self.target)?;
        if let Some(directory) = directory {
            let absolute = |path: &mut PathBuf| *path = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
            self.env_files.iter_mut().for_each(absolute);
            self.module_cache.iter_mut().for_each(absolute);
            self.registries.ca_file.iter_mut().for_each(absolute);
            file.into_iter().for_each(absolute);
            std::env::set_current_dir(&directory)
                .with_context(|| format!("cannot work in the directory `{}`", directory.display()))?;
        }
        Ok(source)
    }

    /// The same for the library.
    pub fn options(&self, source: Source) -> Options {
        Options {
            env: self.env.clone(),
            env_files: self.env_files.clone(),
            module_cache: self.module_cache.clone(),
            user_cache: self.user_cache.clone(),
            registries: self.registries.clone(),
            compiler: self.compiler.clone(),
            server_environment: self.server_environment.clone(),
            log_format: LogFormat::Json,
            ..Options::new(source)
        }
    }
}

/// What a target names.
#[derive(Debug, PartialEq, Eq)]
struct RunTarget {
    source: Source,
    /// The directory to work in, if that is another one: paths of a modules.toml start from there.
    directory: Option<PathBuf>,
}

impl RunTarget {
    /// Looks what is at `path`.
    fn find(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let found = std::fs::metadata(path);
        let found = found.with_context(|| {
            format!("there is no `{shown}`: give a .wasm or .wat file, a modules.toml, or a directory with one")
        })?;
        if found.is_dir() {
            return Self::in_directory(path);
        }
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        let source = if is_toml { Source::Manifest(path.to_owned()) } else { Source::Module(path.to_owned()) };
        Ok(Self { source, directory: None })
    }

    fn in_directory(path: &Path) -> anyhow::Result<Self> {
        if path.join(MANIFEST).is_file() {
            let directory = (path != Path::new(".")).then(|| path.to_owned());
            return Ok(Self { source: Source::Manifest(MANIFEST.into()), directory });
        }
        let shown = path.display();
        match modules(path).as_slice() {
            [] => bail!("there is no modules.toml in `{shown}`, and no .wasm or .wat file"),
            [one] => Ok(Self { source: Source::Module(one.clone()), directory: None }),
            [one, ..] => bail!(
                "there is no modules.toml in `{shown}`, and several modules: name one of them, such as `{}`",
                one.display()
            ),
        }
    }
}

/// The modules in a directory, sorted.
pub(in crate::cli) fn modules(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_module =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm" || extension == "wat");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_module).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::run::target::*;

    #[test]
    fn a_target_is_a_module_a_manifest_or_a_directory_with_either() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let error = || RunTarget::find(directory.path()).expect_err("nothing to run").to_string();
        assert!(error().ends_with("and no .wasm or .wat file"));
        std::fs::write(at("a.wat"), "").expect("writable");
        let module = RunTarget { source: Source::Module(at("a.wat")), directory: None };
        assert_eq!(RunTarget::find(&at("a.wat")).expect("a module"), module);
        assert_eq!(RunTarget::find(directory.path()).expect("the only module"), module);
        std::fs::write(at("b.wasm"), "").expect("writable");
        assert!(error().contains("several modules: name one of them"));
        std::fs::write(at("modules.toml"), "").expect("writable");
        let manifest =
            RunTarget { source: Source::Manifest("modules.toml".into()), directory: Some(directory.path().to_owned()) };
        assert_eq!(RunTarget::find(directory.path()).expect("a manifest"), manifest);
        let source = Source::Manifest(at("modules.toml"));
        assert_eq!(RunTarget::find(&at("modules.toml")).expect("a manifest"), RunTarget { source, directory: None });
        assert!(RunTarget::find(&at("c.wasm")).is_err());
    }
}
