// The conformance program of all languages, as an HTTP component of WASI 0.3 in JavaScript that QuickJS runs.

import { writeViaStream } from 'wasi:cli/stderr@0.3.0';
import { getDirectories } from 'wasi:filesystem/preopens@0.3.0';

import { bodyOf, bytesOf, headersOf, joined, respond, textOf } from './http.js';

export const handler = {
  async handle(request) {
    const headers = new Map(headersOf(request));
    const method = request.getMethod().tag.toUpperCase();
    const query = fields(request.getPathWithQuery().split('?')[1], '&');
    const path = headers.get('wagi-path-info') ?? '';
    const body = await bodyOf(request);
    if (path === '/binary') {
      return respond(200, [['content-type', 'application/octet-stream']], [body.reverse()]);
    }
    await writeViaStream([bytesOf('to standard error\n')]).read();
    const form = fields(textOf(body), '&');
    const cookies = fields(headers.get('cookie'), '; ');
    const value = (of, name) => of.get(name) ?? '';
    const text = `method: ${method}
path: ${path}
query: ${value(query, 'name')} ${value(query, 'n')}
form: ${value(form, 'a')} ${value(form, 'b')}
cookies: ${value(cookies, 'one')} ${value(cookies, 'two')}
file: ${await file('conform.txt')}`;
    const answered = [
      ['content-type', 'text/plain; charset=utf-8'],
      ['set-cookie', 'first=1; Path=/'],
      ['set-cookie', 'second=2; Path=/'],
    ];
    return respond(201, answered, [bytesOf(text)]);
  },
};

// The fields of a query, a form or a list of cookies.
function fields(text, separator) {
  const decoded = (part = '') => decodeURIComponent(part.replaceAll('+', ' '));
  const pairs = (text ?? '').split(separator).map((pair) => pair.split('='));
  return new Map(pairs.map(([name, value]) => [decoded(name), decoded(value)]));
}

// The content of a file of the volume.
async function file(name) {
  const [[volume]] = getDirectories();
  const opened = await volume.openAt({}, name, {}, { read: true });
  const [stream] = opened.readViaStream(0);
  const pieces = [];
  for await (const piece of stream) {
    pieces.push(piece);
  }
  return textOf(joined(pieces));
}
