;; An interpreter that knows one thing to do with a script: it prints it. The first argument says which.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  ;; Memory: 0 and 4 a piece, 8 how much of it, 12 and 16 arguments and their bytes, 20 the file, 32 the head, 64 the
  ;; starts of the arguments, 1024 the arguments, 8192 what is read.
  (memory (export "memory") 1)
  (data (i32.const 32) "Content-Type: text/plain\n\n")

  (func (export "_start")
    (local $path i32)
    (local $length i32)
    (drop (call $args_sizes_get (i32.const 12) (i32.const 16)))
    (if (i32.ne (i32.load (i32.const 12)) (i32.const 1)) (then (call $proc_exit (i32.const 11))))
    (drop (call $args_get (i32.const 64) (i32.const 1024)))
    ;; Behind "/www/", without the zero byte at the end.
    (local.set $path (i32.add (i32.load (i32.const 64)) (i32.const 5)))
    (local.set $length (i32.sub (i32.load (i32.const 16)) (i32.const 6)))
    (if (call $path_open (i32.const 3) (i32.const 1) (local.get $path) (local.get $length) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 20))
      (then (call $proc_exit (i32.const 12))))
    (call $print (i32.const 32) (i32.const 26))
    (loop $next
      (i32.store (i32.const 0) (i32.const 8192))
      (i32.store (i32.const 4) (i32.const 8192))
      (if (call $fd_read (i32.load (i32.const 20)) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (if (i32.load (i32.const 8))
        (then
          (call $print (i32.const 8192) (i32.load (i32.const 8)))
          (br $next)))))

  (func $print (param $start i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $start))
    (i32.store (i32.const 4) (local.get $length))
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))))
