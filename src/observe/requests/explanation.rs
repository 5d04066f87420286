//! What causes a failure most of the time, and what can be done about it?
//!
//! From what the log says of the failure, and from the end of the program's standard error. The log has it behind the last words of
//! the program, and the admin listener and the pages of `wagi dev` show it.

use crate::observe::requests::last_words::LastWords;

/// What has caused a failure, and what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What went wrong most of the time.
    pub cause: String,
    /// What the developer or the operator can do.
    pub cure: String,
}

/// How a reason begins or what it has in it, the cause, and the cure. For a trap whose program has said why, that is the cause.
type KnownCause = (&'static str, &'static str, &'static str);

const LOOK: &str =
    "see its standard error, and the backtrace in `/requests` of the admin listener; `-g` adds the lines of the source";

const TRAPS: [KnownCause; 15] = [
    (
        "out of bounds memory",
        "the program read or wrote outside of its memory: a bad pointer, or an index that is too large",
        LOOK,
    ),
    (
        "memory access",
        "the program read or wrote outside of its memory: a bad pointer, or an index that is too large",
        LOOK,
    ),
    (
        "Pointer not aligned",
        "the program gave WASI a pointer that is not aligned as its type needs: a bad pointer or a wrong cast",
        LOOK,
    ),
    ("Pointer o", "the program gave WASI a pointer or a length that leads outside of its memory", LOOK),
    ("table access", "the program called a function that is not there: often a bad function pointer", LOOK),
    ("null reference", "the program used a reference that is null", LOOK),
    ("array access", "the program used an index outside of an array", LOOK),
    (
        "call stack exhausted",
        "the program called itself too deeply",
        "look for a recursion without an end; if the data are nested so deep, raise `wasm_stack` in `[limits]`",
    ),
    ("divide by zero", "the program divided by zero", LOOK),
    ("integer overflow", "a number did not fit into its type", LOOK),
    ("invalid conversion", "a number did not fit into its type", LOOK),
    ("indirect call", "the program called a function of another type: often a bad cast of a function pointer", LOOK),
    ("uninitialized element", "the program called a function that is not there: often a bad function pointer", LOOK),
    (
        "which nothing here provides",
        "the program called an import that wagi does not have, which `unknown_imports = \"trap\"` has let pass",
        "build the program without what needs it; `wagi inspect FILE` lists the imports",
    ),
    (
        "exception that nothing caught",
        "the program threw an exception that nothing caught",
        "catch it, and print a response with a status",
    ),
];

/// By the end of the request. What fits first counts, so an empty part, which fits always, comes last.
const OTHERS: [(&str, KnownCause); 21] = [
    (
        "bad-head",
        (
            "no blank line",
            "the program printed no empty line behind its header lines",
            "print `Content-Type: text/plain`, an empty line, and then the body",
        ),
    ),
    (
        "bad-head",
        (
            "none of content-type",
            "the program printed header lines without `Content-Type`, `Location` or `Status`",
            "print `Content-Type: text/plain` before the empty line",
        ),
    ),
    (
        "bad-head",
        (
            "not UTF-8",
            "the header lines are not text",
            "print `Content-Type: ...` and an empty line before binary data",
        ),
    ),
    (
        "bad-head",
        (
            "longer than",
            "the empty line behind the header lines is missing, or they are too long",
            "print an empty line behind the header lines; the limit is `response_head`",
        ),
    ),
    ("bad-head", ("more than", "there are too many header lines", "print fewer, and an empty line behind them")),
    (
        "bad-head",
        ("informational", "a status below 200 is for the server alone", "print another status, such as `Status: 200`"),
    ),
    (
        "timeout",
        (
            "CPU time",
            "the program computed for longer than `cpu_time` allows: a loop without an end, or more data than usual",
            "see where it computes with `profile` in `[debug]`; or raise `cpu_time` in `[module.limits]`",
        ),
    ),
    (
        "timeout",
        (
            "no complete head",
            "the program waited for too long before its header lines, mostly for another server or for input that does not come",
            "read no more than CONTENT_LENGTH bytes, and print the header lines early; or raise `time_to_head` in `[module.limits]`",
        ),
    ),
    (
        "timeout",
        (
            "printed nothing for",
            "the program printed a part of its response, and then nothing for too long",
            "print something now and then, and flush; or raise `time_between_outputs` in `[module.limits]`",
        ),
    ),
    (
        "output-limit",
        (
            "",
            "the program printed more than `response_body` allows",
            "raise `response_body` in `[module.limits]`, if it is no loop without an end",
        ),
    ),
    (
        "not-answered",
        (
            "not as long",
            "the body is shorter than the Content-Length that the program printed",
            "leave Content-Length out: wagi counts the body",
        ),
    ),
    (
        "not-answered",
        (
            "began its answer twice",
            "the component sent a second head of its response",
            "set the response once: what is known only later belongs into its body",
        ),
    ),
    (
        "not-answered",
        (
            "",
            "the component ended before its response was complete",
            "set the response, write its body to the end, and finish it",
        ),
    ),
    (
        "not-started",
        (
            "shutting down",
            "the server stopped while the request was under way",
            "send it again; the time that open requests get is `shutdown_grace` in `[limits]`",
        ),
    ),
    (
        "not-started",
        (
            "",
            "there was no instance of the module",
            "compare its memory and tables with `memory` and `table_elements` in `[module.limits]`",
        ),
    ),
    (
        "bad-body",
        (
            "100 (Continue)",
            "the client waits for a response before it sends its request body, and over HTTP/2 there is none",
            "send the body without `Expect: 100-continue`, or over HTTP/1.1",
        ),
    ),
    (
        "bad-body",
        (
            "",
            "the client did not send the rest of its request body in time",
            "mostly its connection broke; the limit is `body_timeout` in `[limits]`",
        ),
    ),
    (
        "busy",
        (
            "volumes hang",
            "the file system of a volume does not answer, and guests of this module wait for it already",
            "see whether the disk, or the server of the file system, is there",
        ),
    ),
    (
        "busy",
        (
            "bodies of unknown length",
            "the bodies that have come without their length fill the memory for them",
            "let clients send Content-Length; wagi need not collect such bodies",
        ),
    ),
    (
        "busy",
        (
            "all places",
            "all permits were taken, and the queue was full or too slow",
            "raise `concurrency`, `total_concurrency` or `queue`; or see what takes so long in `/requests`",
        ),
    ),
    (
        "starting",
        (
            "",
            "the server has just started, and still compiles the module of this route",
            "send it again in a few seconds; `wagi compile`, or a code cache that stays, saves the next start the work",
        ),
    ),
];

/// The line that the host adds when a program has printed nothing.
const NOTHING_PRINTED: &str = "[no head: nothing was printed]";

/// The line that the host adds when the limit on memory was reached.
const MEMORY_REFUSED: &str = "[memory: growing to ";

/// What has caused a failure that the log describes with `end` and `reason`, of a program with this end of its standard error.
pub fn explain(end: &str, reason: &str, stderr: &str) -> Option<Explanation> {
    let of = |(_, cause, cure): &KnownCause| Explanation { cause: (*cause).to_owned(), cure: (*cure).to_owned() };
    match end {
        "trap" | "exit" => {
            if stderr.contains(MEMORY_REFUSED) {
                return Some(Explanation {
                    cause: "the program asked for more memory than `memory` allows, and gave up".to_owned(),
                    cure: "raise `memory` in `[module.limits]`, for example to `\"256MiB\"`".to_owned(),
                });
            }
            if let Some(words) = LastWords::of(stderr) {
                return Some(of_last_words(&words));
            }
            let known = TRAPS.iter().find(|(start, ..)| end == "trap" && reason.contains(start));
            Some(known.map_or_else(|| of_giving_up(end, reason), of))
        }
        "bad-head" if stderr.contains(NOTHING_PRINTED) => Some(Explanation {
            cause: "the program ended without printing anything".to_owned(),
            cure: "print `Content-Type: text/plain`, an empty line, and then the body".to_owned(),
        }),
        _ => {
            let is_it = |(its_end, (part, ..)): &&(&str, KnownCause)| *its_end == end && reason.contains(part);
            OTHERS.iter().find(is_it).map(|(_, known)| of(known))
        }
    }
}

fn of_last_words(LastWords { message, place }: &LastWords) -> Explanation {
    let cure = match place {
        Some(place) => format!("mend {place}, or catch the error and print a response with a status"),
        None => "catch the error, and print a response with a status".to_owned(),
    };
    let at = place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
    Explanation { cause: format!("the program gave up{at}: {message}"), cure }
}

fn of_giving_up(end: &str, reason: &str) -> Explanation {
    let (cause, cure) = match end {
        "trap" if !reason.contains("unreachable") => ("the program did what its host does not allow", LOOK),
        "exit" => (
            "the program ended itself with an exit code that is not 0, so its response does not count",
            "see its standard error; for an error page print `Status: 500` and end with code 0",
        ),
        _ => ("the program gave up by itself: a panic, a failed assertion or `abort`", LOOK),
    };
    Explanation { cause: cause.to_owned(), cure: cure.to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::observe::metrics::end::RequestEnd;
    use crate::observe::requests::explanation::*;

    #[test]
    fn what_a_program_said_is_the_cause_and_its_place_the_cure() {
        let stderr = "thread 'main' panicked at src/main.rs:3:5:\noh no\n";
        let found = explain("trap", "the guest trapped: wasm trap: unreachable", stderr).expect("known");
        assert_eq!(found.cause, "the program gave up at src/main.rs:3:5: oh no");
        assert!(found.cure.starts_with("mend src/main.rs:3:5"), "{found:?}");
    }

    #[test]
    fn only_an_instruction_to_give_up_is_giving_up_by_itself() {
        for (reason, cause) in [
            ("wasm trap: wasm `unreachable` instruction executed", "gave up by itself"),
            ("In func wasi_snapshot_preview1::clock_time_get: Pointer not aligned to 8: Region", "not aligned"),
            ("Pointer out of bounds: Region { start: 4294967288, len: 8 }", "outside of its memory"),
            ("Pointer overflow", "outside of its memory"),
            ("wasm trap: undefined element: out of bounds table access", "a function that is not there"),
            ("wasm trap: null reference", "null"),
            ("wasm trap: out of bounds array access", "outside of an array"),
            ("something else", "does not allow"),
        ] {
            let found = explain("trap", reason, "").expect(reason);
            assert!(found.cause.contains(cause), "{reason}: {found:?}");
        }
    }

    #[test]
    fn a_limit_on_memory_comes_before_what_the_program_made_of_it() {
        let stderr =
            "[memory: growing to 9 bytes was refused: `limits.memory` is 8]\nthread 'main' panicked at a.rs:1:1:\nx\n";
        assert!(explain("trap", "", stderr).is_some_and(|found| found.cure.contains("raise `memory`")));
        let silent = explain("bad-head", "no blank line", "[no head: nothing was printed]");
        assert!(silent.is_some_and(|found| found.cause.contains("without printing")));
    }

    #[test]
    fn what_is_known_exactly_comes_before_what_fits_always() {
        for (end, reason, cause) in [
            (
                "bad-body",
                "the client waits for 100 (Continue), which is not sent over HTTP/2",
                "over HTTP/2 there is none",
            ),
            ("bad-body", "the client stopped sending the request body", "the rest of its request body"),
            ("not-answered", "the guest began its answer twice", "a second head"),
            ("not-answered", "the guest gave no complete answer: it gave none", "before its response was complete"),
            ("not-started", "the guest could not be started: the server is shutting down", "the server stopped"),
            ("not-started", "the guest could not be started: out of memory", "there was no instance"),
            ("busy", "operations on files of the module's volumes hang", "does not answer"),
            ("busy", "the memory for bodies of unknown length is full", "without their length"),
            ("busy", "all places are taken, and the queue is full or did not move in time", "all permits were taken"),
        ] {
            let found = explain(end, reason, "").expect(reason);
            assert!(found.cause.contains(cause), "{reason}: {found:?}");
        }
    }

    #[test]
    fn every_failure_of_a_guest_has_an_explanation_or_needs_none() {
        for end in RequestEnd::ALL.into_iter().filter(|end| end.is_failure() && *end != RequestEnd::Cancelled) {
            let reasons = ["all places are taken", "no blank line", "CPU time", ""];
            let found = reasons.iter().find_map(|reason| explain(end.as_str(), reason, ""));
            assert!(found.is_some(), "{end:?}");
        }
        assert_eq!(explain("ok", "", ""), None);
        assert_eq!(explain("client-gone", "", "panic: x\n"), None);
    }
}
