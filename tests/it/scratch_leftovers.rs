//! Guests that leave as much as they can in their scratch directories: nothing of it is left.

use crate::scratch_features::{SCRATCH, errors, left, serving};
use crate::support::eventually;
use crate::support::http1::Connection;
use crate::support::site::Site;

/// A module that calls `body` for each number from 0 to below `count`, and prints how many calls returned 0 and the last other number,
/// each in six hexadecimal digits. `$name` writes the number into memory and returns where; it has six digits.
fn repeating(count: u32, body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\10\00\00\00\27\00\00\00")
            (data (i32.const 16) "Content-Type: text/plain\n\n000000 000000")
            (data (i32.const 100) "f")
            (global $directory (mut i32) (i32.const 3))
            (func $digits (param $at i32) (param $number i32) (local $i i32) (local $digit i32)
                (local.set $i (i32.const 5))
                (loop $more
                    (local.set $digit (i32.and (local.get $number) (i32.const 15)))
                    (i32.store8 (i32.add (local.get $at) (local.get $i))
                        (i32.add (local.get $digit)
                            (select (i32.const 87) (i32.const 48) (i32.gt_u (local.get $digit) (i32.const 9)))))
                    (local.set $number (i32.shr_u (local.get $number) (i32.const 4)))
                    (local.set $i (i32.sub (local.get $i) (i32.const 1)))
                    (br_if $more (i32.ge_s (local.get $i) (i32.const 0)))))
            (func $name (param $number i32) (result i32)
                (call $digits (i32.const 200) (local.get $number)) (i32.const 200))
            (func $create (param $name i32) (param $length i32) (result i32)
                (call $open (global.get $directory) (i32.const 0) (local.get $name) (local.get $length) (i32.const 1)
                    (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 300)))
            (func $body (param $number i32) (result i32) (local $errno i32) {body})
            (func (export "_start") (local $number i32) (local $good i32) (local $errno i32) (local $last i32)
                (loop $more
                    (local.set $errno (call $body (local.get $number)))
                    (if (local.get $errno)
                        (then (local.set $last (local.get $errno)))
                        (else (local.set $good (i32.add (local.get $good) (i32.const 1)))))
                    (local.set $number (i32.add (local.get $number) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $number) (i32.const {count}))))
                (call $digits (i32.const 42) (local.get $good))
                (call $digits (i32.const 49) (local.get $last))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    )
}

const LIMITS: &str = "limits = { cpu_time = '10min', time_to_head = '10min', time_between_outputs = '10min' }";

/// How many calls succeeded, and the error number of the others. Nothing is left behind the request.
#[track_caller]
fn counted(count: u32, body: &str, volumes: &str) -> (u32, u32) {
    let site = Site::new();
    let top = format!("[server]\nscratch_directory = '{}'", site.path().join("scratch").display());
    let keys = format!("volumes = {{ {volumes} }}\n{LIMITS}");
    let wagi = site.top(&top).text_module("/", &repeating(count, body), &keys).start(&[]);
    let answer = Connection::open(wagi.address()).get("/");
    let text = answer.text();
    eventually(|| left(&wagi).is_empty().then_some(()));
    let number = |digits: Option<&str>| u32::from_str_radix(digits.expect("two numbers"), 16).expect("hexadecimal");
    let mut numbers = text.split(' ');
    (number(numbers.next()), number(numbers.next()))
}

const CREATE: &str = "(local.set $errno (call $create (call $name (local.get $number)) (i32.const 6)))
    (if (i32.eqz (local.get $errno)) (then (drop (call $close (i32.load (i32.const 300))))))
    (local.get $errno)";

const NOSPC: u32 = 51;

#[test]
fn of_a_hundred_thousand_files_there_are_as_many_as_may_be_and_then_enospc() {
    assert_eq!(counted(100_000, CREATE, "'/tmp' = { scratch = '16MiB' }"), (1024, NOSPC));
}

#[test]
fn ten_thousand_files_are_gone_with_their_request() {
    assert_eq!(counted(10_000, CREATE, "'/tmp' = { scratch = '16MiB', files = 10000 }"), (10_000, 0));
}

/// Each directory is in the one before. It is opened with all rights but that to write it as a file.
#[test]
fn a_thousand_directories_in_each_other_are_gone_with_their_request() {
    let body = "(local.set $errno (call $mkdir (global.get $directory) (i32.const 100) (i32.const 1)))
        (if (local.get $errno) (then (return (local.get $errno))))
        (local.set $errno (call $open (global.get $directory) (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 2)
            (i64.const -65) (i64.const -1) (i32.const 0) (i32.const 300)))
        (if (local.get $errno) (then (return (local.get $errno))))
        (if (i32.ne (global.get $directory) (i32.const 3)) (then (drop (call $close (global.get $directory)))))
        (global.set $directory (i32.load (i32.const 300)))
        (i32.const 0)";
    assert_eq!(counted(2_000, body, "'/tmp' = { scratch = '16MiB' }"), (1024, NOSPC));
}

/// The last one replaces another file, again and again.
#[test]
fn files_are_renamed_and_opened_again_at_the_limit() {
    let again = "(local.set $errno (call $create (call $name (i32.const 0)) (i32.const 6)))
        (if (i32.eqz (local.get $errno)) (then (drop (call $close (i32.load (i32.const 300))))))
        (if (local.get $errno) (then (return (local.get $errno))))
        (local.set $errno (call $create (i32.const 100) (i32.const 1)))
        (if (local.get $errno) (then (return (local.get $errno))))
        (drop (call $close (i32.load (i32.const 300))))
        (call $rename (i32.const 3) (call $name (i32.const 0)) (i32.const 6) (i32.const 3) (i32.const 100) (i32.const 1))";
    assert_eq!(counted(50, again, "'/tmp' = { scratch = '1MiB', files = 2 }"), (50, 0));
}

/// As many files as a guest may have open, without names, at its end.
#[test]
fn files_that_are_open_at_the_end_are_gone() {
    let body = "(local.set $errno (call $create (call $name (local.get $number)) (i32.const 6)))
        (if (local.get $errno) (then (return (local.get $errno))))
        (call $unlink (i32.const 3) (call $name (local.get $number)) (i32.const 6))";
    let (opened, errno) = counted(200, body, "'/tmp' = { scratch = '1MiB' }");
    assert!((50..=64).contains(&opened), "{opened}");
    assert_eq!(errno, 33, "EMFILE");
}

#[test]
fn the_length_of_a_sparse_file_counts_and_a_write_that_fits_in_part_writes_nothing() {
    let body = "(local.set $a (call $create (i32.const 0)))
        (call $size (local.get $a) (i64.const 1000000000000)) (call $write_at (local.get $a) (i64.const 1000000000000))
        (call $write_at (local.get $a) (i64.const 196608)) (call $write_at (local.get $a) (i64.const 196609))
        (call $size (local.get $a) (i64.const 0)) (call $write_at (local.get $a) (i64.const 196608))";
    assert_eq!(errors(&serving(body, SCRATCH, "", "")), "00 51 51 00 51 00 00");
}
