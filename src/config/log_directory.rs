//! Can the directory for what guests print be used? Asked by checks, which make no directory.

use std::fs;
use std::io;
use std::path::Path;

use crate::config::Diagnostic;
use crate::config::access_log::creation_refusal;

/// What keeps the server from making or using this directory, as far as that can be seen without making it.
pub(super) fn check(path: &Path) -> Option<Diagnostic> {
    let existing = path.ancestors().find_map(|ancestor| {
        let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        fs::metadata(ancestor).ok().map(|metadata| (ancestor, metadata))
    });
    let (existing, metadata) = existing?;
    let error = match metadata.is_dir() {
        true => creation_refusal(existing)?,
        false => io::ErrorKind::NotADirectory.into(),
    };
    let problem = Diagnostic::error(format!("cannot use the log directory `{}`", path.display())).caused_by(&error);
    Some(problem.help("let `--log-dir` name a directory that the user of the server may write to"))
}

#[cfg(test)]
mod tests {
    use crate::config::log_directory::*;

    #[test]
    fn what_keeps_a_directory_from_being_used_is_found_without_making_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "").expect("writable");
        for name in ["", "new", "new/below"] {
            assert!(check(&path(name)).is_none(), "{name}");
        }
        assert!(check(Path::new("a-directory-beside-Cargo.toml")).is_none() && !path("new").exists());
        for path in [path("file"), path("file/below"), "/proc/x".into(), "/proc/x/y".into(), "/sys/x".into()] {
            assert!(check(&path).is_some_and(|found| found.message.contains("log directory")), "{}", path.display());
        }
    }
}
