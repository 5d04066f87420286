/* A guest with debug information that divides by zero in a function that is inlined. Without a library, so that it is small. */

static volatile int zero;

static inline __attribute__((always_inline)) int divide(int a, int b) {
    return a / b;
}

__attribute__((noinline)) int calculate(int b) {
    return divide(7, b) + 1;
}

void _start(void) {
    zero = calculate(zero);
}
