// What does an HTTP component in JavaScript see of a request when QuickJS runs it, can it answer in pieces, and which servers may
// it call? The same as javascript/app.js.

import { subscribeDuration } from 'wasi:clocks/monotonic-clock@0.2.10';
import { handle as send } from 'wasi:http/outgoing-handler@0.2.10';
import { Fields, OutgoingRequest } from 'wasi:http/types@0.2.10';

import { bodyOf, bytesOf, drop, headersOf, joined, respond } from './http.js';

const PLAIN = [['content-type', 'text/plain']];

export const incomingHandler = {
  handle(request, out) {
    const target = request.pathWithQuery();
    const [path, query = ''] = target.split(/\?(.*)/s);
    if (path.endsWith('/stream')) {
      return respond(out, 200, PLAIN, slowly());
    }
    if (path.endsWith('/call')) {
      return respond(out, 200, PLAIN, [called(query.replace(/^url=/, ''))]);
    }
    const method = request.method();
    const name = method.tag === 'other' ? method.val : method.tag.toUpperCase();
    const headers = headersOf(request).map(([name, value]) => `${name}: ${value}\n`).sort();
    const head = bytesOf(`${name} ${target}\n${headers.join('')}\n`);
    respond(out, 200, PLAIN, [joined([head, bodyOf(request)])]);
  },
};

// Three lines, and time between them.
function* slowly() {
  for (let number = 1; number <= 3; number++) {
    yield bytesOf(`piece ${number}\n`);
    wait(subscribeDuration(100_000_000));
  }
}

function wait(pollable) {
  pollable.block();
  drop(pollable);
}

// What a GET of the URL brings.
function called(url) {
  try {
    const [, authority, target] = /^http:\/\/([^/]*)(.*)/.exec(url);
    const request = new OutgoingRequest(new Fields());
    request.setScheme({ tag: 'HTTP' });
    request.setAuthority(authority);
    request.setPathWithQuery(target);
    const future = send(request, null);
    wait(future.subscribe());
    const { val: outcome } = future.get();
    drop(future);
    if (outcome.tag === 'err') {
      return bytesOf(`refused: ${outcome.val.tag}\n`);
    }
    const response = outcome.val;
    return joined([bytesOf(`status: ${response.status()}\n`), bodyOf(response)]);
  } catch (error) {
    return bytesOf(`refused: ${error}\n`);
  }
}
