//! Which files beside scripts are never sent?
//!
//! A source may hold passwords. So a file is not sent if its name holds the extension of a script, in any case: a script, and what
//! editors and copies leave of one, such as `a.php~` or `a.php.bak`. A symlink has the name of what it leads to, too.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::route::ScriptRules;
use crate::static_files::root::{FileError, NamedTarget, OpenTarget, RefusedFile, Root};

/// Opens what is at `path` below the directory, if it is no source of a script.
pub(in crate::static_files) fn open_other(
    root: &Root,
    rules: &ScriptRules,
    path: &Path,
) -> Result<OpenTarget, FileError> {
    let NamedTarget { target, name } = root.open_named(path)?;
    let names = [path.file_name(), Some(name.as_os_str())];
    let is_source = names.into_iter().flatten().any(|name| rules.may_be_source(name.as_bytes()));
    match target {
        OpenTarget::File(_) if is_source => Err(FileError::Refused(RefusedFile::Source)),
        target => Ok(target),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use crate::static_files::scripts::sources::*;

    #[test]
    fn no_name_and_no_symlink_leads_to_a_source() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        fs::create_dir_all(path("dir.php")).expect("writable");
        for name in ["a.php", "a.PHP", "a.php~", "a.php.bak", "a.txt", "dir.php/logo.png", "dir.php/b.php"] {
            fs::write(path(name), "content").expect("writable");
        }
        for (target, link) in [
            ("a.php", "link.txt"),
            ("link.txt", "link-to-link.txt"),
            ("a.PHP", "upper.txt"),
            ("dir.php/b.php", "deep.txt"),
            ("a.txt", "fine.txt"),
            ("a.txt", "a-link.php"),
            ("dir.php", "assets"),
            ("../outside", "out.txt"),
        ] {
            symlink(target, path(link)).expect("writable");
        }
        let root = Root::open(directory.path()).expect("a directory");
        let rules = ScriptRules::new(&["php".to_owned()], &[]);
        for (name, expected) in [
            ("a.txt", "file"),
            ("fine.txt", "file"),
            ("dir.php/logo.png", "file"),
            ("assets/logo.png", "file"),
            ("dir.php", "directory"),
            ("assets", "directory"),
            ("", "directory"),
            ("a.php", "source"),
            ("a.PHP", "source"),
            ("a.php~", "source"),
            ("a.php.bak", "source"),
            ("a-link.php", "source"),
            ("link.txt", "source"),
            ("link-to-link.txt", "source"),
            ("upper.txt", "source"),
            ("deep.txt", "source"),
            ("dir.php/b.php", "source"),
            ("assets/b.php", "source"),
            ("out.txt", "refused"),
            ("missing", "missing"),
        ] {
            let found = match open_other(&root, &rules, Path::new(name)) {
                Ok(OpenTarget::File(_)) => "file",
                Ok(OpenTarget::Directory) => "directory",
                Err(FileError::Refused(RefusedFile::Source)) => "source",
                Err(FileError::Refused(_)) => "refused",
                Err(FileError::Missing) => "missing",
                Err(_) => "failed",
            };
            assert_eq!(found, expected, "{name}");
        }
    }
}
