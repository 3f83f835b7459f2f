// Opens one connection after the other and prints a line `<monotonic ns> <first word of the answer>` whenever the answer
// is another one. Usage: node prober.mjs HOST PORT [PATH]; with a path it asks over HTTP, else it sends one line.
import net from "node:net";

const [host, port, path] = process.argv.slice(2);
const question = path === undefined ? "hello\n" : `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
const timeoutMs = 1_000;

/** The body once it is whole; the server may leave the closing to us. */
function bodyOf(text) {
  const [head = "", body = ""] = text.split("\r\n\r\n");
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
  return body.length >= length ? body : "";
}

const pauseMs = 1;

const ask = () =>
  new Promise((resolve) => {
    const chunks = [];
    const socket = net.connect({ host, port: Number(port) });
    socket.setTimeout(timeoutMs, () => socket.destroy());
    const text = () => Buffer.concat(chunks).toString();
    const answer = () => (path === undefined ? text() : bodyOf(text()));
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      if (path !== undefined && answer() !== "") socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(answer().trim().split(" ")[0] || "none"));
    socket.write(question);
  });

let last = "";
for (;;) {
  const answer = await ask();
  if (answer !== last) console.log(`${process.hrtime.bigint()} ${answer}`);
  last = answer;
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
}
