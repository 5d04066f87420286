;; When does the client see what a program prints? At once: each of these five events arrives as it is printed, 300 ms
;; after the one before.
;;
;;   curl --no-buffer http://127.0.0.1:3000/count
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))

  ;; Memory: 0 start and 4 length of the output, 8 bytes written, 64 what to wait for (48 bytes), 128 what happened
  ;; (32 bytes), 160 how many things did, 256 the head, 384 an event.
  (memory (export "memory") 1)
  (data (i32.const 256) "Content-Type: text/event-stream\nCache-Control: no-cache\n\n")
  (data (i32.const 384) "data: 0\n\n")

  (func (export "_start")
    (local $event i32)
    (call $print (i32.const 256) (i32.const 57))
    (loop $next
      (local.set $event (i32.add (local.get $event) (i32.const 1)))
      (i32.store8 (i32.const 390) (i32.add (i32.const 48) (local.get $event))) ;; the digit, 48 being "0"
      (call $print (i32.const 384) (i32.const 9))
      (if (i32.lt_u (local.get $event) (i32.const 5))
        (then
          (call $sleep (i64.const 300))
          (br $next)))))

  ;; A subscription to a clock; all that is not set stays zero, which says that the time is relative to now.
  (func $sleep (param $milliseconds i64)
    (i32.store8 (i32.const 72) (i32.const 0)) ;; kind: a clock
    (i32.store (i32.const 80) (i32.const 1))  ;; which: the monotonic one
    (i64.store (i32.const 88) (i64.mul (local.get $milliseconds) (i64.const 1000000)))
    (drop (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 160))))

  ;; One write is enough for so few bytes.
  (func $print (param $start i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $start))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
