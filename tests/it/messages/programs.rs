//! Programs that print something and then fail.

use crate::support::guest::escaped;

/// A program as a table has it: what it prints on standard error and standard output, and what it does then.
pub fn text(program: &toml::Table) -> String {
    let of = |key: &str| program.get(key).and_then(toml::Value::as_str).unwrap_or_default();
    let (stderr, stdout, then) = (of("stderr"), of("stdout"), of("then"));
    let magic = if then.contains("$magic") { "(import \"env\" \"magic\" (func $magic))" } else { "" };
    let print = |stream: u8, at: u32, text: &str| match text.len() {
        0 => String::new(),
        length => format!("(call $print (i32.const {stream}) (i32.const {at}) (i32.const {length}))"),
    };
    format!(
        "(module
            (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
            (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
            {magic}
            (memory (export \"memory\") 2) (table 1 funcref)
            (data (i32.const 100) \"{}\") (data (i32.const 4000) \"{}\")
            (func $print (param i32 i32 i32)
                (i32.store (i32.const 0) (local.get 1)) (i32.store (i32.const 4) (local.get 2))
                (drop (call $write (local.get 0) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func $recurse (call $recurse) (drop (i32.load (i32.const 0))))
            (func $work {then})
            (func $main (export \"_start\") {} {} (call $work)))",
        escaped(stderr.as_bytes()),
        escaped(stdout.as_bytes()),
        print(2, 100, stderr),
        print(1, 4000, stdout),
    )
}
