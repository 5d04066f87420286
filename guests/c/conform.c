/* The conformance program of all languages, in C. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *env(const char *name) {
    const char *value = getenv(name);
    return value == NULL ? "" : value;
}

static int digit(char code) {
    const char *digits = "0123456789abcdef", *found = strchr(digits, code | 0x20);
    return found == NULL ? 0 : (int)(found - digits);
}

/* Prints the value of a field, decoded. Fields end in a separator. */
static void print_value(const char *fields, const char *name, char separator) {
    size_t length = strlen(name);
    while (*fields != '\0') {
        fields += strspn(fields, " ");
        int is_it = strncmp(fields, name, length) == 0 && fields[length] == '=';
        if (is_it) {
            for (const char *at = fields + length + 1; *at != '\0' && *at != separator; at++) {
                if (*at == '%' && at[1] != '\0' && at[2] != '\0') {
                    putchar(digit(at[1]) << 4 | digit(at[2]));
                    at += 2;
                } else {
                    putchar(*at == '+' ? ' ' : *at);
                }
            }
            return;
        }
        const char *end = strchr(fields, separator);
        fields = end == NULL ? "" : end + 1;
    }
}

static void print_two(const char *title, const char *fields, const char *one, const char *two, char separator) {
    printf("%s: ", title);
    print_value(fields, one, separator);
    putchar(' ');
    print_value(fields, two, separator);
    putchar('\n');
}

int main(void) {
    size_t length = strtoul(env("CONTENT_LENGTH"), NULL, 10);
    char *body = calloc(length + 1, 1);
    if (body == NULL || fread(body, 1, length, stdin) != length) {
        return 1;
    }
    if (strcmp(env("PATH_INFO"), "/binary") == 0) {
        printf("Content-Type: application/octet-stream\n\n");
        while (length > 0) {
            putchar((unsigned char)body[--length]);
        }
        return 0;
    }
    fputs("to standard error\n", stderr);
    printf("Status: 201\nContent-Type: text/plain; charset=utf-8\n");
    printf("Set-Cookie: first=1; Path=/\nSet-Cookie: second=2; Path=/\n\n");
    printf("method: %s\npath: %s\n", env("REQUEST_METHOD"), env("PATH_INFO"));
    print_two("query", env("QUERY_STRING"), "name", "n", '&');
    print_two("form", body, "a", "b", '&');
    print_two("cookies", env("HTTP_COOKIE"), "one", "two", ';');
    FILE *file = fopen("/www/conform.txt", "r");
    if (file == NULL) {
        return 1;
    }
    printf("file: ");
    for (int byte; (byte = getc(file)) != EOF;) {
        putchar(byte);
    }
    return fclose(file) != 0;
}
