;; What does a program look like that calls somebody else's server and waits for the answer? The server is at the port that
;; stands for PORT; the program prints a greeting when it has the answer, and fails without one.
(module
  (import "wasi_experimental_http" "req"
    (func $req (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))

  ;; Memory: 0 start and 4 length of the output, 8 bytes written, 16 the status, 24 the handle, 32 the method, 64 the
  ;; output, 128 the URL.
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\24\00\00\00")
  (data (i32.const 32) "GET")
  (data (i32.const 64) "Content-Type: text/plain\n\nanswered!\n")
  (data (i32.const 128) "http://127.0.0.1:PORT/")

  (func (export "_start")
    (if (call $req
          (i32.const 128) (i32.const 23)
          (i32.const 32) (i32.const 3)
          (i32.const 0) (i32.const 0)
          (i32.const 0) (i32.const 0)
          (i32.const 16) (i32.const 24))
      (then (unreachable)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
