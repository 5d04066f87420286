// What does an HTTP component in JavaScript see of a request, and can it answer in pieces?

const PLAIN = { headers: { 'content-type': 'text/plain' } };

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const url = new URL(request.url);
  if (url.pathname.endsWith('/stream')) {
    return new Response(slowly(), PLAIN);
  }
  const headers = [...request.headers].map(([name, value]) => `${name}: ${value}\n`).sort();
  const body = await request.text();
  return new Response(`${request.method} ${url.pathname}${url.search}\n${headers.join('')}\n${body}`, PLAIN);
}

// Three lines, and time between them.
function slowly() {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async start(controller) {
      for (let number = 1; number <= 3; number++) {
        controller.enqueue(encoder.encode(`piece ${number}\n`));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      controller.close();
    },
  });
}
