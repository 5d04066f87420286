//! Where do the lines of requests go, and can they be written there?

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::config::Diagnostic;

/// Where the lines of requests go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Standard error, with all other lines.
    #[default]
    StandardError,
    /// There are none.
    Nowhere,
    /// A file of their own, at its end.
    File(PathBuf),
}

impl AccessLogTarget {
    /// What `--access-log` says: `on`, `off` or a file.
    pub fn parse(value: &OsStr) -> Result<Self, &'static str> {
        match value.to_str() {
            Some("on") => Ok(Self::StandardError),
            Some("off") => Ok(Self::Nowhere),
            Some("") => Err("it names no file; `on` is standard error, `off` is nowhere"),
            Some("-") => Err("`-` is not a file: write `on` for standard error, or `/dev/stdout`"),
            _ => Ok(Self::File(value.into())),
        }
    }

    /// What keeps the server from writing there, as far as that can be seen without opening the file.
    pub(super) fn check(&self) -> Option<Diagnostic> {
        let Self::File(path) = self else { return None };
        let (name, directory) = (path.display(), directory(path));
        let (problem, help) = match fs::metadata(path) {
            Ok(found) if found.is_dir() => (
                Diagnostic::error(format!("`--access-log` names a directory, not a file: `{name}`")),
                format!("name a file in it, such as `{}`", path.join("access.log").display()),
            ),
            Ok(_) => (unusable(path).caused_by(&refusal(path, Access::WRITE_OK)?), writable(path)),
            Err(_) => match fs::metadata(directory) {
                Ok(found) if !found.is_dir() => (
                    Diagnostic::error(format!("`{}` of `--access-log {name}` is not a directory", directory.display())),
                    "name a file in an existing directory".to_owned(),
                ),
                Ok(_) => {
                    let refusal = refusal(directory, Access::WRITE_OK | Access::EXEC_OK)?;
                    (unusable(path).caused_by(&refusal), writable(directory))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => (
                    Diagnostic::error(format!(
                        "the directory `{}` of `--access-log {name}` does not exist",
                        directory.display()
                    )),
                    format!("make it: `mkdir -p {}`", directory.display()),
                ),
                Err(error) => (unusable(path).caused_by(&error), writable(directory)),
            },
        };
        Some(problem.help(help))
    }
}

/// The directory in which a file is.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unusable(path: &Path) -> Diagnostic {
    Diagnostic::error(format!("cannot write the access log `{}`", path.display()))
}

fn writable(path: &Path) -> String {
    format!("let the user of the server write to `{}`, or name another file", path.display())
}

/// The error of the system if this process may not do that; `None` if it may.
fn refusal(path: &Path, access: Access) -> Option<io::Error> {
    accessat(CWD, path, access, AtFlags::EACCESS).err().map(io::Error::from)
}

#[cfg(test)]
mod tests {
    use crate::config::access_log::*;

    #[test]
    fn a_file_is_everything_but_the_two_words() {
        let file = |name: &str| Ok(AccessLogTarget::File(name.into()));
        for (value, expected) in [
            ("on", Ok(AccessLogTarget::StandardError)),
            ("off", Ok(AccessLogTarget::Nowhere)),
            ("./on", file("./on")),
            ("ON", file("ON")),
            ("/var/log/wagi/access.log", file("/var/log/wagi/access.log")),
        ] {
            assert_eq!(AccessLogTarget::parse(value.as_ref()), expected);
        }
        assert!(AccessLogTarget::parse("".as_ref()).is_err() && AccessLogTarget::parse("-".as_ref()).is_err());
    }

    #[test]
    fn what_keeps_a_file_from_being_written_is_found_without_making_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        fs::write(path("old"), "").expect("writable");
        let message = |path: PathBuf| AccessLogTarget::File(path).check().map(|problem| problem.message);
        assert_eq!((message(path("new")), message(path("old"))), (None, None));
        assert_eq!(message("a-file-beside-Cargo.toml".into()), None);
        assert!(!path("new").exists());
        for (name, expected) in [
            ("no/new", "does not exist"),
            ("old/new", "is not a directory"),
            ("", "names a directory"),
            ("new/", "cannot write"),
        ] {
            let message = message(path(name)).unwrap_or_default();
            assert!(message.contains(expected) || name == "new/", "{name}: {message}");
        }
    }
}
