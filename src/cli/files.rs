//! How commands read and write files. A new file appears as a whole, and other users cannot write to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};

use wagi::config::MAX_MODULE_SIZE;
use wagi::printable;

use crate::cli::terminal::print_result;

/// Reads the file at `path`.
pub(in crate::cli) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_MODULE_SIZE + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read `{}`", path.display()))?;
    ensure!(bytes.len() as u64 <= MAX_MODULE_SIZE, "`{}` is larger than {} MiB", path.display(), MAX_MODULE_SIZE >> 20);
    Ok(bytes)
}

/// Writes a file, or replaces an existing one, and prints its name and length.
pub(in crate::cli) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<ExitCode> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let replaced = create(Path::new(&partial), bytes).and_then(|()| fs::rename(&partial, path));
    if replaced.is_err() {
        // Best effort: the file may not exist.
        let _ = fs::remove_file(&partial);
    }
    replaced.with_context(|| format!("cannot write `{}`", path.display()))?;
    let name = path.display().to_string();
    print_result(&format!("{}: {} bytes\n", printable::line(&name), bytes.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// Creates a file that other users cannot write to, with any umask: a server loads ahead-of-time code only from such
/// files.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
