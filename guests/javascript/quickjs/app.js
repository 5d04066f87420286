// What does an HTTP component in JavaScript see of a request when QuickJS runs it, and can it answer in pieces?

import { waitFor } from 'wasi:clocks/monotonic-clock@0.3.0';

import { bodyOf, bytesOf, headersOf, respond } from './http.js';

const PLAIN = [['content-type', 'text/plain']];

export const handler = {
  async handle(request) {
    const target = request.getPathWithQuery();
    if (target.split('?')[0].endsWith('/stream')) {
      return respond(200, PLAIN, slowly());
    }
    const method = request.getMethod();
    const name = method.tag === 'other' ? method.val : method.tag.toUpperCase();
    const headers = headersOf(request).map(([name, value]) => `${name}: ${value}\n`).sort();
    const head = bytesOf(`${name} ${target}\n${headers.join('')}\n`);
    return respond(200, PLAIN, [head, await bodyOf(request)]);
  },
};

// Three lines, and time between them.
async function* slowly() {
  for (let number = 1; number <= 3; number++) {
    yield bytesOf(`piece ${number}\n`);
    await waitFor(100_000_000);
  }
}
