;; A guest that waits for 100 ms, as for another server, computes for some milliseconds, and answers.
(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    ;; Where the response is and how long, the response, and at 64 what is waited for: a clock, 100 ms from now.
    (data (i32.const 0) "\08\00\00\00\1e\00\00\00")
    (data (i32.const 8) "Content-Type: text/plain\n\ndone")
    (data (i32.const 80) "\01\00\00\00")
    (data (i32.const 88) "\00\e1\f5\05\00\00\00\00")
    (func (export "_start") (local $rounds i32)
        (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 192)))
        (local.set $rounds (i32.const 600000))
        (loop $again
            (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
            (i32.store (i32.const 200) (local.get $rounds))
            (br_if $again (local.get $rounds)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 200)))))
