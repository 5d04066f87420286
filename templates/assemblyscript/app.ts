// Greets the name in the query.

function variable(name: string): string {
  return process.env.has(name) ? process.env.get(name) : "";
}

const piece = new ArrayBuffer(4096);
let total = 0;
for (let length = process.stdin.read(piece); length > 0; length = process.stdin.read(piece)) {
  total += length;
}
let name = "world";
const fields = variable("QUERY_STRING").split("&");
for (let at = 0; at < fields.length; at++) {
  if (fields[at].startsWith("name=")) name = fields[at].substring(5);
}
console.log("Content-Type: text/plain; charset=utf-8\n");
console.log("Hello, " + name + "!");
console.log("You asked for " + variable("PATH_INFO") + " and sent " + total.toString() + " bytes.");
// Standard error goes to the log of the server.
process.stderr.write("greeted " + name + "\n");
