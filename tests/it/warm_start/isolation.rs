//! Two users in turn: nothing of one is ever in an answer to the other, and nothing is left behind.

use std::collections::HashSet;
use std::fs;

use crate::support::Dice;
use crate::support::admin::Administered;
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;

use crate::warm_start::{guest, ready, status, warm_requests};

/// 400 requests, or as many as `WAGI_WARM_REQUESTS` says.
fn requests() -> usize {
    std::env::var("WAGI_WARM_REQUESTS").ok().map_or(400, |count| count.parse().expect("a number"))
}

/// Text that only this user sends: each word of it begins with the letter of the user.
fn text(dice: &mut Dice, user: char, longest: u64) -> String {
    let word = |dice: &mut Dice| format!("{user}{:08x}{:08x}", dice.below(1 << 32), dice.below(1 << 32));
    let words: Vec<String> = (0..=dice.below(longest)).map(|_| word(dice)).collect();
    words.join("_")
}

fn descriptors(wagi: &Wagi) -> usize {
    fs::read_dir(format!("/proc/{}/fd", wagi.pid())).expect("/proc is there").count()
}

/// Prints two random numbers, its variables and its body.
fn echo() -> String {
    let draw = |at: u32| {
        format!("(drop (call $random (i32.const {at}) (i32.const 8))) (call $print_letters (i32.const {at}))")
    };
    let body = "(block $end (loop $next
        (i32.store (i32.const 16) (i32.const 300000)) (i32.store (i32.const 20) (i32.const 4096))
        (drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 28)))
        (br_if $end (i32.eqz (i32.load (i32.const 28))))
        (call $print (i32.const 300000) (i32.load (i32.const 28)))
        (br $next)))
        (call $print (i32.const 320) (i32.const 1))";
    guest("(call $checkpoint)", &format!("{} {} {body}", draw(408), draw(424)))
}

#[test]
fn nothing_of_one_user_is_in_an_answer_to_the_other() {
    let served = Administered::start(Site::new().text_module("/a/...", &echo(), "warm_start = true"), &[]);
    let wagi = &served.wagi;
    let mut connection = Connection::open(wagi.address());
    for query in ["", "?x=1", "?x"] {
        assert_eq!(connection.get(&format!("/a{query}")).status, 200);
    }
    ready(&served, "/a/...", 3);
    let (mut dice, mut tokens) = (Dice(17), HashSet::new());
    let (mut before, count, begun) = (None, requests(), warm_requests(&served, "/a/..."));
    for number in 0..count {
        let (user, other) = if number % 2 == 0 { ('A', 'B') } else { ('B', 'A') };
        let sent: Vec<String> = (0..6).map(|_| text(&mut dice, user, 6)).collect();
        let query = ["", "?q=", "?"][usize::try_from(dice.below(3)).expect("it is small")];
        let query = if query.is_empty() { String::new() } else { format!("{query}{}", sent[0]) };
        let body = if dice.below(3) == 0 { String::new() } else { sent[1].repeat(1 + number % 40) };
        connection.send(format!(
            "POST /a/{} HTTP/1.1\r\nHost: localhost\r\nCookie: sid={}\r\nX-{}: {}\r\nContent-Length: {}\r\n\r\n{body}",
            sent[2], sent[3], sent[4].replace('_', "-"), sent[5], body.len(),
        ) .replacen(" HTTP", &format!("{query} HTTP"), 1));
        let answer = connection.answer();
        let text = answer.text();
        assert_eq!(answer.status, 200, "{number}: {text}");
        for part in [&query, &body, &sent[2], &sent[3], &sent[5]] {
            assert!(text.contains(part.trim_start_matches('?')), "{number}: {part}: {text}");
        }
        let foreign = text.split(|letter: char| !letter.is_ascii_alphanumeric()).find(|text| are_words(text, other));
        assert_eq!(foreign, None, "{number}: {text}");
        let token: String = text.lines().take(2).collect();
        assert!(token.len() == 16 && tokens.insert(token), "{number}: a token was drawn twice: {text}");
        if number == count / 4 {
            before = Some((descriptors(wagi), wagi.resident()));
        }
    }
    let (open, resident) = before.expect("there were requests");
    assert!(descriptors(wagi) <= open + 4, "{} descriptors before, {} now", open, descriptors(wagi));
    assert!(wagi.resident() <= resident + (24 << 20), "{resident} bytes before, {} now", wagi.resident());
    assert_eq!(warm_requests(&served, "/a/...") - begun, count as u64, "{}", status(&served, "/a/..."));
    let log = wagi.log();
    assert_eq!(log.matches("warm start: ready").count(), 3, "{log}");
}

/// Whether these are words of a user, as `text` makes them: a letter and 16 digits.
fn are_words(text: &str, user: char) -> bool {
    let is_word = |word: &[u8]| {
        word.split_first().is_some_and(|(first, digits)| {
            char::from(*first) == user && digits.len() == 16 && digits.iter().all(u8::is_ascii_hexdigit)
        })
    };
    !text.is_empty() && text.as_bytes().chunks(17).all(is_word)
}
