// What does an HTTP component in JavaScript see of a request, can it answer in pieces, and which servers may it call?

const PLAIN = { headers: { 'content-type': 'text/plain' } };

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const url = new URL(request.url);
  if (url.pathname.endsWith('/stream')) {
    return new Response(slowly(), PLAIN);
  }
  if (url.pathname.endsWith('/call')) {
    return called(url.searchParams.get('url'));
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

// What a GET of the URL brings.
async function called(url) {
  try {
    const answer = await fetch(url);
    return new Response(`status: ${answer.status}\n${await answer.text()}`, PLAIN);
  } catch (error) {
    return new Response(`refused: ${error}\n`, PLAIN);
  }
}
