// The conformance program of all languages, in JavaScript.
import * as std from 'qjs:std';

const env = (name) => std.getenv(name) ?? '';

function input() {
  const body = new Uint8Array(Number(env('CONTENT_LENGTH')));
  for (let read = 0; read < body.length; ) {
    const more = std.in.read(body.buffer, read, body.length - read);
    if (more <= 0) throw new Error('the body is cut short');
    read += more;
  }
  return body;
}

const decoded = (text) => decodeURIComponent(text.replaceAll('+', ' '));

function fields(text, separator, decode) {
  const pairs = text.split(separator).filter((pair) => pair.includes('='));
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), decode(pair.slice(pair.indexOf('=') + 1))]));
}

const body = input();
if (env('PATH_INFO') === '/binary') {
  std.out.puts('Content-Type: application/octet-stream\n\n');
  std.out.write(body.reverse().buffer, 0, body.length);
} else {
  const query = fields(env('QUERY_STRING'), '&', decoded);
  const form = fields(String.fromCharCode(...body), '&', decoded);
  const cookies = fields(env('HTTP_COOKIE'), '; ', (value) => value);
  const value = (of, name) => of[name] ?? '';
  std.err.puts('to standard error\n');
  const directory = env('SCRIPT_FILENAME').replace(/[^/]*$/, '');
  std.out.puts(`Status: 201
Content-Type: text/plain; charset=utf-8
Set-Cookie: first=1; Path=/
Set-Cookie: second=2; Path=/

method: ${env('REQUEST_METHOD')}
path: ${env('PATH_INFO')}
query: ${value(query, 'name')} ${value(query, 'n')}
form: ${value(form, 'a')} ${value(form, 'b')}
cookies: ${value(cookies, 'one')} ${value(cookies, 'two')}
file: ${std.loadFile(`${directory}conform.txt`)}`);
}
std.out.flush();
