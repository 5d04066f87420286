//! A process that is killed while it fills the caches leaves nothing behind that is served or that stops the next start.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::oci::{digest, give, manifest, program, shelf};
use crate::support::http1::Connection;
use crate::support::process::{Ending, Wagi, command};
use crate::support::site::Site;
use crate::support::upstream::Upstream;
use crate::support::{Dice, eventually};

const KILLS: u64 = 50;

/// How much a registry sends at once.
const PIECE: usize = 16 << 10;

/// How much is in a module for no other reason than that it takes many pieces to arrive.
const BALLAST: u64 = 2 << 20;

/// A module that says `hello`.
fn large_program() -> String {
    let ballast = "ab".repeat(BALLAST as usize / 2);
    program("hello").replacen("(module", &format!("(module (@custom \"ballast\" \"{ballast}\")"), 1)
}

/// How much a registry has sent, and how much it may send before it waits.
#[derive(Default)]
struct Flow {
    sent: u64,
    allowed: u64,
}

/// What makes a registry stop in the middle.
#[derive(Clone, Default)]
struct Valve(Arc<(Mutex<Flow>, Condvar)>);

impl Valve {
    /// Begins to count anew, and lets so many bytes pass.
    fn open_for(&self, bytes: u64) {
        *self.0.0.lock().unwrap() = Flow { sent: 0, allowed: bytes };
        self.0.1.notify_all();
    }

    /// Waits until so many more bytes may be sent, and counts them.
    fn take(&self, bytes: u64) {
        let flow = self.0.0.lock().unwrap();
        let mut flow = self.0.1.wait_while(flow, |flow| flow.sent + bytes > flow.allowed).unwrap();
        flow.sent += bytes;
    }

    /// How much has passed.
    fn sent(&self) -> u64 {
        self.0.0.lock().unwrap().sent
    }

    /// Whether not even one more piece may pass.
    fn is_exhausted(&self) -> bool {
        let flow = self.0.0.lock().unwrap();
        flow.sent + PIECE as u64 > flow.allowed
    }
}

/// A registry that sends modules in small pieces, as far as it may.
fn registry(content: &str) -> (Upstream, Valve) {
    let (shelf, valve) = (shelf(content), Valve::default());
    let for_server = valve.clone();
    let server = Upstream::start_with(move |received, stream| {
        for piece in give(&shelf, received).chunks(PIECE) {
            for_server.take(piece.len() as u64);
            stream.write_all(piece)?;
        }
        Ok::<_, io::Error>(())
    });
    (server, valve)
}

fn start(site: &Site) -> Command {
    let mut command = command(site.path());
    command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]).env("XDG_CACHE_HOME", site.path().join("home"));
    command
}

/// When a server is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// When the registry has sent so many bytes and waits.
    InTheDownload(u64),
    /// A while after the last byte: while the file is checked, gets its name, is compiled, and that is kept.
    BehindIt(Duration),
    /// A while after the file has got its name.
    WithTheName(Duration),
}

/// Two in three are in the download.
fn moment(dice: &mut Dice, length: u64) -> Moment {
    match dice.below(6) {
        0 => Moment::BehindIt(Duration::from_micros(dice.below(60_000))),
        1 => Moment::WithTheName(Duration::from_micros(dice.below(60_000))),
        _ => Moment::InTheDownload(dice.below(length)),
    }
}

/// Starts a server over an empty cache and kills it. In the cache, the module is to get the name `kept`.
fn kill_at(moment: Moment, start: &mut Command, valve: &Valve, kept: &Path) {
    valve.open_for(if let Moment::InTheDownload(bytes) = moment { bytes } else { u64::MAX });
    let child = start.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("wagi can be started");
    let mut child = Ending(child);
    match moment {
        Moment::InTheDownload(_) => eventually(|| valve.is_exhausted().then_some(())),
        Moment::BehindIt(_) => eventually(|| (valve.sent() > BALLAST).then_some(())),
        Moment::WithTheName(_) => eventually(|| kept.exists().then_some(())),
    }
    if let Moment::BehindIt(and) | Moment::WithTheName(and) = moment {
        // The moment of death is what this test is about: there is no event to wait for.
        thread::sleep(and);
    }
    child.0.kill().expect("it is our child");
    child.0.wait().expect("it is our child");
    match moment {
        Moment::InTheDownload(_) => assert!(!kept.exists(), "{moment:?}"),
        Moment::BehindIt(_) => {}
        Moment::WithTheName(_) => assert!(kept.exists(), "{moment:?}"),
    }
}

/// A server over a site, and how long its start took.
fn started(site: &Site, valve: &Valve) -> (Wagi, Duration) {
    valve.open_for(u64::MAX);
    let begun = Instant::now();
    let wagi = Wagi::spawn(&mut start(site));
    (wagi, begun.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Every file of the cache is named by its digest.
#[track_caller]
fn is_right(modules: &Path) {
    for entry in fs::read_dir(modules).expect("a directory").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() {
            let found = fs::read_to_string(entry.path()).expect("text");
            assert_eq!(digest(&found)[7..], name);
        }
    }
}

#[test]
fn a_start_after_a_kill_at_any_moment_serves_the_right_bytes() {
    let content = large_program();
    let (server, valve) = registry(&content);
    let base = format!("oci:127.0.0.1:{}/app", server.port());
    let mut dice = Dice(2_026);
    let (mut moments, mut first_starts, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..KILLS {
        let version = if round % 2 == 0 { ":1".to_owned() } else { format!("@{}", digest(&manifest(&content))) };
        let site = || {
            let site = Site::new().module("/", Path::new(&(base.clone() + &version)), "");
            site.write();
            site
        };
        if round % 10 == 0 {
            first_starts.push(started(&site(), &valve).1);
        }
        let site = site();
        let modules = site.path().join("home/wagi/modules");
        let kept = modules.join(&digest(&content)[7..]);
        moments.push(moment(&mut dice, content.len() as u64));
        kill_at(moments[moments.len() - 1], &mut start(&site), &valve, &kept);
        assert!(fs::read(&kept).is_ok_and(|bytes| bytes == content.as_bytes()) || !kept.exists(), "round {round}");
        let (wagi, time) = started(&site, &valve);
        assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello", "round {round}");
        starts.push(time);
        drop(wagi);
        // What the dead have left is in nobody's way, and what is there is right.
        is_right(&modules);
    }
    let in_the_middle = moments.iter().filter(|moment| matches!(moment, Moment::InTheDownload(_))).count();
    let with_the_name = moments.iter().filter(|moment| matches!(moment, Moment::WithTheName(_))).count();
    assert!(in_the_middle > moments.len() / 4 && with_the_name > 0, "{moments:?}");
    // Nothing that the dead have left is waited for: a start takes as long as one over empty caches.
    let (first, again) = (median(first_starts), median(starts));
    assert!(again < 3 * first, "{again:?}, and {first:?} over empty caches");
}
