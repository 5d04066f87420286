// What do the imports answer to an AssemblyScript program?
//
// Its body is a list of calls, one a line, words parted by tabs; `|` in a list of headers is a line end. It prints one
// line for each: the code and, after success, what it got.
//
//   request METHOD URL HEADERS BODY     prints status and handle
//   header HANDLE NAME ROOM             prints the value, for which there are so many bytes
//   headers HANDLE ROOM                 prints all
//   read HANDLE ROOM                    prints as much of the body
//   close HANDLE
//   outside ARGUMENT URL                a GET with one argument that lies outside of memory
//
// A handle, a room or a pointer that is `outside` is a number close to the greatest there is.

import { bodyRead, close, headerGet, headersGetAll, req } from "./wasi_experimental_http";

const OUTSIDE: usize = <usize>0xfffffff0;
const STATUS = new ArrayBuffer(2);
const HANDLE = new ArrayBuffer(4);
const WRITTEN = new ArrayBuffer(4);

function start(bytes: ArrayBuffer): usize {
  return changetype<usize>(bytes);
}

function print(text: string): void {
  process.stdout.write<string>(text);
}

// What is between two positions, byte for byte: not everything that is sent is UTF-8.
function pieces(bytes: ArrayBuffer, separator: u8): ArrayBuffer[] {
  const view = Uint8Array.wrap(bytes);
  const found = new Array<ArrayBuffer>();
  let begin = 0;
  for (let at = 0; at <= view.length; at++) {
    if (at == view.length || view[at] == separator) {
      found.push(bytes.slice(begin, at));
      begin = at + 1;
    }
  }
  return found;
}

function replaced(bytes: ArrayBuffer, old: u8, by: u8): ArrayBuffer {
  const view = Uint8Array.wrap(bytes);
  for (let at = 0; at < view.length; at++) {
    if (view[at] == old) view[at] = by;
  }
  return bytes;
}

function word(bytes: ArrayBuffer): string {
  return String.UTF8.decode(bytes);
}

function number(bytes: ArrayBuffer): u32 {
  return word(bytes) == "outside" ? <u32>OUTSIDE : <u32>U32.parseInt(word(bytes));
}

function requested(code: u32): void {
  print(code.toString());
  if (code == 0) {
    print(" " + load<u16>(start(STATUS)).toString() + " " + load<u32>(start(HANDLE)).toString());
  }
  print("\n");
}

function got(code: u32, buffer: ArrayBuffer): void {
  print(code.toString());
  if (code == 0) {
    print(" ");
    process.stdout.write<ArrayBuffer>(buffer.slice(0, load<u32>(start(WRITTEN))));
  }
  print("\n");
}

function request(words: ArrayBuffer[]): void {
  const method = words[1], url = words[2], headers = replaced(words[3], 0x7c, 0x0a), body = words[4];
  requested(req(
    start(url), url.byteLength, start(method), method.byteLength, start(headers), headers.byteLength,
    start(body), body.byteLength, start(STATUS), start(HANDLE)
  ));
}

function outside(words: ArrayBuffer[]): void {
  const argument = word(words[1]), url = words[2], method = String.UTF8.encode("GET");
  requested(req(
    argument == "url" ? OUTSIDE : start(url), url.byteLength,
    argument == "method" ? OUTSIDE : start(method), method.byteLength,
    argument == "headers" ? OUTSIDE : start(url), argument == "headers" ? 99 : 0,
    argument == "body" ? OUTSIDE : start(url), argument == "body" ? 99 : 0,
    argument == "status" ? OUTSIDE : start(STATUS),
    argument == "handle" ? OUTSIDE : start(HANDLE)
  ));
}

// Where an import is to write: into the buffer if it has room, else outside of memory.
function target(buffer: ArrayBuffer, room: u32): usize {
  return <usize>room == OUTSIDE ? OUTSIDE : start(buffer);
}

function buffer(room: u32): ArrayBuffer {
  return new ArrayBuffer(<usize>room == OUTSIDE ? 0 : <i32>room);
}

// How many bytes an import is told it may write.
function size(room: u32): usize {
  return <usize>room == OUTSIDE ? 4096 : room;
}

function header(words: ArrayBuffer[]): void {
  const name = words[2], room = number(words[3]), value = buffer(room);
  got(headerGet(
    number(words[1]), start(name), name.byteLength, target(value, room), size(room), start(WRITTEN)
  ), value);
}

function headers(words: ArrayBuffer[]): void {
  const room = number(words[2]), all = buffer(room);
  got(headersGetAll(number(words[1]), target(all, room), size(room), start(WRITTEN)), all);
}

function read(words: ArrayBuffer[]): void {
  const room = number(words[2]), piece = buffer(room);
  got(bodyRead(number(words[1]), target(piece, room), size(room), start(WRITTEN)), piece);
}

function input(): ArrayBuffer {
  let all = new ArrayBuffer(4096);
  let length = 0;
  while (true) {
    if (length == all.byteLength) {
      const grown = new ArrayBuffer(2 * length);
      memory.copy(start(grown), start(all), length);
      all = grown;
    }
    const more = process.stdin.read(all, length);
    if (more == 0) return all.slice(0, length);
    length += more;
  }
}

print("Content-Type: text/plain\n\n");
const lines = pieces(input(), 0x0a);
for (let index = 0; index < lines.length; index++) {
  const words = pieces(lines[index], 0x09);
  const verb = word(words[0]);
  if (verb == "request") request(words);
  else if (verb == "header") header(words);
  else if (verb == "headers") headers(words);
  else if (verb == "read") read(words);
  else if (verb == "close") print(close(number(words[1])).toString() + "\n");
  else if (verb == "outside") outside(words);
}
