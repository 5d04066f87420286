;; What does a component look like that does nothing but use files, without end? It asks again and again whether its first volume
;; is itself.
(component
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (export "descriptor" (type $d (sub resource)))
    (export "[method]descriptor.is-same-object"
      (func (param "self" (borrow $d)) (param "other" (borrow $d)) (result bool)))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $d (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $d) string)))))))
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.add (global.get $next)
        (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
  (core instance $libc (instantiate $libc))
  (core func $directories (canon lower (func $preopens "get-directories")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $same (canon lower (func $types "[method]descriptor.is-same-object")))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "directories" (func $directories (param i32)))
    (import "" "same" (func $same (param i32 i32) (result i32)))
    (func (export "run") (result i32) (local $fd i32)
      (call $directories (i32.const 0))
      (local.set $fd (i32.load (i32.load (i32.const 0))))
      (loop $again
        (drop (call $same (local.get $fd) (local.get $fd)))
        (br $again))
      (i32.const 0)))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $libc "memory"))
    (export "directories" (func $directories))
    (export "same" (func $same))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
