//! A process that is killed while it fills the caches leaves nothing behind that is served or that stops the next start.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::oci::{digest, give, manifest, program, shelf};
use crate::support::http1::Connection;
use crate::support::process::{Wagi, command};
use crate::support::site::Site;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, eventually};

const KILLS: u64 = 50;

/// Numbers that look random and are the same in every run (Knuth's 64-bit multiplier).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A module that says `hello`, with so much in it that it takes many pieces to arrive.
fn large_program() -> String {
    let ballast = "ab".repeat(1 << 20);
    program("hello").replacen("(module", &format!("(module (@custom \"ballast\" \"{ballast}\")"), 1)
}

/// A registry that sends modules in small pieces and counts the bytes.
fn registry(content: &str) -> (Upstream, Arc<AtomicU64>) {
    let (shelf, sent) = (shelf(content), Arc::new(AtomicU64::new(0)));
    let counter = sent.clone();
    let server = Upstream::start_with(move |received, stream| {
        for piece in give(&shelf, received).chunks(16 << 10) {
            stream.write_all(piece)?;
            counter.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        Ok::<_, io::Error>(())
    });
    (server, sent)
}

fn start(site: &Site) -> Command {
    let mut command = command(site.path());
    command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]).env("XDG_CACHE_HOME", site.path().join("home"));
    command
}

/// Starts a server, waits until the registry has sent so many bytes, and then a little longer, and kills it.
fn kill_after(site: &Site, sent: &AtomicU64, bytes: u64, and: Duration) {
    let before = sent.load(Ordering::SeqCst);
    let mut child = start(site).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("wagi can be started");
    eventually(|| {
        let is_there = sent.load(Ordering::SeqCst) - before >= bytes;
        (is_there || child.try_wait().expect("it is our child").is_some()).then_some(())
    });
    // The moment of death is what this test is about: behind the last byte there is no event to wait for.
    thread::sleep(and);
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
}

#[test]
fn a_start_after_a_kill_at_any_moment_serves_the_right_bytes() {
    let content = large_program();
    let (server, sent) = registry(&content);
    let base = format!("oci:127.0.0.1:{}/app", server.port());
    let mut dice = Dice(2_026);
    let length = content.len() as u64;
    let begun = Instant::now();
    let (mut in_the_middle, mut at_the_end) = (0, 0);
    for round in 0..KILLS {
        let version = if round % 2 == 0 { ":1".to_owned() } else { format!("@{}", digest(&manifest(&content))) };
        let site = Site::new().module("/", Path::new(&(base.clone() + &version)), "");
        site.write();
        // Two in three die during the download, the others while the file gets its name, is compiled, and that is kept.
        let (bytes, and) = match dice.below(3) {
            0 => (length, Duration::from_micros(dice.below(60_000))),
            _ => (dice.below(length), Duration::ZERO),
        };
        kill_after(&site, &sent, bytes, and);
        let modules = site.path().join("home/wagi/modules");
        let kept = modules.join(&digest(&content)[7..]);
        match kept.exists() {
            true => at_the_end += 1,
            false => in_the_middle += 1,
        }
        assert!(fs::read(&kept).is_ok_and(|bytes| bytes == content.as_bytes()) || !kept.exists(), "round {round}");
        let wagi = Wagi::spawn(&mut start(&site));
        assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello", "round {round}");
        drop(wagi);
        // What the dead have left is in nobody's way, and what is there is right.
        for entry in fs::read_dir(&modules).expect("a directory").map(|entry| entry.expect("an entry")) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_file() {
                let found = fs::read_to_string(entry.path()).expect("text");
                assert_eq!(digest(&found)[7..], name, "round {round}");
            }
        }
    }
    assert!(in_the_middle > KILLS / 4 && at_the_end > 0, "{in_the_middle} {at_the_end}");
    assert!(begun.elapsed() < 4 * PATIENCE, "it took {:?}", begun.elapsed());
}
