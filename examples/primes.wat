;; What can a program compute before the first request? With `preinitialize = true` the gateway calls `wizer.initialize` once,
;; when it starts, and every request begins with the memory and the globals it left, on an instance of its own. Without the key
;; the program works as well, and counts anew for every request.
;;
;;   curl http://127.0.0.1:3000/primes
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  ;; Page 0 is for what is printed, the others are the sieve: a byte for each number, 1 if it is not prime.
  (memory (export "memory") 33)
  (global $sieve i32 (i32.const 65536))
  (global $end i32 (i32.const 2000000))
  (global $primes (mut i32) (i32.const 0))
  (data (i32.const 8) "\10\00\00\00\36\00\00\00")
  (data (i32.const 16) "Content-Type: text/plain\n\n000000 primes below 2000000\n")

  (func $count (export "wizer.initialize")
    (local $number i32) (local $multiple i32)
    (local.set $number (i32.const 2))
    (loop $next
      (if (i32.eqz (i32.load8_u (i32.add (global.get $sieve) (local.get $number))))
        (then
          (global.set $primes (i32.add (global.get $primes) (i32.const 1)))
          (local.set $multiple (i32.add (local.get $number) (local.get $number)))
          (block $struck (loop $strike
            (br_if $struck (i32.ge_u (local.get $multiple) (global.get $end)))
            (i32.store8 (i32.add (global.get $sieve) (local.get $multiple)) (i32.const 1))
            (local.set $multiple (i32.add (local.get $multiple) (local.get $number)))
            (br $strike)))))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $number) (global.get $end))))
    ;; What is zero takes no room in the preinitialized module.
    (memory.fill (global.get $sieve) (i32.const 0) (global.get $end)))

  (func (export "_start")
    (local $rest i32) (local $at i32)
    (if (i32.eqz (global.get $primes)) (then (call $count)))
    ;; The number, digit by digit from its end.
    (local.set $rest (global.get $primes))
    (local.set $at (i32.const 47))
    (loop $digit
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $rest) (i32.const 10))))
      (local.set $rest (i32.div_u (local.get $rest) (i32.const 10)))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $digit (local.get $rest)))
    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))
