// Does an AssemblyScript program see its path and its body?

const path = process.env.has("PATH_INFO") ? process.env.get("PATH_INFO") : "";
const piece = new ArrayBuffer(4096);
let total = 0;
for (let length = process.stdin.read(piece); length > 0; length = process.stdin.read(piece)) {
  total += length;
}
console.log("Content-Type: text/plain");
console.log("");
console.log("You asked for " + path + " and sent " + total.toString() + " bytes");
