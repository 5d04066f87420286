/* Can a C program leave functions by longjmp? As libraries do that have errors deep down. */

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

static jmp_buf start;

static void descend(int depth) {
    if (depth == 0) {
        longjmp(start, 42);
    }
    descend(depth - 1);
}

int main(void) {
    printf("Content-Type: text/plain\n\n");
    const char *query = getenv("QUERY_STRING");
    int thrown = setjmp(start);
    if (thrown == 0) {
        descend(query == NULL ? 0 : atoi(query));
    }
    printf("back with %d\n", thrown);
    return 0;
}
