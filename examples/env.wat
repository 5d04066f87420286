;; What does a program know about its request? Everything but the body is in the environment, which this one prints.
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))

  ;; Memory: 0 start and 4 length of the output, 8 bytes written, 12 number of variables, 16 bytes they take, 32 the
  ;; head, 1024 where each variable starts, 64 KiB and up the variables themselves. A megabyte is more than they can be.
  (memory (export "memory") 16)
  (data (i32.const 32) "Content-Type: text/plain\n\n")
  (global $variables i32 (i32.const 65536))

  (func (export "_start")
    (local $here i32)
    (local $end i32)
    (drop (call $environ_sizes_get (i32.const 12) (i32.const 16)))
    (drop (call $environ_get (i32.const 1024) (global.get $variables)))

    ;; They lie one behind the other, each ended by a zero byte. A line feed in its place makes them lines.
    (local.set $here (global.get $variables))
    (local.set $end (i32.add (global.get $variables) (i32.load (i32.const 16))))
    (loop $next
      (if (i32.lt_u (local.get $here) (local.get $end))
        (then
          (if (i32.eqz (i32.load8_u (local.get $here)))
            (then (i32.store8 (local.get $here) (i32.const 10))))
          (local.set $here (i32.add (local.get $here) (i32.const 1)))
          (br $next))))

    (call $print (i32.const 32) (i32.const 26))
    (call $print (global.get $variables) (i32.load (i32.const 16))))

  ;; Writes until everything is out, because one write may take only a part.
  (func $print (param $start i32) (param $length i32)
    (loop $next
      (i32.store (i32.const 0) (local.get $start))
      (i32.store (i32.const 4) (local.get $length))
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (local.set $start (i32.add (local.get $start) (i32.load (i32.const 8))))
      (local.set $length (i32.sub (local.get $length) (i32.load (i32.const 8))))
      (br_if $next (local.get $length)))))
