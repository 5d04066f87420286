/* What does an HTTP component in C see of a request? http.h is what wit-bindgen makes of the world in http.wit. */

#include <stdio.h>
#include <stdlib.h>

#include "http.h"

static void must(bool done) {
    if (!done) {
        abort();
    }
}

static uint64_t length_of_body(wasi_http_types_borrow_incoming_request_t request) {
    wasi_http_types_own_incoming_body_t body;
    wasi_io_streams_own_input_stream_t stream;
    must(wasi_http_types_method_incoming_request_consume(request, &body));
    must(wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream));
    uint64_t total = 0;
    http_list_u8_t piece;
    wasi_io_streams_stream_error_t error;
    while (wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), 16384, &piece,
                                                             &error)) {
        total += piece.len;
        http_list_u8_free(&piece);
    }
    must(error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    return total;
}

void exports_wasi_http_incoming_handler_handle(wasi_http_types_own_incoming_request_t request,
                                               wasi_http_types_own_response_outparam_t response_out) {
    http_string_t path;
    must(wasi_http_types_method_incoming_request_path_with_query(wasi_http_types_borrow_incoming_request(request), &path));
    uint64_t length = length_of_body(wasi_http_types_borrow_incoming_request(request));
    char *text;
    int size = asprintf(&text, "You asked for %.*s and sent %llu bytes\n", (int)path.len, (const char *)path.ptr, length);

    wasi_http_types_own_outgoing_body_t body;
    wasi_io_streams_own_output_stream_t stream;
    wasi_http_types_result_own_outgoing_response_error_code_t response = {
        .val.ok = wasi_http_types_constructor_outgoing_response(wasi_http_types_constructor_fields())};
    must(wasi_http_types_method_outgoing_response_body(wasi_http_types_borrow_outgoing_response(response.val.ok), &body));
    must(wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream));
    wasi_http_types_static_response_outparam_set(response_out, &response);
    /* No more than 4 KiB are taken at once. */
    http_list_u8_t piece = {(uint8_t *)text, size < 4096 ? size : 4096};
    wasi_io_streams_stream_error_t failed;
    must(wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream),
                                                                       &piece, &failed));
    /* What belongs to something is dropped before it. */
    wasi_io_streams_output_stream_drop_own(stream);
    wasi_http_types_error_code_t error;
    must(wasi_http_types_static_outgoing_body_finish(body, NULL, &error));
}
