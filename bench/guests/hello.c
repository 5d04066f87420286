/* What does a program in C cost? The same bytes as examples/hello.wat; also compiled natively, for CGI servers. */

#include <stdio.h>

int main(void) {
    fputs("Content-Type: text/plain\n\nHello from WebAssembly\n", stdout);
    return 0;
}
