/* Greets the name in the query. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value == NULL ? "" : value;
}

int main(void) {
    size_t length = 0;
    while (getchar() != EOF) {
        length++;
    }
    const char *name = "world";
    static char query[1024];
    snprintf(query, sizeof query, "%s", variable("QUERY_STRING"));
    for (char *field = strtok(query, "&"); field != NULL; field = strtok(NULL, "&")) {
        if (strncmp(field, "name=", 5) == 0) {
            name = field + 5;
        }
    }
    printf("Content-Type: text/plain; charset=utf-8\n\n");
    printf("Hello, %s!\n", name);
    printf("You asked for %s and sent %zu bytes.\n", variable("PATH_INFO"), length);
    /* Standard error goes to the log of the server. */
    fprintf(stderr, "greeted %s\n", name);
    return 0;
}
