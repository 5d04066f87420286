// What does the server say whose URL is the query string?

import { bodyRead, close, headerGet, req } from "./wasi_experimental_http";

const status = new ArrayBuffer(2);
const handle = new ArrayBuffer(4);
const length = new ArrayBuffer(4);
const piece = new ArrayBuffer(4096);

// Where the bytes are.
function at(bytes: ArrayBuffer): usize {
  return changetype<usize>(bytes);
}

function fetch(url: ArrayBuffer): void {
  const method = String.UTF8.encode("GET");
  const name = String.UTF8.encode("content-type");
  const code = req(
    at(url), url.byteLength, at(method), method.byteLength,
    0, 0, // no headers
    0, 0, // no body
    at(status), at(handle)
  );
  if (code != 0) {
    console.log("refused: " + code.toString());
    return;
  }
  const answer = load<u32>(at(handle));
  console.log("status: " + load<u16>(at(status)).toString());
  if (headerGet(answer, at(name), name.byteLength, at(piece), piece.byteLength, at(length)) == 0) {
    console.log("type: " + String.UTF8.decode(piece.slice(0, load<u32>(at(length)))));
  }
  while (bodyRead(answer, at(piece), piece.byteLength, at(length)) == 0 && load<u32>(at(length)) > 0) {
    process.stdout.write<ArrayBuffer>(piece.slice(0, load<u32>(at(length))));
  }
  close(answer);
}

console.log("Content-Type: text/plain");
console.log("");
fetch(String.UTF8.encode(process.argv[1]));
