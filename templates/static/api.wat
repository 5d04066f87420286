;; Prints a header, a blank line and a body. Any other program can take its place.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "Content-Type: application/json\n\n{\"message\": \"Hello from the API!\"}\n") ;; the text, at 16

  (func (export "_start")
    (local $length i32)
    (loop $next ;; counts the bytes of the text, up to the first zero behind it
      (local.set $length (i32.add (local.get $length) (i32.const 1)))
      (br_if $next (i32.load8_u offset=16 (local.get $length))))
    (i32.store (i32.const 0) (i32.const 16))      ;; the output starts here
    (i32.store (i32.const 4) (local.get $length)) ;; and has this length
    (drop (call $fd_write
      (i32.const 1)      ;; to standard output
      (i32.const 0)      ;; the list of pieces, start and length each
      (i32.const 1)      ;; one piece
      (i32.const 8)))))  ;; where to leave the number of bytes written
