// The conformance program of all languages, as an HTTP component in JavaScript.

import { getDirectories } from 'wasi:filesystem/preopens@0.2.10';

addEventListener('fetch', (event) => event.respondWith(conform(event.request)));

async function conform(request) {
  const body = new Uint8Array(await request.arrayBuffer());
  const path = request.headers.get('wagi-path-info') ?? '';
  if (path === '/binary') {
    return new Response(body.reverse(), { headers: { 'content-type': 'application/octet-stream' } });
  }
  console.error('to standard error');
  const query = new URL(request.url).searchParams;
  const form = new URLSearchParams(new TextDecoder().decode(body));
  const pairs = (request.headers.get('cookie') ?? '').split('; ').map((pair) => pair.split('='));
  const cookies = new Map(pairs);
  const value = (of, name) => of.get(name) ?? '';
  const headers = new Headers({ 'content-type': 'text/plain; charset=utf-8' });
  headers.append('set-cookie', 'first=1; Path=/');
  headers.append('set-cookie', 'second=2; Path=/');
  const text = `method: ${request.method}
path: ${path}
query: ${value(query, 'name')} ${value(query, 'n')}
form: ${value(form, 'a')} ${value(form, 'b')}
cookies: ${value(cookies, 'one')} ${value(cookies, 'two')}
file: ${file('conform.txt')}`;
  return new Response(text, { status: 201, headers });
}

// The content of a file of the volume. The engine has no files of its own; these are those of WASI.
function file(name) {
  const [[volume]] = getDirectories();
  const opened = volume.openAt({}, name, {}, { read: true });
  const [bytes] = opened.read(65536n, 0n);
  return new TextDecoder().decode(bytes);
}
