;; Asks for its variables, does something, asks for its checkpoint, and prints the variables to which its old pointers lead.
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_tell" (func $tell (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 8)
  (data (i32.const 256) "checkpoint")
  (data (i32.const 272) "Content-Type: text/plain\n\n")
  (data (i32.const 304) "file.txt")
  (data (i32.const 320) "\n")
  ;; 0: the number of variables. 32: the number of arguments. 16, 20: a list of one buffer. 24: what a call has moved. 400: what was read before. 512: a stat.
  (func $print (param $at i32) (param $length i32)
    (i32.store (i32.const 16) (local.get $at))
    (i32.store (i32.const 20) (local.get $length))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24))))
  (func $length (param $at i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $at))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $end) (local.get $at)))
  (func $print_variables
    (local $index i32) (local $variable i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $index) (i32.load (i32.const 0))))
        (local.set $variable
          (i32.load (i32.add (i32.const 4096) (i32.mul (local.get $index) (i32.const 4)))))
        (br_if $done (i32.eqz (local.get $variable)))
        (call $print (local.get $variable) (call $length (local.get $variable)))
        (call $print (i32.const 320) (i32.const 1))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $next))))
  ;; Asks for its arguments: 2048 are the pointers, 400000 the strings.
  (func $ask_arguments
    (drop (call $args_sizes_get (i32.const 32) (i32.const 36)))
    (drop (call $args_get (i32.const 2048) (i32.const 400000))))
  (func $print_arguments
    (local $index i32) (local $argument i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $index) (i32.load (i32.const 32))))
        (local.set $argument (i32.load (i32.add (i32.const 2048) (i32.mul (local.get $index) (i32.const 4)))))
        (call $print (local.get $argument) (call $length (local.get $argument)))
        (call $print (i32.const 320) (i32.const 1))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $next))))
  ;; Prints 8 bytes as letters.
  (func $print_letters (param $at i32)
    (local $index i32)
    (loop $next
      (i32.store8 (i32.add (i32.const 600) (local.get $index))
        (i32.add (i32.const 97)
          (i32.rem_u (i32.load8_u (i32.add (local.get $at) (local.get $index))) (i32.const 26))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $index) (i32.const 8))))
    (call $print (i32.const 600) (i32.const 8))
    (call $print (i32.const 320) (i32.const 1)))
  ;; Opens file.txt of the first volume, and stores its descriptor.
  (func $open_file (param $at i32)
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 304) (i32.const 8) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (local.get $at))))
  ;; Reads 6 bytes of the descriptor that is stored there to 400.
  (func $read_on (param $at i32)
    (i32.store (i32.const 16) (i32.const 400))
    (i32.store (i32.const 20) (i32.const 6))
    (drop (call $read (i32.load (local.get $at)) (i32.const 16) (i32.const 1) (i32.const 28))))
  ;; Reads file.txt of the first volume to 400.
  (func $read_file
    (if (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 304) (i32.const 8) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 24)))
      (then
        (i32.store (i32.const 16) (i32.const 400))
        (i32.store (i32.const 20) (i32.const 100))
        (drop (call $read (i32.load (i32.const 24)) (i32.const 16) (i32.const 1) (i32.const 28)))
        (drop (call $close (i32.load (i32.const 24)))))))
  (func $checkpoint
    (drop (call $stat (i32.const CHECKPOINT) (i32.const 0) (i32.const 256) (i32.const 10) (i32.const 512))))
  (func (export "_start")
    (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $environ_get (i32.const 4096) (i32.const 65536)))
    BEFORE
    (call $print (i32.const 272) (i32.const 26))
    AFTER
    (call $print_variables)))
