//! Reading a text file, and checking paths. Used by every reader of this folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Diagnostic, SourceFile, SourceLocation};
use crate::regular_file;

/// Reads the text file at `path`. Messages call it a `role`. A file of more than `max_size` bytes is an error.
pub(in crate::config) fn read(
    path: &Path,
    role: &str,
    max_size: u64,
    source: fn(String, String) -> Arc<SourceFile>,
) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    let name = path.display().to_string();
    let bytes = regular_file::read(path, max_size).map_err(|error| {
        let unreadable = Diagnostic::error(format!("cannot read {role} `{name}`"));
        Box::new(unreadable.caused_by(&error).help(relative_paths_help()))
    })?;
    decode(&name, role, max_size, bytes, source)
}

/// Decodes the `bytes` of a file. They are the whole file, or more than `max_size`.
pub(in crate::config) fn decode(
    name: &str,
    role: &str,
    max_size: u64,
    bytes: Vec<u8>,
    source: fn(String, String) -> Arc<SourceFile>,
) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    if bytes.len() as u64 > max_size {
        let allowed = max_size >> 20;
        let unreadable = Diagnostic::error(format!("cannot read {role} `{name}`"));
        return Err(Box::new(unreadable.help(format!("it is larger than {allowed} MiB: is this the right file?"))));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(source(name.to_owned(), text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let file = source(name.to_owned(), String::from_utf8_lossy(error.as_bytes()).into_owned());
            let location = SourceLocation::new(&file, at..at + '\u{fffd}'.len_utf8());
            Err(Box::new(
                Diagnostic::error(format!("{role} `{name}` is not UTF-8")).at(location).label("not a character"),
            ))
        }
    }
}

/// Checks that `path` is a regular file. When it is opened, `regular_file` checks again: it may be another file then.
pub(in crate::config) fn must_be_file(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(found) if found.is_dir() => Err(format!("`{}` is a directory, not a file", path.display())),
        Ok(_) => Err(format!("`{}` is not a regular file", path.display())),
        Err(error) => Err(inaccessible(path, "file", &error)),
    }
}

/// Checks that `path` is a directory.
pub(in crate::config) fn must_be_directory(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(format!("`{}` is not a directory", path.display())),
        Err(error) => Err(inaccessible(path, "directory", &error)),
    }
}

fn inaccessible(path: &Path, kind: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("{kind} `{}` does not exist", path.display()),
        _ => format!("cannot access {kind} `{}`: {error}", path.display()),
    }
}

/// Returns the help for a path at which there is no file of a module.
pub(in crate::config) fn module_file_help(path: &Path) -> String {
    match path.is_dir() {
        true => "name the `.wasm` file in it".to_owned(),
        false => missing_path_help(path),
    }
}

/// Returns the help for a path at which there is no directory.
pub(in crate::config) fn directory_help(path: &Path) -> String {
    match path.parent().filter(|_| path.is_file()) {
        Some(parent) if parent.as_os_str().is_empty() => "name the directory that the file is in, `.`".to_owned(),
        Some(parent) => format!("name the directory that the file is in, `{}`", parent.display()),
        None => missing_path_help(path),
    }
}

/// Returns the help for a path that does not exist: how far it does.
fn missing_path_help(path: &Path) -> String {
    if path.is_relative() {
        return relative_paths_help();
    }
    match path.ancestors().skip(1).find(|above| above.is_dir()) {
        Some(above) => format!("look at its spelling: the path exists as far as `{}`", above.display()),
        None => "look at its spelling".to_owned(),
    }
}

/// Returns the help for a relative path that does not exist.
pub(in crate::config) fn relative_paths_help() -> String {
    match std::env::current_dir() {
        Ok(directory) => format!("relative paths start from the current directory, `{}`", directory.display()),
        Err(_) => "relative paths start from the current directory".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::reader::file::*;

    fn problem(contents: &[u8]) -> Option<String> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), contents).expect("writable");
        read(file.path(), "sample", 1 << 20, SourceFile::new).err().map(|problem| problem.render(false))
    }

    #[test]
    fn a_file_is_read_if_it_is_text_and_not_too_large() {
        assert_eq!(problem(b""), None);
        assert_eq!(problem(&[b'#'; 1 << 20]), None);
        let too_large = problem(&[b'#'; (1 << 20) + 1]).expect("one byte too many");
        assert!(too_large.contains("larger than 1 MiB"), "{too_large}");
        let no_text = problem(b"a\n\xc3(\n").expect("not UTF-8");
        assert!(no_text.contains("is not UTF-8") && no_text.contains(":2:1"), "{no_text}");
        assert!(read(Path::new("/"), "sample", 9, SourceFile::new).is_err());
    }

    #[test]
    fn files_and_directories_are_told_apart() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let missing = directory.path().join("x");
        assert_eq!(must_be_directory(directory.path()), Ok(()));
        assert!(must_be_file(directory.path()).is_err_and(|error| error.contains("is a directory")));
        assert!(must_be_file(&missing).is_err_and(|error| error.contains("does not exist")));
        assert!(must_be_directory(&missing).is_err_and(|error| error.contains("does not exist")));
        assert!(must_be_file(Path::new("a\0b")).is_err_and(|error| error.contains("cannot access")));
    }
}
