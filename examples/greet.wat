;; How does one program serve several routes? It prints them from a function called `_routes`: a path below its own and
;; the function to call for it. The gateway asks once, when it starts; the route that was printed last is tried first.
;;
;;   curl http://127.0.0.1:3000/greet/hello
;;   curl http://127.0.0.1:3000/greet/goodbye/for/now
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "/hello hello\n/goodbye/... goodbye\n")
  (data (i32.const 200) "Content-Type: text/plain\n\nTry hello or goodbye below this path\n")
  (data (i32.const 300) "Content-Type: text/plain\n\nHello\n")
  (data (i32.const 400) "Content-Type: text/plain\n\nGoodbye\n")

  (func (export "_routes") (call $print (i32.const 100) (i32.const 34)))

  ;; The path itself.
  (func (export "_start") (call $print (i32.const 200) (i32.const 63)))

  (func (export "hello") (call $print (i32.const 300) (i32.const 32)))
  (func (export "goodbye") (call $print (i32.const 400) (i32.const 34)))

  ;; One write is enough for so few bytes.
  (func $print (param $start i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $start))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
