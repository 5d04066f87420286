//! What does a program do that keeps its rows in SQLite?
//!
//! `POST /` adds a note, and answers 200 with its number when the database has it on the disk. `GET /` lists the notes.
//! `GET /check` lets SQLite check the file.

use std::env;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How long a request waits for another one that has the lock of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let method = env::var("REQUEST_METHOD")?;
    let path = env::var("PATH_INFO").unwrap_or_default();
    let answer = match (method.as_str(), path.as_str()) {
        ("POST", "" | "/") => add(&body()?),
        ("GET" | "HEAD", "" | "/") => list(),
        ("GET" | "HEAD", "/check") => check(),
        _ => return print(404, "GET or POST notes, or GET /check\n"),
    };
    match answer {
        Ok(text) => print(200, &text),
        // Nothing is stored: the client may try again.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            print(503, "the database is locked\n")
        }
        Err(error) => Err(error.into()),
    }
}

/// The note of the client, in one line.
fn body() -> Result<String> {
    let mut body = String::new();
    io::stdin().take(10_000).read_to_string(&mut body)?;
    Ok(body.lines().next().unwrap_or_default().to_owned())
}

fn print(status: u16, text: &str) -> Result<()> {
    print!("Status: {status}\nContent-Type: text/plain; charset=utf-8\n\n{text}");
    Ok(())
}

/// The database that the operator has named, and how its file is locked: the name of a VFS of SQLite.
fn open() -> rusqlite::Result<Connection> {
    let path = PathBuf::from(env::var("DATABASE").unwrap_or_else(|_| "/data/notes.db".into()));
    let vfs = env::var("SQLITE_VFS").unwrap_or_else(|_| "unix-none".into());
    let database = Connection::open_with_flags_and_vfs(path, OpenFlags::default(), vfs.as_str())?;
    database.busy_timeout(BUSY_TIMEOUT)?;
    // With EXTRA, the directory is written to the disk too when the journal is removed, which is what commits.
    database.pragma_update(None, "synchronous", "EXTRA")?;
    database.execute_batch("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")?;
    Ok(database)
}

fn add(note: &str) -> rusqlite::Result<String> {
    let mut database = open()?;
    let transaction = database.transaction()?;
    transaction.execute("INSERT INTO note (text) VALUES (?1)", [note])?;
    let id = transaction.last_insert_rowid();
    transaction.commit()?;
    Ok(format!("{id}\n"))
}

fn list() -> rusqlite::Result<String> {
    let database = open()?;
    let mut rows = database.prepare("SELECT id, text FROM note ORDER BY id")?;
    let lines = rows.query_map([], |row| Ok(format!("{} {}\n", row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    lines.collect()
}

fn check() -> rusqlite::Result<String> {
    let database = open()?;
    let mut rows = database.prepare("PRAGMA integrity_check")?;
    let lines = rows.query_map([], |row| Ok(format!("{}\n", row.get::<_, String>(0)?)))?;
    lines.collect()
}
