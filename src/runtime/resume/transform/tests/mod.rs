//! Programs that are made at random, stopped in a random call, and go on.
//!
//! | file | question |
//! | --- | --- |
//! | `generator` | which programs are there? |
//! | `runs` | what does a program do, in one piece and in two? |

mod generator;
mod runs;

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::transform::slips;
use crate::runtime::resume::transform::slips::Slip;
use crate::runtime::resume::transform::tests::generator::program;
use crate::runtime::resume::transform::tests::runs::{Engines, Resumed};

/// Stops the program of each seed, and returns how many programs went on as if they had not stopped, and how many did not.
fn resume(seeds: std::ops::Range<u64>) -> (usize, Vec<u64>) {
    let engines = Engines::new();
    let (mut same, mut different) = (0, Vec::new());
    for seed in seeds {
        match engines.resume(&program(seed), seed) {
            Resumed::NoCall => {}
            Resumed::Same => same += 1,
            Resumed::Different => different.push(seed),
            Resumed::Refused(refusal) => panic!("the program of seed {seed} is refused: {refusal}"),
        }
    }
    (same, different)
}

/// 500 programs, or as many as `WAGI_PROGRAMS` says.
#[test]
fn programs_go_on_as_if_they_had_not_stopped() {
    let programs = std::env::var("WAGI_PROGRAMS").ok().map_or(500, |count| count.parse().expect("a number"));
    let (same, different) = resume(0..programs);
    assert!(different.is_empty(), "{different:?}");
    assert!(same as u64 > programs * 6 / 10, "only {same} programs made a call");
}

#[test]
fn each_mistake_of_the_transformation_is_found() {
    for slip in [Slip::SpillLeftOut, Slip::DepthOffByOne, Slip::FlagKept, Slip::LocalLeftOut] {
        let engines = Engines::new();
        let found = (0..200).any(|seed| {
            let resumed = slips::with(slip, || engines.resume(&program(seed), seed));
            matches!(resumed, Resumed::Different)
        });
        assert!(found, "{slip:?}");
    }
}

/// What each module is refused for. It calls the import of the generated programs in a way that cannot be resumed.
#[test]
fn what_cannot_be_resumed_is_refused_by_name() {
    let start = |body: &str, fields: &str| {
        format!(
            r#"(module (import "host" "stop" (func $stop (param i32) (result i32))) (import "host" "note" (func (param i64)))
            {fields} (func $start (export "_start") {body}))"#
        )
    };
    let memory = r#"(memory (export "memory") 1)"#;
    let stop = "(drop (call $stop (i32.const 1)))";
    let with = |fields: &str| format!("{memory} {fields}");
    let cases = [
        (ColdReason::ReferenceLocals, start(&format!("(local funcref) {stop}"), memory)),
        (ColdReason::ReferenceGlobals, start(stop, &with("(global (mut funcref) (ref.null func))"))),
        (
            ColdReason::ChangedTables,
            start(stop, &with("(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))")),
        ),
        (ColdReason::PassiveSegments, start(stop, &with("(data $d \"x\") (func (data.drop $d))"))),
        // What needs a collector is refused before.
        (ColdReason::Module, start(&format!("(block $b (try_table (catch_all $b) {stop}))"), memory)),
        (ColdReason::BlockParameters, start("(i32.const 1) (block (param i32) (call $stop) (drop))", memory)),
        (
            ColdReason::ReferenceBranches,
            start(&format!("(block $b (drop (br_on_null $b (ref.null func))) ) (drop (i32.const 1)) {stop}"), memory),
        ),
        (
            ColdReason::IndirectCheckpoint,
            start(
                "(drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 0)))",
                &with("(table 1 funcref) (elem (i32.const 0) $stop)"),
            ),
        ),
        (ColdReason::Memories, start(stop, &with("(memory 1)"))),
        (ColdReason::EntryPoint, start("(nop)", &with(&format!("(func $first {stop}) (start $first)")))),
    ];
    let engines = Engines::new();
    for (refusal, text) in cases {
        let module = wat::parse_str(&text).expect("a module");
        match engines.resume(&module, 0) {
            Resumed::Refused(found) => assert_eq!(found, refusal, "{text}"),
            _ => panic!("not refused: {text}"),
        }
    }
}
