//! A database in a volume: SQLite in a guest, and its shell as a guest. What a client was told is stored stays stored, whatever is
//! killed when.

use std::collections::HashSet;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::readme::curl_lines_answer_as_printed;
use crate::support::guest::built_from_source;
use crate::support::http1::Connection;
use crate::support::process::{Wagi, command};
use crate::support::site::Site;
use crate::support::{Dice, LONG, at_leisure};

/// How often a server is killed, unless `WAGI_KILLS` says otherwise.
const KILLS: u64 = 12;

fn kills() -> u64 {
    std::env::var("WAGI_KILLS").map_or(KILLS, |count| count.parse().expect("a number"))
}

const CLIENTS: usize = 8;

/// A way to have one writer at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Locking {
    /// `concurrency = 1`, and no locks of SQLite.
    OneAtATime,
    /// The lock is a directory beside the file.
    DotFile,
}

impl Locking {
    fn keys(self) -> &'static str {
        match self {
            Self::OneAtATime => {
                "volumes = { '/data' = 'data' }\nenvironment = { SQLITE_VFS = 'unix-none' }\nlimits = { concurrency = 1 }"
            }
            Self::DotFile => "volumes = { '/data' = 'data' }\nenvironment = { SQLITE_VFS = 'unix-dotfile' }",
        }
    }
}

/// A site with the example, whose volume is there.
fn site(module: &str, keys: &str) -> Site {
    let site = Site::new().module("/notes/...", &built_from_source(module), keys);
    fs::create_dir(site.path().join("data")).expect("writable");
    site.write();
    site
}

fn started(site: &Site) -> Wagi {
    let mut command = command(site.path());
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    Wagi::spawn(command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]))
}

/// A server that is killed while clients write, again and again.
struct Writers {
    site: Site,
    locking: Locking,
    /// The notes that the server has said are stored.
    acknowledged: Mutex<HashSet<String>>,
    /// How often a transaction was cut.
    cut: usize,
}

impl Writers {
    fn new(locking: Locking) -> Self {
        Self { site: site("sqlite-notes.wasm", locking.keys()), locking, acknowledged: Mutex::default(), cut: 0 }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.site.path().join("data").join(name)
    }

    /// What a start script does before the server: no process has the lock any more.
    fn remove_lock(&self) {
        match fs::remove_dir(self.file("notes.db.lock")) {
            Ok(()) => assert!(self.locking == Locking::DotFile),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
    }

    /// Adds notes, one after the other, until the server is gone.
    fn write(&self, address: SocketAddr, name: &str) {
        for number in 0.. {
            let note = format!("{name}-{number}");
            let Ok(mut connection) = TcpStream::connect(address) else { return };
            let length = note.len();
            let request = format!(
                "POST /notes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{note}"
            );
            let mut answer = Vec::new();
            let sent = connection.write_all(request.as_bytes()).and_then(|()| connection.read_to_end(&mut answer));
            if sent.is_err() || !answer.starts_with(b"HTTP/1.1 ") {
                return;
            }
            if answer.starts_with(b"HTTP/1.1 200 ") {
                self.acknowledged.lock().unwrap().insert(note);
            }
        }
    }

    /// Lets clients write, and kills the server: while there is a journal, or at any time.
    fn kill(&mut self, round: u64, dice: &mut Dice) {
        self.remove_lock();
        let wagi = started(&self.site);
        let address = wagi.address();
        let before = self.acknowledged.lock().unwrap().len();
        let journal = self.file("notes.db-journal");
        let pause = Duration::from_micros(dice.below(20_000));
        thread::scope(|scope| {
            // It ends before the clients are waited for, also if something fails here.
            let mut wagi = wagi;
            for client in 0..CLIENTS {
                let this = &*self;
                scope.spawn(move || this.write(address, &format!("{round}-{client}")));
            }
            at_leisure(|| (self.acknowledged.lock().unwrap().len() > before).then_some(()));
            // The moment of death is what this is about: there is no event to wait for.
            thread::sleep(pause);
            if round.is_multiple_of(2) {
                let begun = Instant::now();
                while !journal.exists() {
                    assert!(begun.elapsed() < LONG, "nobody writes");
                }
            }
            wagi.signal("KILL");
            wagi.ended();
        });
        self.cut += usize::from(journal.exists());
    }

    /// The file is in order, and has all that was acknowledged.
    fn check(&self, round: u64) {
        self.remove_lock();
        let wagi = started(&self.site);
        let mut connection = Connection::open(wagi.address());
        assert_eq!(connection.get("/notes/check").text(), "ok\n", "round {round}");
        let list = connection.get("/notes").text();
        let notes: Vec<_> = list.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect();
        let stored: HashSet<_> = notes.iter().cloned().collect();
        assert_eq!(stored.len(), notes.len(), "round {round}: no note is there twice");
        let acknowledged = self.acknowledged.lock().unwrap();
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} of {}", acknowledged.len());
    }
}

#[track_caller]
fn survives(locking: Locking) {
    let (mut writers, mut dice, kills) = (Writers::new(locking), Dice(2_026), kills());
    for round in 0..kills * 10 {
        writers.kill(round, &mut dice);
        writers.check(round);
        // A busy machine may be too late for each transaction.
        if round + 1 >= kills && writers.cut > 0 {
            return;
        }
    }
    panic!("no transaction was cut");
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: sqlite"]
fn no_row_is_lost_when_the_server_is_killed_while_one_guest_at_a_time_writes() {
    survives(Locking::OneAtATime);
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: sqlite"]
fn no_row_is_lost_when_the_server_is_killed_while_guests_write_with_dot_file_locks() {
    survives(Locking::DotFile);
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: sqlite"]
fn a_lock_that_a_killed_server_has_left_turns_writers_away_until_it_is_removed() {
    let site = site("sqlite-notes.wasm", Locking::DotFile.keys());
    let lock = site.path().join("data/notes.db.lock");
    fs::create_dir(&lock).expect("writable");
    let wagi = started(&site);
    let answer = Connection::open(wagi.address()).post("/notes", "a");
    assert_eq!((answer.status, answer.text().as_str()), (503, "the database is locked\n"));
    fs::remove_dir(&lock).expect("it is there");
    assert_eq!(Connection::open(wagi.address()).post("/notes", "a").text(), "1\n");
    assert!(!lock.exists());
}

/// The shell as it is published: statements come as the body.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: sqlite"]
fn the_shell_of_sqlite_runs_the_statements_of_a_body() {
    let keys = "argv = ['sqlite3', '-batch', '-cmd', '.print \"Content-Type: text/plain\\n\"', '/data/shell.db']\n\
        volumes = { '/data' = 'data' }\nlimits = { concurrency = 1 }";
    let site = site("sqlite-shell.wasm", keys);
    let asked = |statements: &str| Connection::open(started(&site).address()).post("/notes", statements).text();
    assert_eq!(asked("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2);"), "");
    assert_eq!(asked("SELECT sum(x) FROM t;"), "3\n");
}

#[test]
#[ignore = "needs curl; WAGI_GUESTS_DIR: sqlite"]
fn the_commands_of_the_page_about_sqlite_answer_as_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/sqlite.md")).expect("there is a page");
    let manifest = fs::read_to_string(root.join("examples/sqlite/modules.toml")).expect("there is an example");
    assert!(page.contains(&manifest), "the page shows the file of the example");
    let program = built_from_source("sqlite-notes.wasm");
    let manifest = manifest.replace("target/wasm32-wasip1/release/sqlite-notes.wasm", program.to_str().expect("UTF-8"));
    let site = site("sqlite-notes.wasm", "");
    site.file("modules.toml", manifest);
    curl_lines_answer_as_printed(&page, &started(&site));
}
