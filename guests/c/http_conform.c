/* The conformance program of all languages, as an HTTP component in C. conform.h is what wit-bindgen makes of the world in
 * guests/wit/conform.wit. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"

/* What is printed, until it is sent. */
static FILE *out;

static void must(bool done) {
    if (!done) {
        abort();
    }
}

static char *content(wasi_http_types_borrow_incoming_request_t request, size_t *length) {
    wasi_http_types_own_incoming_body_t body;
    wasi_io_streams_own_input_stream_t stream;
    must(wasi_http_types_method_incoming_request_consume(request, &body));
    must(wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream));
    char *bytes = calloc(1, 1);
    conform_list_u8_t piece;
    wasi_io_streams_stream_error_t error;
    *length = 0;
    while (wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), 16384, &piece,
                                                             &error)) {
        must((bytes = realloc(bytes, *length + piece.len + 1)) != NULL);
        memcpy(bytes + *length, piece.ptr, piece.len);
        bytes[*length += piece.len] = '\0';
        conform_list_u8_free(&piece);
    }
    must(error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    return bytes;
}

/* The value of a header field, or nothing. */
static char *field(wasi_http_types_borrow_incoming_request_t request, const char *name) {
    wasi_http_types_borrow_fields_t headers =
        wasi_http_types_borrow_fields(wasi_http_types_method_incoming_request_headers(request));
    wasi_http_types_list_field_value_t values;
    conform_string_t text;
    conform_string_set(&text, name);
    wasi_http_types_method_fields_get(headers, &text, &values);
    return values.len == 0 ? strdup("") : strndup((const char *)values.ptr[0].ptr, values.ptr[0].len);
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
        if (strncmp(fields, name, length) == 0 && fields[length] == '=') {
            for (const char *at = fields + length + 1; *at != '\0' && *at != separator; at++) {
                if (*at == '%' && at[1] != '\0' && at[2] != '\0') {
                    putc(digit(at[1]) << 4 | digit(at[2]), out);
                    at += 2;
                } else {
                    putc(*at == '+' ? ' ' : *at, out);
                }
            }
            return;
        }
        const char *end = strchr(fields, separator);
        fields = end == NULL ? "" : end + 1;
    }
}

static void print_two(const char *title, const char *fields, const char *one, const char *two, char separator) {
    fprintf(out, "%s: ", title);
    print_value(fields, one, separator);
    putc(' ', out);
    print_value(fields, two, separator);
    putc('\n', out);
}

static void describe(wasi_http_types_borrow_incoming_request_t request, const char *path, const char *body) {
    fputs("to standard error\n", stderr);
    wasi_http_types_method_t method;
    wasi_http_types_method_incoming_request_method(request, &method);
    conform_string_t target;
    must(wasi_http_types_method_incoming_request_path_with_query(request, &target));
    char *text = strndup((const char *)target.ptr, target.len), *query = strchr(text, '?');
    fprintf(out, "method: %s\npath: %s\n", method.tag == WASI_HTTP_TYPES_METHOD_POST ? "POST" : "GET", path);
    print_two("query", query == NULL ? "" : query + 1, "name", "n", '&');
    print_two("form", body, "a", "b", '&');
    print_two("cookies", field(request, "cookie"), "one", "two", ';');
    FILE *file = fopen("/www/conform.txt", "r");
    must(file != NULL);
    fprintf(out, "file: ");
    for (int byte; (byte = getc(file)) != EOF;) {
        putc(byte, out);
    }
    fclose(file);
}

static void append(wasi_http_types_borrow_fields_t fields, const char *name, const char *text) {
    conform_string_t key;
    conform_string_set(&key, name);
    wasi_http_types_field_value_t value = {(uint8_t *)text, strlen(text)};
    wasi_http_types_header_error_t invalid;
    must(wasi_http_types_method_fields_append(fields, &key, &value, &invalid));
}

static void answer(wasi_http_types_own_response_outparam_t response_out, bool is_binary, char *bytes, size_t length) {
    wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
    wasi_http_types_borrow_fields_t fields = wasi_http_types_borrow_fields(headers);
    append(fields, "content-type", is_binary ? "application/octet-stream" : "text/plain; charset=utf-8");
    if (!is_binary) {
        append(fields, "set-cookie", "first=1; Path=/");
        append(fields, "set-cookie", "second=2; Path=/");
    }
    wasi_http_types_own_outgoing_body_t body;
    wasi_io_streams_own_output_stream_t stream;
    wasi_http_types_result_own_outgoing_response_error_code_t response = {
        .is_err = false, .val.ok = wasi_http_types_constructor_outgoing_response(headers)};
    wasi_http_types_borrow_outgoing_response_t borrowed = wasi_http_types_borrow_outgoing_response(response.val.ok);
    must(wasi_http_types_method_outgoing_response_set_status_code(borrowed, is_binary ? 200 : 201));
    must(wasi_http_types_method_outgoing_response_body(borrowed, &body));
    must(wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream));
    wasi_http_types_static_response_outparam_set(response_out, &response);
    while (length > 0) {
        /* No more than 4 KiB are taken at once. */
        conform_list_u8_t piece = {(uint8_t *)bytes, length < 4096 ? length : 4096};
        wasi_io_streams_stream_error_t failed;
        must(wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream),
                                                                           &piece, &failed));
        bytes += piece.len;
        length -= piece.len;
    }
    /* What belongs to something is dropped before it. */
    wasi_io_streams_output_stream_drop_own(stream);
    wasi_http_types_error_code_t error;
    must(wasi_http_types_static_outgoing_body_finish(body, NULL, &error));
}

void exports_wasi_http_incoming_handler_handle(wasi_http_types_own_incoming_request_t request,
                                               wasi_http_types_own_response_outparam_t response_out) {
    wasi_http_types_borrow_incoming_request_t borrowed = wasi_http_types_borrow_incoming_request(request);
    size_t length;
    char *body = content(borrowed, &length), *path = field(borrowed, "wagi-path-info"), *bytes;
    bool is_binary = strcmp(path, "/binary") == 0;
    size_t size;
    must((out = open_memstream(&bytes, &size)) != NULL);
    if (is_binary) {
        while (length > 0) {
            putc((unsigned char)body[--length], out);
        }
    } else {
        describe(borrowed, path, body);
    }
    must(fclose(out) == 0);
    answer(response_out, is_binary, bytes, size);
}
