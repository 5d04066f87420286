// What does a program import to call other servers?
//
// Each function returns a code; 0 is success. Lengths and what imports write are 32 bits wide, the status 16.

// @ts-ignore: decorator
@external("wasi_experimental_http", "req")
export declare function req(
  url: usize, urlLength: usize,
  method: usize, methodLength: usize,
  headers: usize, headersLength: usize,
  body: usize, bodyLength: usize,
  status: usize, handle: usize
): u32;

// @ts-ignore: decorator
@external("wasi_experimental_http", "close")
export declare function close(handle: u32): u32;

// @ts-ignore: decorator
@external("wasi_experimental_http", "header_get")
export declare function headerGet(
  handle: u32, name: usize, nameLength: usize, value: usize, valueRoom: usize, written: usize
): u32;

// @ts-ignore: decorator
@external("wasi_experimental_http", "headers_get_all")
export declare function headersGetAll(handle: u32, buffer: usize, room: usize, written: usize): u32;

// @ts-ignore: decorator
@external("wasi_experimental_http", "body_read")
export declare function bodyRead(handle: u32, buffer: usize, room: usize, read: usize): u32;
