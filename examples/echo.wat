;; How does a program get at the body of a request? It reads standard input to the end, and here sends all of it back.
;;
;;   curl --data 'anything' http://127.0.0.1:3000/echo
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "Content-Type: text/plain\n\n")

  ;; Memory: 0 start and 4 length of the piece to move, 8 bytes moved, 16 the head, 64 KiB and up the piece itself.
  (global $buffer i32 (i32.const 65536))
  (global $buffer_size i32 (i32.const 65536))

  (func (export "_start")
    (call $print (i32.const 16) (i32.const 26))
    (loop $next
      (i32.store (i32.const 0) (global.get $buffer))
      (i32.store (i32.const 4) (global.get $buffer_size))
      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      ;; No bytes read: the body is complete.
      (if (i32.load (i32.const 8))
        (then
          (call $print (global.get $buffer) (i32.load (i32.const 8)))
          (br $next)))))

  ;; Writes until everything is out, because one write may take only a part.
  (func $print (param $start i32) (param $length i32)
    (loop $next
      (i32.store (i32.const 0) (local.get $start))
      (i32.store (i32.const 4) (local.get $length))
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (local.set $start (i32.add (local.get $start) (i32.load (i32.const 8))))
      (local.set $length (i32.sub (local.get $length) (i32.load (i32.const 8))))
      (br_if $next (local.get $length)))))
