/* What does a program do that looks at its request? The same as guests/c/http_hello.c, which is a component. */

#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *path = getenv("PATH_INFO");
    char piece[16384];
    size_t length = 0, count;
    while ((count = fread(piece, 1, sizeof piece, stdin)) > 0) {
        length += count;
    }
    printf("Content-Type: text/plain\n\nYou asked for %s and sent %zu bytes\n", path, length);
    return 0;
}
