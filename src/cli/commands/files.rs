//! How do commands read a file and write one? What is written appears whole, and nobody else may write to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};

use wagi::config::MAX_MODULE_SIZE;

/// The bytes of the file at `path`.
pub(in crate::cli) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_MODULE_SIZE + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read `{}`", path.display()))?;
    ensure!(bytes.len() as u64 <= MAX_MODULE_SIZE, "`{}` is larger than {} MiB", path.display(), MAX_MODULE_SIZE >> 20);
    Ok(bytes)
}

/// Writes a file, in place of what is there, and says so.
pub(in crate::cli) fn written(path: &Path, bytes: &[u8]) -> anyhow::Result<ExitCode> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let whole = create(Path::new(&partial), bytes).and_then(|()| fs::rename(&partial, path));
    if whole.is_err() {
        // Best effort: it may never have been there.
        let _ = fs::remove_file(&partial);
    }
    whole.with_context(|| format!("cannot write `{}`", path.display()))?;
    writeln!(io::stdout(), "{}: {} bytes", path.display(), bytes.len()).context("cannot say what was written")?;
    Ok(ExitCode::SUCCESS)
}

/// A server takes ahead-of-time code only from files that others cannot write to, whatever the umask says.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
