// The conformance program of all languages, in AssemblyScript.

import { fd_read, path_open } from "bindings/wasi_snapshot_preview1";

function env(name: string): string {
  return process.env.has(name) ? process.env.get(name) : "";
}

// What can be read there until its end.
function content(descriptor: u32): Uint8Array {
  let bytes = new Uint8Array(4096);
  let length = 0;
  const place = new Uint32Array(2), read = new Uint32Array(1);
  while (true) {
    if (length == bytes.length) {
      const more = new Uint8Array(2 * length);
      more.set(bytes);
      bytes = more;
    }
    place[0] = <u32>(bytes.dataStart + length);
    place[1] = <u32>(bytes.length - length);
    const error = fd_read(descriptor, place.dataStart, 1, read.dataStart);
    if (error != 0) throw new Error("cannot read: " + error.toString());
    if (read[0] == 0) return bytes.slice(0, length);
    length += read[0];
  }
}

// A file of the volume, whose descriptor comes behind those of the standard streams.
function file(name: string): Uint8Array {
  const path = Uint8Array.wrap(String.UTF8.encode(name));
  const opened = new Uint32Array(1);
  const error = path_open(3, 1, path.dataStart, path.length, 0, 2 /* to read */, 0, 0, opened.dataStart);
  if (error != 0) throw new Error("cannot open " + name + ": " + error.toString());
  return content(opened[0]);
}

function text(bytes: Uint8Array): string {
  return String.UTF8.decode(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

function decoded(value: string): string {
  const bytes = new Array<u8>();
  const encoded = Uint8Array.wrap(String.UTF8.encode(value));
  for (let at = 0; at < encoded.length; at++) {
    if (encoded[at] == 0x25 /* % */ && at + 2 < encoded.length) {
      bytes.push(<u8>parseInt(String.fromCharCode(encoded[at + 1]) + String.fromCharCode(encoded[at + 2]), 16));
      at += 2;
    } else {
      bytes.push(encoded[at] == 0x2b /* + */ ? 0x20 : encoded[at]);
    }
  }
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.length);
}

// The value of a field, decoded.
function value(fields: string, name: string, separator: string): string {
  const pairs = fields.split(separator);
  for (let at = 0; at < pairs.length; at++) {
    const pair = pairs[at].trimStart();
    if (pair.startsWith(name + "=")) return decoded(pair.substring(name.length + 1));
  }
  return "";
}

function conform(): void {
  const body = content(0);
  if (env("PATH_INFO") == "/binary") {
    console.log("Content-Type: application/octet-stream\n");
    body.reverse();
    process.stdout.write(body.buffer);
    return;
  }
  process.stderr.write("to standard error\n");
  console.log("Status: 201\nContent-Type: text/plain; charset=utf-8");
  console.log("Set-Cookie: first=1; Path=/\nSet-Cookie: second=2; Path=/\n");
  console.log("method: " + env("REQUEST_METHOD") + "\npath: " + env("PATH_INFO"));
  const query = env("QUERY_STRING"), form = text(body), cookies = env("HTTP_COOKIE");
  console.log("query: " + value(query, "name", "&") + " " + value(query, "n", "&"));
  console.log("form: " + value(form, "a", "&") + " " + value(form, "b", "&"));
  console.log("cookies: " + value(cookies, "one", ";") + " " + value(cookies, "two", ";"));
  process.stdout.write("file: " + text(file("conform.txt")));
}

conform();
