// Greets the name in the query.

addEventListener('fetch', (event) => event.respondWith(greet(event.request)));

async function greet(request) {
  const { pathname, searchParams } = new URL(request.url);
  const name = searchParams.get('name') ?? 'world';
  const { byteLength } = await request.arrayBuffer();
  // Standard error goes to the log of the server.
  console.error(`greeted ${name}`);
  const text = `Hello, ${name}!\nYou asked for ${pathname} and sent ${byteLength} bytes.\n`;
  return new Response(text, { headers: { 'content-type': 'text/plain; charset=utf-8' } });
}
