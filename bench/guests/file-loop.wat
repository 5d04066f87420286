;; What does a program look like that does nothing but use files, without end? It opens the file `f` of its first volume and
;; repeats one call, which stands in for the words in capitals.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "NAME" (func $call (param PARAMETERS) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "f")
  (data (i32.const 16) "\00\01\00\00\00\10\00\00")
  (func (export "_start") (local $fd i32)
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)
      (i64.const 0x1fffffff) (i64.const 0) (i32.const 0) (i32.const 8)))
    (local.set $fd (i32.load (i32.const 8)))
    (loop $again
      (drop (call $call CALL))
      (br $again))))
