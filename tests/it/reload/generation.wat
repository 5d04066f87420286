;; Prints the variable GENERATION: `_start` in a field of the head and in the body, `stream` also in one line of the body each
;; 20 ms, 100 times.
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))

  ;; Memory: 0 start and 4 length of the output, 8 bytes written, 12 number of variables, 16 bytes they take, 32 the head,
  ;; 128 a subscription to the clock, 192 its event, 1024 where each variable starts, 64 KiB and up the variables themselves.
  (memory (export "memory") 3)
  (data (i32.const 32) "Content-Type: text/plain\nX-Generation: ")
  (data (i32.const 72) "\n\n")
  (data (i32.const 900) "module 0")
  (global $value (mut i32) (i32.const 0))
  (global $length (mut i32) (i32.const 0))

  (func (export "_start") (call $head) (call $print (global.get $value) (global.get $length)))

  (func (export "stream")
    (local $left i32)
    (call $head)
    (local.set $left (i32.const 100))
    ;; The monotonic clock, 20 ms from now.
    (i32.store (i32.const 144) (i32.const 1))
    (i64.store (i32.const 152) (i64.const 20000000))
    (loop $next
      (call $find)
      (call $print (global.get $value) (global.get $length))
      (call $print (i32.const 72) (i32.const 1))
      (drop (call $poll (i32.const 128) (i32.const 192) (i32.const 1) (i32.const 8)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left))))

  (func $head
    (call $find)
    (call $print (i32.const 32) (i32.const 39))
    (call $print (global.get $value) (global.get $length))
    (call $print (i32.const 72) (i32.const 2)))

  ;; Looks for the variable that begins with GENERATI.
  (func $find
    (local $at i32) (local $end i32)
    (drop (call $environ_sizes_get (i32.const 12) (i32.const 16)))
    (drop (call $environ_get (i32.const 1024) (i32.const 65536)))
    (local.set $at (i32.const 1024))
    (loop $next
      (if (i64.ne (i64.load (i32.load (local.get $at))) (i64.const 0x49544152454e4547))
        (then (local.set $at (i32.add (local.get $at) (i32.const 4))) (br $next))))
    (global.set $value (i32.add (i32.load (local.get $at)) (i32.const 11)))
    (local.set $end (global.get $value))
    (loop $more
      (if (i32.load8_u (local.get $end))
        (then (local.set $end (i32.add (local.get $end) (i32.const 1))) (br $more))))
    (global.set $length (i32.sub (local.get $end) (global.get $value))))

  (func $print (param $start i32) (param $length i32)
    (loop $next
      (i32.store (i32.const 0) (local.get $start))
      (i32.store (i32.const 4) (local.get $length))
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (local.set $start (i32.add (local.get $start) (i32.load (i32.const 8))))
      (local.set $length (i32.sub (local.get $length) (i32.load (i32.const 8))))
      (br_if $next (local.get $length)))))
