//! When snapshots are loaded, made and let go.

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::warm_start::request::QueryClass;
use crate::runtime::warm_start::snapshot_places::*;

fn key(script: &str) -> SnapshotKey {
    SnapshotKey { script: Some(script.to_owned()), query: QueryClass::None, is_translated: false, arguments: None }
}

/// Snapshots that are only names, and a time that passes when it is told to.
struct Tried {
    places: SnapshotPlaces<&'static str>,
    now: Instant,
}

impl Tried {
    fn new(most: usize) -> Self {
        Self { places: SnapshotPlaces::new(most), now: Instant::now() }
    }

    fn after(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn found(&mut self, script: &str) -> String {
        match self.places.find(&key(script), || self.now) {
            FoundSnapshot::Ready(name) => (*name).to_owned(),
            FoundSnapshot::Wanted => "wanted".to_owned(),
            FoundSnapshot::Look(_) => "look".to_owned(),
            FoundSnapshot::Nothing => "nothing".to_owned(),
        }
    }

    fn made(&mut self, script: &str, name: &'static str, seconds: u64) {
        self.places.ready(&key(script), name, Duration::from_secs(seconds), self.now);
    }

    fn refused(&mut self, script: &str, reason: ColdReason) -> Option<u64> {
        self.places.refuse(&key(script), reason.into(), self.now).map(|pause| pause.as_secs())
    }
}

#[test]
fn what_was_refused_for_a_reason_that_may_pass_is_tried_again_after_a_pause_that_grows() {
    let mut tried = Tried::new(2);
    let waits = || ColdReason::Waits(Duration::from_secs(1));
    assert_eq!(tried.found("a"), "wanted");
    assert_eq!(tried.found("a"), "nothing", "it is made now");
    for pause in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
        assert_eq!(tried.refused("a", waits()), Some(pause));
        let view = tried.places.refusals(tried.now);
        assert_eq!((view[0].reason, view[0].span), ("waits", ColdSpan::Passing));
        assert_eq!(view[0].retry_in, Some(Duration::from_secs(pause)));
        assert_eq!(tried.after(pause - 1).found("a"), "nothing");
        assert_eq!(tried.after(1).found("a"), "wanted");
    }
    tried.made("a", "snapshot", 1);
    assert_eq!(tried.found("a"), "snapshot");
    let snapshot = ready(&mut tried.places, "a");
    assert!(tried.places.change(&key("a"), &snapshot, tried.now));
    assert_eq!(tried.after(1000).found("a"), "wanted");
    assert_eq!(tried.refused("a", waits()), Some(60), "it begins anew after a snapshot");
}

fn ready<S>(places: &mut SnapshotPlaces<S>, script: &str) -> Arc<S> {
    match places.find(&key(script), Instant::now) {
        FoundSnapshot::Ready(snapshot) => snapshot,
        _ => panic!("it is not ready"),
    }
}

#[test]
fn what_lies_in_the_program_is_tried_again_when_a_file_changes_that_it_had_seen() {
    let mut tried = Tried::new(2);
    assert_eq!(tried.found("a"), "wanted");
    assert_eq!(tried.refused("a", ColdReason::Random), None);
    assert_eq!(tried.after(100_000).found("a"), "nothing", "it has seen no file");
    assert_eq!(tried.found("b"), "wanted");
    let mut seen = RefusedSnapshot::from(ColdReason::Random);
    assert!(seen.files.add("/missing".into()));
    tried.places.refuse(&key("b"), seen, tried.now);
    assert_eq!(tried.found("b"), "nothing", "it was looked at just now");
    tried.after(1);
    let FoundSnapshot::Look(refusal) = tried.places.find(&key("b"), || tried.now) else { panic!("it is due") };
    assert_eq!(tried.found("b"), "nothing", "one look at a time");
    assert!(tried.places.reconsider(&key("b"), &refusal));
    assert!(!tried.places.reconsider(&key("b"), &refusal), "it is tried again already");
    assert_eq!(tried.places.counts(), (0, 1));
    let again = (*refusal).clone();
    tried.places.refuse(&key("b"), again, tried.now);
    assert_eq!(tried.after(1).found("b"), "nothing", "it is looked at more rarely");
    assert_eq!(tried.after(1).found("b"), "look");
}

#[test]
fn a_program_whose_files_change_all_the_time_is_made_more_and_more_rarely() {
    let mut tried = Tried::new(2);
    assert_eq!(tried.found("a"), "wanted");
    for pause in [80, 160, 320, 600, 600] {
        tried.made("a", "snapshot", 40);
        let snapshot = ready(&mut tried.places, "a");
        assert!(tried.places.change(&key("a"), &snapshot, tried.now));
        assert!(!tried.places.change(&key("a"), &snapshot, tried.now), "it is known");
        assert_eq!(tried.after(pause - 1).found("a"), "nothing");
        assert_eq!(tried.after(1).found("a"), "wanted");
    }
    tried.made("a", "snapshot", 40);
    let snapshot = ready(&mut tried.places, "a");
    tried.after(401);
    assert!(tried.places.change(&key("a"), &snapshot, tried.now), "it was of use");
    assert_eq!(tried.found("a"), "wanted");
}

#[test]
fn a_snapshot_that_was_let_go_is_loaded_soon_and_made_late() {
    let mut tried = Tried::new(1);
    assert_eq!(tried.found("a"), "wanted");
    tried.made("a", "first", 45);
    assert_eq!(tried.found("b"), "wanted");
    tried.made("b", "second", 45);
    assert_eq!(
        (tried.found("b").as_str(), tried.found("a").as_str()),
        ("second", "nothing"),
        "the older one is let go"
    );
    assert_eq!(tried.after(10).found("a"), "wanted");
    assert!(!tried.places.not_kept(&key("a")), "the cache has not kept it, and it is too early to make it");
    assert_eq!(tried.after(100).found("a"), "nothing");
    assert_eq!(tried.after(340).found("a"), "wanted");
    assert!(tried.places.not_kept(&key("a")), "now it is made");
}

#[test]
fn a_snapshot_that_no_request_has_asked_for_is_loaded_and_not_made() {
    let mut tried = Tried::new(1);
    assert!(tried.places.look_up(&key("a")));
    assert!(!tried.places.look_up(&key("b")), "there would be too many");
    assert!(!tried.places.not_kept(&key("a")));
    assert!(tried.places.look_up(&key("a")));
    assert_eq!(tried.found("a"), "nothing");
    assert!(tried.places.not_kept(&key("a")), "a request has asked for it meanwhile");
}

#[test]
fn many_kinds_of_requests_keep_no_other_from_its_snapshot() {
    let mut tried = Tried::new(2);
    assert_eq!((tried.found("0").as_str(), tried.found("1").as_str()), ("wanted", "wanted"));
    assert_eq!(tried.found("2"), "nothing", "two are waited for");
    tried.made("0", "snapshot", 1);
    tried.refused("1", ColdReason::Random);
    for number in 2..1000 {
        let script = number.to_string();
        assert_eq!(tried.found(&script), "wanted", "{number}");
        tried.refused(&script, ColdReason::Random);
    }
    assert_eq!(tried.found("0"), "snapshot", "those without a snapshot make room");
    assert!(tried.places.places.len() <= 2 + MAX_COLD);
}

#[test]
fn a_reload_ends_the_pauses() {
    let mut tried = Tried::new(2);
    assert_eq!(tried.found("a"), "wanted");
    tried.refused("a", ColdReason::FilesChanged);
    assert_eq!(tried.found("a"), "nothing");
    tried.places.end_pauses(tried.now);
    assert_eq!(tried.found("a"), "wanted");
}
