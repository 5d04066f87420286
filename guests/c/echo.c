/* Does a C program get the body unharmed? It sends back what it reads, whatever the bytes are. */

#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *type = getenv("CONTENT_TYPE");
    printf("Content-Type: %s\n\n", type != NULL && *type != '\0' ? type : "application/octet-stream");

    char piece[4096];
    size_t length;
    while ((length = fread(piece, 1, sizeof piece, stdin)) > 0) {
        if (fwrite(piece, 1, length, stdout) != length) {
            return 1;
        }
    }
    return ferror(stdin) || fflush(stdout) != 0;
}
