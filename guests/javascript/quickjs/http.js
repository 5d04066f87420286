// How does a program for QuickJS read a request, and answer it? QuickJS has no fetch: these are the calls of WASI itself.

import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from 'wasi:http/types@0.2.10';

export const drop = (resource) => resource[Symbol.dispose]();

export const bytesOf = (text) => Uint8Array.from(unescape(encodeURIComponent(text)), (letter) => letter.charCodeAt(0));

export function textOf(bytes) {
  let text = '';
  for (const byte of bytes) {
    text += String.fromCharCode(byte);
  }
  return decodeURIComponent(escape(text));
}

// The header fields as pairs of a name and a text.
export function headersOf(request) {
  const fields = request.headers();
  const pairs = fields.entries().map(([name, value]) => [name, textOf(value)]);
  drop(fields);
  return pairs;
}

// The whole body of a request, or of a response.
export function bodyOf(message) {
  const body = message.consume();
  const stream = body.stream();
  const pieces = [];
  try {
    for (;;) {
      pieces.push(stream.blockingRead(65536));
    }
  } catch (error) {
    if (error.payload?.tag !== 'closed') {
      throw error;
    }
  }
  drop(stream);
  drop(body);
  return joined(pieces);
}

export function joined(pieces) {
  const bytes = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

// Answers a request. Each piece is sent before the next one is asked for.
export function respond(out, status, headers, pieces) {
  const fields = Fields.fromList(headers.map(([name, value]) => [name, bytesOf(value)]));
  const response = new OutgoingResponse(fields);
  response.setStatusCode(status);
  const body = response.body();
  ResponseOutparam.set(out, { tag: 'ok', val: response });
  const stream = body.write();
  for (const piece of pieces) {
    // One call takes no more.
    for (let at = 0; at < piece.length; at += 4096) {
      stream.blockingWriteAndFlush(piece.subarray(at, at + 4096));
    }
  }
  drop(stream);
  OutgoingBody.finish(body, null);
}
