// Client of the sample app tcp for field tests, run inside a meshed pod: node tcp-client.mjs '{"do": …, "host": …, "port": …}'.
// Prints one line of JSON.
import { createHash } from "node:crypto";
import net from "node:net";

const task = JSON.parse(process.argv[2]);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const silentMsMax = task.silentMsMax ?? 20_000;

function connect() {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: task.host, port: task.port, allowHalfOpen: true });
    socket.setTimeout(silentMsMax, () => socket.destroy(new Error(`nothing came for ${silentMsMax} ms`)));
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Reads line by line, then raw; keeps what came too early. */
class Reader {
  rest = Buffer.alloc(0);
  constructor(socket) {
    this.chunks = socket.iterator({ destroyOnReturn: false });
  }
  async line() {
    for (;;) {
      const end = this.rest.indexOf(10);
      if (end !== -1) {
        const line = this.rest.subarray(0, end).toString();
        this.rest = this.rest.subarray(end + 1);
        return line;
      }
      const { value, done } = await this.chunks.next();
      if (done) throw new Error("ended before a line came");
      this.rest = Buffer.concat([this.rest, value]);
    }
  }
  async *raw() {
    if (this.rest.length > 0) yield this.rest;
    this.rest = Buffer.alloc(0);
    for (;;) {
      const { value, done } = await this.chunks.next();
      if (done) return;
      yield value;
    }
  }
  async text() {
    let text = "";
    for await (const chunk of this.raw()) text += chunk.toString();
    return text;
  }
}

async function open() {
  const socket = await connect();
  const reader = new Reader(socket);
  const greeting = await reader.line();
  return { socket, reader, greeting };
}

/** The pattern of the sample, from the same arithmetic. */
function* pattern(total) {
  const block = new Uint8Array(64 * 1024);
  let state = 42;
  for (let at = 0; at < block.length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    block[at] = state >>> 16;
  }
  for (let left = total; left > 0; left -= block.length) yield left >= block.length ? block : block.subarray(0, left);
}

async function send(socket, total) {
  const hash = createHash("sha256");
  for (const piece of pattern(total)) {
    hash.update(piece);
    if (!socket.write(piece)) await new Promise((resolve) => socket.once("drain", resolve));
  }
  socket.end();
  return `${total} ${hash.digest("hex")}`;
}

const tasks = {
  /** The server speaks first; the client has sent nothing. */
  async greet() {
    const began = performance.now();
    const { socket, greeting } = await open();
    socket.destroy();
    return { greeting, ms: Math.round(performance.now() - began) };
  },
  /** Sends, ends its side, and only then gets the server's answer. */
  async upload() {
    const { socket, reader } = await open();
    socket.write("sink\n");
    const sent = await send(socket, task.bytes);
    return { sent, counted: (await reader.text()).trim() };
  },
  /** The server ends its side first and goes on reading; what it read is asked for on another connection. */
  async serverEnds() {
    const id = `${process.pid}-${Math.round(performance.now())}`;
    const { socket, reader } = await open();
    socket.write(`half ${id}\n`);
    const said = await reader.text();
    await sleep(200);
    const sent = await send(socket, task.bytes);
    for (let left = 50; left > 0; left--) {
      const asked = await open();
      asked.socket.write(`report ${id}\n`);
      const counted = (await asked.reader.text()).trim();
      asked.socket.destroy();
      if (counted !== "none") return { said, sent, counted };
      await sleep(100);
    }
    return { said, sent, counted: "none" };
  },
  /** Downloads what the server sends before it closes; slow readers first wait, then read a mebibyte at a time. */
  async download() {
    const { socket, reader } = await open();
    const hash = createHash("sha256");
    let count = 0;
    let untilPause = 0;
    socket.write(`source ${task.bytes}\n`);
    if (task.waitMs) await sleep(task.waitMs);
    for await (const chunk of reader.raw()) {
      hash.update(chunk);
      count += chunk.length;
      untilPause -= chunk.length;
      if (task.pauseMs && untilPause <= 0) {
        untilPause = 1 << 20;
        await sleep(task.pauseMs);
      }
    }
    return { counted: `${count} ${hash.digest("hex")}` };
  },
  async reset() {
    const { socket, reader } = await open();
    socket.write("reset\n");
    return {
      ended: await reader.text().then(
        () => "end",
        (error) => error.code ?? error.message,
      ),
    };
  },
  /** Short connections, some at a time; each greeted, asked and ended. */
  async many() {
    const failures = {};
    let good = 0;
    let next = 0;
    const worker = async () => {
      while (next++ < task.count) {
        try {
          const { socket, reader } = await open();
          socket.write("peer\n");
          const peer = await reader.text();
          socket.destroy();
          if (peer.trim() === "") throw new Error("no answer");
          good++;
        } catch (error) {
          const cause = error.code ?? error.message;
          failures[cause] = (failures[cause] ?? 0) + 1;
        }
      }
    };
    await Promise.all(Array.from({ length: task.width }, worker));
    return { good, failures };
  },
  /** Says nothing for long, then one more line. */
  async idle() {
    const { socket, reader } = await open();
    socket.setTimeout(0);
    const opened = performance.now();
    let closedMs;
    socket.once("close", () => (closedMs ??= Math.round(performance.now() - opened)));
    socket.write("echo\nbefore\n");
    const before = await reader.line();
    await sleep(task.idleMs);
    socket.setTimeout(silentMsMax, () => socket.destroy(new Error("no echo after the silence")));
    socket.write("after\n");
    const after = await reader.line().catch((error) => `${error.message}, closed after ${closedMs} ms`);
    socket.destroy();
    return { before, after };
  },
};

try {
  console.log(JSON.stringify(await tasks[task.do]()));
} catch (error) {
  console.log(JSON.stringify({ error: error.code ?? error.message }));
}
process.exit(0);
