;; What does a program look like that its neighbours should not notice? It computes for ever and never answers.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $again
      (br $again))))
