/* Does a C program see its request? It answers with all of its arguments and variables. */

#include <stdio.h>

extern char **environ;

int main(int argc, char **argv) {
    printf("Content-Type: text/plain\n\nhello from C\n");
    for (int i = 0; i < argc; i++) {
        printf("argument %d: %s\n", i, argv[i]);
    }
    for (char **variable = environ; *variable != NULL; variable++) {
        printf("%s\n", *variable);
    }
    return 0;
}
