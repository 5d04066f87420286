/* What does an initializer save an HTTP component in C? It counts the primes below two million once, when the component is loaded.
   Without it, each request counts. prepared.h is what wit-bindgen makes of the world `prepared` in http.wit. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prepared.h"

enum { LIMIT = 2000000 };

static unsigned char composite[LIMIT];
static int primes;

static void must(bool done) {
    if (!done) {
        abort();
    }
}

static void count_primes(void) {
    for (int number = 2; number < LIMIT; number++) {
        if (composite[number]) {
            continue;
        }
        primes++;
        for (long long multiple = (long long)number * number; multiple < LIMIT; multiple += number) {
            composite[multiple] = 1;
        }
    }
    /* What is not needed any more would be in the file, and in the memory of each request. */
    memset(composite, 0, sizeof composite);
}

void exports_prepared_wizer_initialize(void) { count_primes(); }

void exports_wasi_http_incoming_handler_handle(wasi_http_types_own_incoming_request_t request,
                                               wasi_http_types_own_response_outparam_t response_out) {
    (void)request;
    const char *when = primes ? "before" : "now";
    if (!primes) {
        count_primes();
    }
    char *text;
    int size = asprintf(&text, "%d primes, counted %s\n", primes, when);

    wasi_http_types_own_outgoing_body_t body;
    wasi_io_streams_own_output_stream_t stream;
    wasi_http_types_result_own_outgoing_response_error_code_t response = {
        .val.ok = wasi_http_types_constructor_outgoing_response(wasi_http_types_constructor_fields())};
    must(wasi_http_types_method_outgoing_response_body(wasi_http_types_borrow_outgoing_response(response.val.ok), &body));
    must(wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream));
    wasi_http_types_static_response_outparam_set(response_out, &response);
    prepared_list_u8_t piece = {(uint8_t *)text, size};
    wasi_io_streams_stream_error_t failed;
    must(wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream),
                                                                       &piece, &failed));
    /* What belongs to something is dropped before it. */
    wasi_io_streams_output_stream_drop_own(stream);
    wasi_http_types_error_code_t error;
    must(wasi_http_types_static_outgoing_body_finish(body, NULL, &error));
}
