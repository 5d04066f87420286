;; A component of WASI 0.3 that does nothing but yield, for ever.
(component
    (core module $m
        (func (export "cb") (param i32 i32 i32) (result i32) (i32.const 1))
        (func (export "run") (result i32) (i32.const 1)))
    (core instance $i (instantiate $m))
    (func $run async (result (result)) (canon lift (core func $i "run") async (callback (core func $i "cb"))))
    (instance $cli (export "run" (func $run)))
    (export "wasi:cli/run@0.3.0" (instance $cli)))
