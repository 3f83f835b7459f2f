// Backend of the data-path field tests: one TCP behaviour per port. Reads commands from stdin, one JSON line each:
// {"close": port}, {"open": port}, {"counts": true}; answers each with one JSON line. Usage: node app.mjs NAME
import { createHash, randomFillSync } from "node:crypto";
import net from "node:net";
import { createInterface } from "node:readline";

const name = process.argv[2];
const counts = {};
const lastUpload = {};
const download = Buffer.alloc(64 << 20);
randomFillSync(download, 0, 1 << 20);

/** Port → what is done with a connection. */
const behaviours = {
  // Answers a line with name and client, and closes first.
  8080: (socket) => socket.once("data", () => socket.end(`${name} ${socket.remoteAddress}\n`)),
  // Speaks first, then echoes.
  8081: (socket) => {
    socket.write(`220 ${name}\n`);
    socket.pipe(socket);
  },
  // Answers only after the client has finished: how much came, and its digest.
  8082: (socket) => {
    const hash = createHash("sha256");
    let bytes = 0;
    socket.on("data", (data) => {
      bytes += data.length;
      hash.update(data);
    });
    socket.on("end", () => socket.end(`${bytes} ${hash.digest("hex")}\n`));
  },
  // As 8082, but does not read for a while.
  8085: (socket) => {
    socket.pause();
    setTimeout(() => {
      behaviours[8082](socket);
      socket.resume();
    }, 7000);
  },
  // Finishes at once and goes on reading.
  8083: (socket) => {
    socket.end("bye\n");
    let bytes = 0;
    socket.on("data", (data) => (bytes += data.length));
    socket.on("end", () => (lastUpload[8083] = bytes));
  },
  // Sends 64 MiB and closes first; the digest comes before.
  8084: (socket) => {
    socket.write(createHash("sha256").update(download).digest("hex"));
    socket.end(download);
  },
};

const servers = {};
function open(port) {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      counts[port] = (counts[port] ?? 0) + 1;
      socket.on("error", () => undefined);
      behaviours[port](socket);
    });
    server.once("error", reject);
    server.listen(Number(port), "0.0.0.0", resolve);
    servers[port] = server;
  });
}

for (const port of Object.keys(behaviours)) await open(port);
console.log(JSON.stringify({ ready: name }));
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (command.close) servers[command.close].close();
  if (command.open) await open(command.open);
  console.log(JSON.stringify({ counts, lastUpload }));
}
process.exit(0);
