//! Which files can the guest reach, and what happens when it reaches further?

use crate::{answer, request::Request, wasi};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};

/// A file of the first volume.
pub fn read(request: &Request) -> io::Result<()> {
    let mut file = match wasi::open_in_first_volume(&request.name, wasi::Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return answer::not_found("no such file\n"),
        Err(error) => return refused(&error),
    };
    answer::stdout().write_all(b"Content-Type: application/octet-stream\n\n")?;
    io::copy(&mut file, &mut answer::stdout())?;
    Ok(())
}

/// The body into a file of the first volume.
pub fn write(request: &Request) -> io::Result<()> {
    let written = wasi::open_in_first_volume(&request.name, wasi::Access::Replace)
        .and_then(|mut file| io::copy(&mut answer::stdin(), &mut file));
    match written {
        Ok(length) => answer::text(&format!("wrote {length} bytes\n")),
        Err(error) => refused(&error),
    }
}

/// The names in a directory, sorted; the directory is named as the guest sees it.
pub fn list(request: &Request) -> io::Result<()> {
    let directory = request.text();
    let entries = match std::fs::read_dir(if directory.is_empty() { "/" } else { &directory }) {
        Ok(entries) => entries,
        Err(error) => return refused(&error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(format!("{}\n", entry?.file_name().to_string_lossy()));
    }
    names.sort();
    answer::text(&names.concat())
}

/// Opens a path as given, once by name as any program would and once below descriptor 3, where no library has looked at
/// the path before the gateway does.
pub fn open_anything(request: &Request) -> io::Result<()> {
    let path = request.text();
    let by_name = describe(File::open(&path));
    let by_descriptor = describe(wasi::open_in_first_volume(&path, wasi::Access::Read));
    answer::text(&format!("by name: {by_name}\nbelow descriptor 3: {by_descriptor}\n"))
}

fn describe(opened: io::Result<File>) -> String {
    let mut bytes = Vec::new();
    match opened.and_then(|file| file.take(64).read_to_end(&mut bytes)) {
        Ok(_) => format!("opened, begins {:?}", String::from_utf8_lossy(&bytes)),
        Err(error) => error.to_string(),
    }
}

fn refused(error: &io::Error) -> io::Result<()> {
    let head = "Status: 403 Forbidden\nContent-Type: text/plain\n\n";
    answer::stdout().write_all(format!("{head}{error}\n").as_bytes())
}
