;; Prints a header, a blank line and a body.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "Content-Type: text/plain\n\nHello from WebAssembly!\n")

  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16)) ;; the output starts here
    (i32.store (i32.const 4) (i32.const 50)) ;; and is so many bytes long
    (drop (call $fd_write
      (i32.const 1)      ;; to standard output
      (i32.const 0)      ;; the list of pieces, start and length each
      (i32.const 1)      ;; one piece
      (i32.const 8)))))  ;; where to leave the number of bytes written
