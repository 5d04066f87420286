// The conformance program of all languages, as an HTTP component in JavaScript that QuickJS runs.

import { getStderr } from 'wasi:cli/stderr@0.2.10';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.10';

import { bodyOf, bytesOf, drop, headersOf, respond, textOf } from './http.js';

export const incomingHandler = {
  handle(request, out) {
    const headers = new Map(headersOf(request));
    const path = headers.get('wagi-path-info') ?? '';
    const body = bodyOf(request);
    if (path === '/binary') {
      return respond(out, 200, [['content-type', 'application/octet-stream']], [body.reverse()]);
    }
    complain('to standard error\n');
    const query = fields(request.pathWithQuery().split('?')[1], '&');
    const form = fields(textOf(body), '&');
    const cookies = fields(headers.get('cookie'), '; ');
    const value = (of, name) => of.get(name) ?? '';
    const text = `method: ${request.method().tag.toUpperCase()}
path: ${path}
query: ${value(query, 'name')} ${value(query, 'n')}
form: ${value(form, 'a')} ${value(form, 'b')}
cookies: ${value(cookies, 'one')} ${value(cookies, 'two')}
file: ${file('conform.txt')}`;
    const answered = [
      ['content-type', 'text/plain; charset=utf-8'],
      ['set-cookie', 'first=1; Path=/'],
      ['set-cookie', 'second=2; Path=/'],
    ];
    respond(out, 201, answered, [bytesOf(text)]);
  },
};

// The fields of a query, a form or a list of cookies.
function fields(text, separator) {
  const decoded = (part = '') => decodeURIComponent(part.replaceAll('+', ' '));
  const pairs = (text ?? '').split(separator).map((pair) => pair.split('='));
  return new Map(pairs.map(([name, value]) => [decoded(name), decoded(value)]));
}

function complain(text) {
  const stream = getStderr();
  stream.blockingWriteAndFlush(bytesOf(text));
  drop(stream);
}

// The content of a file of the volume.
function file(name) {
  const [[volume]] = getDirectories();
  const opened = volume.openAt({}, name, {}, { read: true });
  const [bytes] = opened.read(65536, 0);
  drop(opened);
  return textOf(bytes);
}
