/* What does an HTTP component in C see of a request, can it answer in pieces, and which servers may it call?
 *
 * Any path answers with method, path, headers and body; one that ends in /stream with three lines and time between them; one
 * that ends in /call?url=URL with what a GET there brings. http.h is what wit-bindgen makes of the world in guests/wit. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

#define A_TENTH_OF_A_SECOND 100000000

/* Where the answer goes. The number of the resource is all a handle is, and copies of it are the same resource. */
static wasi_io_streams_borrow_output_stream_t out;

/* No more than 4 KiB are taken at once. A client that has left is no reason to go on. */
static void print_bytes(const uint8_t *bytes, size_t length) {
    while (length > 0) {
        http_list_u8_t piece = {(uint8_t *)bytes, length < 4096 ? length : 4096};
        wasi_io_streams_stream_error_t error;
        if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(out, &piece, &error)) {
            exit(1);
        }
        bytes += piece.len;
        length -= piece.len;
    }
}

static void print(const char *text) {
    print_bytes((const uint8_t *)text, strlen(text));
}

static void print_body(wasi_http_types_own_incoming_body_t body) {
    wasi_io_streams_own_input_stream_t stream;
    if (!wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream)) {
        exit(1);
    }
    http_list_u8_t piece;
    wasi_io_streams_stream_error_t error;
    while (wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), 16384, &piece,
                                                             &error)) {
        print_bytes(piece.ptr, piece.len);
        http_list_u8_free(&piece);
    }
    if (error.tag != WASI_IO_STREAMS_STREAM_ERROR_CLOSED) {
        exit(1);
    }
    /* What belongs to something is dropped before it. */
    wasi_io_streams_input_stream_drop_own(stream);
    wasi_http_types_incoming_body_drop_own(body);
}

static int by_name(const void *left, const void *right) {
    const wasi_http_types_tuple2_field_name_field_value_t *a = left, *b = right;
    size_t shorter = a->f0.len < b->f0.len ? a->f0.len : b->f0.len;
    int order = memcmp(a->f0.ptr, b->f0.ptr, shorter);
    return order != 0 ? order : (a->f0.len > b->f0.len) - (a->f0.len < b->f0.len);
}

static void print_headers(wasi_http_types_own_fields_t headers) {
    wasi_http_types_list_tuple2_field_name_field_value_t all;
    wasi_http_types_method_fields_entries(wasi_http_types_borrow_fields(headers), &all);
    qsort(all.ptr, all.len, sizeof *all.ptr, by_name);
    for (size_t index = 0; index < all.len; index++) {
        print_bytes(all.ptr[index].f0.ptr, all.ptr[index].f0.len);
        print(": ");
        print_bytes(all.ptr[index].f1.ptr, all.ptr[index].f1.len);
        print("\n");
    }
    wasi_http_types_list_tuple2_field_name_field_value_free(&all);
    wasi_http_types_fields_drop_own(headers);
}

static void print_method(wasi_http_types_borrow_incoming_request_t request) {
    static const char *const names[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    wasi_http_types_method_t method;
    wasi_http_types_method_incoming_request_method(request, &method);
    if (method.tag == WASI_HTTP_TYPES_METHOD_OTHER) {
        print_bytes(method.val.other.ptr, method.val.other.len);
    } else {
        print(names[method.tag]);
    }
}

static void describe(wasi_http_types_borrow_incoming_request_t request, const char *path) {
    print_method(request);
    print(" ");
    print(path);
    print("\n");
    print_headers(wasi_http_types_method_incoming_request_headers(request));
    print("\n");
    wasi_http_types_own_incoming_body_t body;
    if (wasi_http_types_method_incoming_request_consume(request, &body)) {
        print_body(body);
    }
}

static void stream(void) {
    char line[] = "piece 1\n";
    for (; line[6] <= '3'; line[6]++) {
        print(line);
        wasi_io_poll_own_pollable_t time = wasi_clocks_monotonic_clock_subscribe_duration(A_TENTH_OF_A_SECOND);
        wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(time));
        wasi_io_poll_pollable_drop_own(time);
    }
}

/* A GET of the URL, which begins with http:// or https://. */
static wasi_http_types_own_outgoing_request_t get(char *url) {
    bool tls = strncmp(url, "https", 5) == 0;
    char *authority = url + (tls ? 8 : 7);
    char *path = strchr(authority, '/');
    wasi_http_types_scheme_t scheme = {.tag = tls ? WASI_HTTP_TYPES_SCHEME_HTTPS : WASI_HTTP_TYPES_SCHEME_HTTP};
    http_string_t name, target;
    http_string_set(&target, path != NULL ? path : "/");
    http_string_set(&name, authority);
    name.len = path != NULL ? (size_t)(path - authority) : strlen(authority);
    wasi_http_types_own_outgoing_request_t request =
        wasi_http_types_constructor_outgoing_request(wasi_http_types_constructor_fields());
    wasi_http_types_borrow_outgoing_request_t borrowed = wasi_http_types_borrow_outgoing_request(request);
    if (!wasi_http_types_method_outgoing_request_set_scheme(borrowed, &scheme) ||
        !wasi_http_types_method_outgoing_request_set_authority(borrowed, &name) ||
        !wasi_http_types_method_outgoing_request_set_path_with_query(borrowed, &target)) {
        exit(1);
    }
    return request;
}

static void print_refusal(const wasi_http_types_error_code_t *error) {
    char line[32];
    snprintf(line, sizeof line, "refused: %d\n", error->tag);
    print(line);
}

/* Waits for the answer and prints its status and body. */
static void print_answer(wasi_http_types_own_future_incoming_response_t future) {
    wasi_http_types_borrow_future_incoming_response_t borrowed =
        wasi_http_types_borrow_future_incoming_response(future);
    wasi_io_poll_own_pollable_t ready = wasi_http_types_method_future_incoming_response_subscribe(borrowed);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
    wasi_io_poll_pollable_drop_own(ready);
    wasi_http_types_result_result_own_incoming_response_error_code_void_t answer;
    if (!wasi_http_types_method_future_incoming_response_get(borrowed, &answer) || answer.is_err) {
        exit(1);
    }
    if (answer.val.ok.is_err) {
        print_refusal(&answer.val.ok.val.err);
        return;
    }
    wasi_http_types_borrow_incoming_response_t response =
        wasi_http_types_borrow_incoming_response(answer.val.ok.val.ok);
    char line[32];
    snprintf(line, sizeof line, "status: %d\n", wasi_http_types_method_incoming_response_status(response));
    print(line);
    wasi_http_types_own_incoming_body_t body;
    if (wasi_http_types_method_incoming_response_consume(response, &body)) {
        print_body(body);
    }
}

static void call(char *url) {
    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_error_code_t error;
    if (wasi_http_outgoing_handler_handle(get(url), NULL, &future, &error)) {
        print_answer(future);
    } else {
        print_refusal(&error);
    }
}

static bool ends_with(const char *text, size_t length, const char *end) {
    size_t expected = strlen(end);
    return length >= expected && memcmp(text + length - expected, end, expected) == 0;
}

static void answer(wasi_http_types_borrow_incoming_request_t request) {
    http_string_t target;
    if (!wasi_http_types_method_incoming_request_path_with_query(request, &target)) {
        exit(1);
    }
    char *path = strndup((const char *)target.ptr, target.len);
    size_t length = strcspn(path, "?");
    if (ends_with(path, length, "/stream")) {
        stream();
    } else if (ends_with(path, length, "/call") &&
               (strncmp(path + length, "?url=http://", 12) == 0 || strncmp(path + length, "?url=https://", 13) == 0)) {
        call(path + length + 5);
    } else {
        describe(request, path);
    }
}

/* The export of the world. */
void exports_wasi_http_incoming_handler_handle(wasi_http_types_own_incoming_request_t request,
                                               wasi_http_types_own_response_outparam_t response_out) {
    wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
    http_string_t name;
    http_string_set(&name, "content-type");
    wasi_http_types_field_value_t value = {(uint8_t *)"text/plain", 10};
    wasi_http_types_header_error_t invalid;
    if (!wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(headers), &name, &value, &invalid)) {
        exit(1);
    }
    wasi_http_types_result_own_outgoing_response_error_code_t response = {
        .is_err = false, .val.ok = wasi_http_types_constructor_outgoing_response(headers)};
    wasi_http_types_own_outgoing_body_t body;
    wasi_io_streams_own_output_stream_t stream;
    if (!wasi_http_types_method_outgoing_response_body(wasi_http_types_borrow_outgoing_response(response.val.ok), &body) ||
        !wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream)) {
        exit(1);
    }
    /* The head is on its way from here on. */
    wasi_http_types_static_response_outparam_set(response_out, &response);
    out = wasi_io_streams_borrow_output_stream(stream);
    answer(wasi_http_types_borrow_incoming_request(request));
    wasi_io_streams_output_stream_drop_own(stream);
    wasi_http_types_error_code_t error;
    wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
}
