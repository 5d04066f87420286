//! Guests that make one call to the file system without end, as modules and as components, and guests that yield without end.

use std::fmt::Write;

/// A call of preview 1: its name, its parameters, and the instructions that push them. `$fd` is an open file.
struct ModuleCall {
    name: &'static str,
    parameters: &'static str,
    call: &'static str,
}

const MODULE_CALLS: [ModuleCall; 6] = [
    ModuleCall {
        name: "path_filestat_get",
        parameters: "i32 i32 i32 i32 i32",
        call: "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 512)",
    },
    ModuleCall {
        name: "fd_readdir",
        parameters: "i32 i32 i32 i64 i32",
        call: "(i32.const 3) (i32.const 512) (i32.const 4096) (i64.const 0) (i32.const 24)",
    },
    ModuleCall {
        name: "fd_pread",
        parameters: "i32 i32 i32 i64 i32",
        call: "(local.get $fd) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 24)",
    },
    ModuleCall {
        name: "fd_pwrite",
        parameters: "i32 i32 i32 i64 i32",
        call: "(local.get $fd) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 24)",
    },
    ModuleCall {
        name: "path_open",
        parameters: "i32 i32 i32 i32 i32 i64 i64 i32 i32",
        call: "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0)
            (i32.const 8)",
    },
    ModuleCall { name: "sched_yield", parameters: "", call: "" },
];

impl ModuleCall {
    /// A module that opens the file `f` of its first volume and then makes this call without end.
    fn looping(&self) -> String {
        let Self { name, parameters, call } = self;
        format!(
            r#"(module
                (import "wasi_snapshot_preview1" "path_open"
                    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "{name}" (func $call (param {parameters}) (result i32)))
                (memory (export "memory") 1)
                (data (i32.const 0) "f")
                (data (i32.const 16) "\00\01\00\00\00\10\00\00")
                (func (export "_start") (local $fd i32)
                    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)
                        (i64.const 0x1fffffff) (i64.const 0) (i32.const 0) (i32.const 8)))
                    (local.set $fd (i32.load (i32.const 8)))
                    (loop (drop (call $call {call})) (br 0))))"#
        )
    }
}

/// A method of a descriptor of `wasi:filesystem`, as a component calls it. `$fd` is its first volume, the result is stored at
/// 2048, and a path is at 64.
pub struct ComponentCall {
    pub name: &'static str,
    /// Further parameters and the result, as the interface has them.
    pub signature: &'static str,
    /// The same as core types.
    pub core: &'static str,
    /// What is pushed behind `$fd`.
    pub pushed: &'static str,
    /// What is done with the result.
    pub then: &'static str,
}

const RESULT: &str = "(i32.const 2048)";
const NAME: &str = "(i32.const 0) (i32.const 64) LENGTH (i32.const 2048)";

const IN_BOTH: [ComponentCall; 5] = [
    ComponentCall {
        name: "is-same-object",
        signature: r#"(param "other" (borrow $d)) (result bool)"#,
        core: "(param i32 i32) (result i32)",
        pushed: "(local.get $fd)",
        then: "drop",
    },
    ComponentCall {
        name: "stat",
        signature: "(result (result $stat (error $error)))",
        core: "(param i32 i32)",
        pushed: RESULT,
        then: "",
    },
    ComponentCall {
        name: "stat-at",
        signature: r#"(param "path-flags" $path-flags) (param "path" string) (result (result $stat (error $error)))"#,
        core: "(param i32 i32 i32 i32 i32)",
        pushed: NAME,
        then: "",
    },
    ComponentCall {
        name: "metadata-hash-at",
        signature: r#"(param "path-flags" $path-flags) (param "path" string) (result (result $hash (error $error)))"#,
        core: "(param i32 i32 i32 i32 i32)",
        pushed: NAME,
        then: "",
    },
    ComponentCall {
        name: "open-at",
        signature: r#"(param "path-flags" $path-flags) (param "path" string) (param "open-flags" $open-flags)
            (param "flags" $flags) (result (result (own $d) (error $error)))"#,
        core: "(param i32 i32 i32 i32 i32 i32 i32)",
        pushed: "(i32.const 0) (i32.const 64) LENGTH (i32.const 0) (i32.const 1) (i32.const 2048)",
        then: "(call $close (i32.load offset=4 (i32.const 2048)))",
    },
];

const READ_DIRECTORY: ComponentCall = ComponentCall {
    name: "read-directory",
    signature: "(result (result (own $entries) (error $error)))",
    core: "(param i32 i32)",
    pushed: RESULT,
    then: "(call $end (i32.load offset=4 (i32.const 2048)))",
};

const ERRORS: &str = "access would-block already bad-descriptor busy deadlock quota exist file-too-large illegal-byte-sequence \
    in-progress interrupted invalid io is-directory loop too-many-links message-size name-too-long no-device no-entry no-lock \
    insufficient-memory insufficient-space not-directory not-empty not-recoverable unsupported no-tty no-such-device overflow \
    not-permitted pipe read-only invalid-seek text-file-busy cross-device";

/// The types of `wasi:filesystem/types`, each exported under its name.
fn types(is_0_3: bool) -> String {
    let named = |before: &str, names: &str, after: &str| {
        names.split_whitespace().fold(String::new(), |mut text, name| {
            write!(text, " {before}\"{name}\"{after}").expect("a string takes all");
            text
        })
    };
    let kinds = "block-device character-device directory fifo symbolic-link regular-file socket";
    let (kind, error, times) = match is_0_3 {
        true => (
            format!("(variant{} (case \"other\" (option string)))", named("(case ", kinds, ")")),
            format!(
                "(variant{} (case \"other\" (option string)))",
                named("(case ", &ERRORS.replace("would-block ", ""), ")")
            ),
            "(record (field \"seconds\" s64) (field \"nanoseconds\" u32))",
        ),
        false => (
            format!("(enum \"unknown\"{})", named("", kinds, "")),
            format!("(enum{})", named("", ERRORS, "")),
            "(record (field \"seconds\" u64) (field \"nanoseconds\" u32))",
        ),
    };
    let flags = "read write file-integrity-sync data-integrity-sync requested-write-sync mutate-directory";
    let time = ["data-access", "data-modification", "status-change"].map(|what| format!("{what}-timestamp"));
    let stat = format!(
        "(record (field \"type\" $kind) (field \"link-count\" u64) (field \"size\" u64){})",
        named("(field ", &time.join(" "), " (option $time))")
    );
    let all = [
        ("time", if is_0_3 { "instant" } else { "datetime" }, times.to_owned()),
        ("kind", "descriptor-type", kind),
        ("error", "error-code", error),
        ("path-flags", "path-flags", "(flags \"symlink-follow\")".to_owned()),
        ("open-flags", "open-flags", format!("(flags{})", named("", "create directory exclusive truncate", ""))),
        ("flags", "descriptor-flags", format!("(flags{})", named("", flags, ""))),
        ("stat", "descriptor-stat", stat),
        ("hash", "metadata-hash-value", "(record (field \"lower\" u64) (field \"upper\" u64))".to_owned()),
    ];
    all.iter().fold(String::new(), |text, (id, name, definition)| {
        format!("{text}\n(type $its-{id} {definition}) (export \"{name}\" (type ${id} (eq $its-{id})))")
    })
}

impl ComponentCall {
    /// A component of `version` that makes this call without end: of its first volume, or of the file `f` there.
    fn looping(&self, version: &str) -> String {
        self.component(version, "f", "(loop CALL (br 0))")
    }

    /// A component of `version` that does this. `CALL` stands for the call of the volume, or of this path there, and what is done
    /// with the result; `$return`, in WASI 0.3, says how the component ends.
    pub fn component(&self, version: &str, path: &str, body: &str) -> String {
        let Self { name, signature, core, pushed, then } = self;
        let call = format!("(call $call (local.get $fd) {pushed}) {then} (global.set $next (i32.const 8192))");
        let body = body.replace("CALL", &call.replace("LENGTH", &format!("(i32.const {})", path.len())));
        let is_0_3 = version.starts_with("0.3");
        let (kind, lift) = if is_0_3 { ("async", "async (callback (core func $i \"cb\"))") } else { ("", "") };
        let [give, take, export] = match is_0_3 {
            true => [
                "(core func $return (canon task.return (result (result))))",
                "(import \"\" \"return\" (func $return (param i32)))",
                "(export \"return\" (func $return))",
            ],
            false => [""; 3],
        };
        let (entries, end) = match is_0_3 {
            true => ("", "(core func $end (canon resource.drop $descriptor))"),
            false => (
                "(export \"directory-entry-stream\" (type $entries (sub resource)))",
                "(alias export $types \"directory-entry-stream\" (type $entries))
                 (core func $end (canon resource.drop $entries))",
            ),
        };
        let types = types(is_0_3);
        format!(
            r#"(component
                (import "wasi:filesystem/types@{version}" (instance $types
                    (export "descriptor" (type $d (sub resource)))
                    {entries}
                    {types}
                    (export "[method]descriptor.{name}" (func {kind} (param "self" (borrow $d)) {signature}))))
                (alias export $types "descriptor" (type $descriptor))
                (import "wasi:filesystem/preopens@{version}" (instance $preopens
                    (alias outer 1 $descriptor (type $outer))
                    (export "descriptor" (type $d (eq $outer)))
                    (export "get-directories" (func (result (list (tuple (own $d) string)))))))
                (core module $libc
                    (memory (export "memory") 1)
                    (data (i32.const 64) "{path}")
                    (global $next (export "next") (mut i32) (i32.const 8192))
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                        (global.get $next)
                        (global.set $next (i32.add (global.get $next)
                            (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
                (core instance $libc (instantiate $libc))
                (core func $directories (canon lower (func $preopens "get-directories")
                    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
                (core func $call (canon lower (func $types "[method]descriptor.{name}")
                    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
                (core func $close (canon resource.drop $descriptor))
                {end}
                {give}
                (core module $m
                    {take}
                    (import "" "memory" (memory 1))
                    (import "" "next" (global $next (mut i32)))
                    (import "" "directories" (func $directories (param i32)))
                    (import "" "close" (func $close (param i32)))
                    (import "" "end" (func $end (param i32)))
                    (import "" "call" (func $call {core}))
                    (func (export "cb") (param i32 i32 i32) (result i32) (i32.const 0))
                    (func (export "run") (result i32) (local $fd i32)
                        (call $directories (i32.const 2048))
                        (local.set $fd (i32.load (i32.load (i32.const 2048))))
                        {body}
                        (i32.const 0)))
                (core instance $i (instantiate $m (with "" (instance
                    {export}
                    (export "memory" (memory $libc "memory"))
                    (export "next" (global $libc "next"))
                    (export "directories" (func $directories))
                    (export "close" (func $close))
                    (export "end" (func $end))
                    (export "call" (func $call))))))
                (func $run {kind} (result (result)) (canon lift (core func $i "run") {lift}))
                (instance $cli (export "run" (func $run)))
                (export "wasi:cli/run@{version}" (instance $cli)))"#
        )
    }
}

/// A component of WASI 0.3 that yields without end.
const YIELDS: &str = include_str!("../../../bench/guests/yield-component.wat");

/// A component of WASI 0.2 that opens the file `f` of its first volume and then does `LOOP` without end.
const OF_A_FILE: &str = include_str!("of_a_file.wat");

/// What it does, with a name.
const WITH_A_FILE: [(&str, &str); 4] = [
    ("read", "(call $pread (local.get $fd) (i64.const 4096) (i64.const 0) (i32.const 2048))"),
    ("write", "(call $pwrite (local.get $fd) (i32.const 4096) (i32.const 4096) (i64.const 0) (i32.const 2048))"),
    (
        "input-stream",
        "(call $reader (local.get $fd) (i64.const 0) (i32.const 2048))
        (local.set $stream (call $opened))
        (call $read (local.get $stream) (i64.const 4096) (i32.const 2048))
        (call $drop-in (local.get $stream))",
    ),
    (
        "output-stream",
        "(call $writer (local.get $fd) (i64.const 0) (i32.const 2048))
        (local.set $stream (call $opened))
        (call $write (local.get $stream) (i32.const 4096) (i32.const 4096) (i32.const 2048))
        (call $drop-out (local.get $stream))",
    ),
];

/// A component of WASI 0.3 that reads a stream of its first volume to its end, again and again.
const READS: &str = include_str!("reads.wat");

/// Every kind of loop with its name.
pub fn all() -> Vec<(String, String)> {
    let modules = MODULE_CALLS.iter().map(|call| (format!("module/{}", call.name), call.looping()));
    let p2 = IN_BOTH.iter().chain([&READ_DIRECTORY]);
    let p2 = p2.map(|call| (format!("0.2/{}", call.name), call.looping("0.2.0")));
    let files = WITH_A_FILE.map(|(name, what)| (format!("0.2/{name}"), OF_A_FILE.replace("LOOP", what)));
    let p3 = IN_BOTH.iter().map(|call| (format!("0.3/{}", call.name), call.looping("0.3.0")));
    let streams =
        [("read-via-stream", "(param i32 i64 i32)", "(i64.const 0)"), ("read-directory", "(param i32 i32)", "")];
    let streams = streams.map(|(name, core, pushed)| {
        let is_file = name == "read-via-stream";
        let text = READS.replace("NAME", name).replace("CORE", core).replace("PUSHED", pushed);
        let text = text.replace("PARAMETERS", if is_file { "(param \"offset\" u64)" } else { "" });
        let text = text.replace("ELEMENT", if is_file { "u8" } else { "$entry" });
        (format!("0.3/{name}"), text.replace("TARGET", if is_file { "$file" } else { "$directory" }))
    });
    let yields = ("0.3/yield".to_owned(), YIELDS.to_owned());
    modules.chain(p2).chain(files).chain(p3).chain(streams).chain([yields]).collect()
}
