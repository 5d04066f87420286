// How does a program for QuickJS read a request, and answer it? QuickJS has no fetch: these are the calls of WASI 0.3 itself.

import { Fields, Request, Response } from 'wasi:http/types@0.3.0';

const DONE = { tag: 'ok' };
const NO_TRAILERS = { tag: 'ok', val: null };

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
  return request.getHeaders().copyAll().map(([name, value]) => [name, textOf(value)]);
}

// The whole body. The request is gone then.
export async function bodyOf(request) {
  const [stream] = Request.consumeBody(request, Promise.resolve(DONE));
  const pieces = [];
  for await (const piece of stream) {
    pieces.push(piece);
  }
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

// A response whose body is these pieces: a list, or a generator that makes one after the other.
export function respond(status, headers, pieces) {
  const fields = Fields.fromList(headers.map(([name, value]) => [name, bytesOf(value)]));
  const [response] = Response.new(fields, pieces, Promise.resolve(NO_TRAILERS));
  response.setStatusCode(status);
  return response;
}
