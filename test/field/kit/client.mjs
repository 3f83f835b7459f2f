// Client of the data-path field tests. Usage: node client.mjs '{"do": …, "host": …, "port": …}'; prints one JSON object.
import { createHash, randomBytes } from "node:crypto";
import net from "node:net";

const task = JSON.parse(process.argv[2]);
const timeoutMs = task.timeoutMs ?? 5000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function connect() {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: task.host, port: task.port, allowHalfOpen: true });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error("timeout")));
    socket.once("connect", () => resolve(socket));
    // Stays, so that an error that comes when nobody waits is not fatal.
    socket.on("error", reject);
  });
}

/** Everything until the other side finishes; the socket stays open for writing. */
function drain(socket) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.once("end", () => resolve(Buffer.concat(chunks)));
    socket.once("error", reject);
  });
}

async function get() {
  const began = performance.now();
  try {
    const socket = await connect();
    socket.write("hello\n");
    const text = (await drain(socket)).toString().trim();
    socket.end();
    return { text, ms: performance.now() - began };
  } catch (cause) {
    return { error: cause.message, text: "", ms: performance.now() - began };
  }
}

const tasks = {
  get,
  /** `count` requests by four clients, each on a connection of its own, `paceMs` apart. */
  async many() {
    const results = [];
    const client = async () => {
      for (let i = 0; i < task.count / 4; i++) {
        const result = await get();
        results.push(result);
        await sleep(Math.max(0, task.paceMs - result.ms));
      }
    };
    await Promise.all([client(), client(), client(), client()]);
    const by = {};
    for (const { text, error } of results) {
      const who = text.split(" ")[0] || error || "closed";
      by[who] = (by[who] ?? 0) + 1;
    }
    return { by, msMax: Math.round(Math.max(...results.map(({ ms }) => ms))) };
  },
  async banner() {
    const began = performance.now();
    const socket = await connect();
    const banner = await new Promise((resolve, reject) => {
      socket.once("data", (data) => resolve(data.toString().trim()));
      socket.once("end", () => resolve(""));
      socket.once("error", reject);
    });
    const ms = performance.now() - began;
    socket.destroy();
    return { banner, ms };
  },
  /** Finishes first, then reads the answer. */
  async upload() {
    const socket = await connect();
    const data = randomBytes(task.bytes);
    socket.setTimeout(0);
    socket.end(data);
    const [bytes, digest] = (await drain(socket)).toString().trim().split(" ");
    return { bytes: Number(bytes), isIntact: digest === createHash("sha256").update(data).digest("hex") };
  },
  /** Reads to the end, then goes on sending. */
  async uploadAfterEnd() {
    const socket = await connect();
    const text = (await drain(socket)).toString();
    await sleep(200);
    await new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.end(Buffer.alloc(task.bytes), resolve);
    });
    await sleep(300);
    return { text };
  },
  /** A reader that is slow at first: pauses after the first bytes. */
  async download() {
    const socket = await connect();
    const hash = createHash("sha256");
    let digest = "";
    let isPaused = false;
    let bytes = 0;
    for await (const chunk of socket) {
      let data = chunk;
      if (digest.length < 64) {
        const head = data.subarray(0, 64 - digest.length);
        digest += head.toString();
        data = data.subarray(head.length);
      }
      hash.update(data);
      if (!isPaused && task.pauseMs) {
        isPaused = true;
        socket.setTimeout(0);
        await sleep(task.pauseMs);
      }
      bytes += data.length;
    }
    return { bytes, isIntact: digest === hash.digest("hex") };
  },
  /** Keeps an echo connection open and reports when it ends. */
  async hold() {
    const socket = await connect();
    socket.setTimeout(0);
    const began = performance.now();
    console.log(JSON.stringify({ isOpen: true }));
    const ended = new Promise((resolve) => {
      socket.once("close", () => resolve(true));
      socket.once("end", () => resolve(true));
      socket.once("error", () => resolve(true));
    });
    socket.on("data", () => undefined);
    const ticking = setInterval(() => task.isTicking && socket.write("x"), 100);
    const isEnded = await Promise.race([ended, sleep(task.holdMs).then(() => false)]);
    clearInterval(ticking);
    socket.destroy();
    return { isEnded, ms: performance.now() - began };
  },
  /** Opens `count` connections, `paceMs` apart, each greeted by the server, and reports how many ended within `holdMs`. */
  async holdMany() {
    const ended = [];
    const greeted = [];
    const failed = [];
    const sockets = [];
    for (let i = 0; i < task.count; i++) {
      const began = performance.now();
      const open = connect()
        .then((socket) => {
          socket.setTimeout(0);
          sockets.push(socket);
          socket.once("data", (data) => greeted.push(data.toString().trim()));
          const end = () => !ended.includes(i) && ended.push(i);
          for (const event of ["close", "end", "error"]) socket.once(event, end);
        })
        .catch((cause) => failed.push(cause.message));
      await open;
      await sleep(Math.max(0, task.paceMs - (performance.now() - began)));
    }
    await sleep(task.holdMs);
    const counted = ended.length;
    // One byte through each that is left: an open socket alone proves nothing.
    let echoed = 0;
    for (const socket of sockets) {
      socket.on("data", () => (echoed += 1));
      socket.write("x");
    }
    for (let i = 0; i < 100 && echoed < task.count - counted; i++) await sleep(20);
    return { greeted: greeted.length, by: [...new Set(greeted)], ended: counted, echoed, failed };
  },
};

try {
  console.log(JSON.stringify(await tasks[task.do]()));
} catch (cause) {
  console.log(JSON.stringify({ error: cause.message }));
}
process.exit(0);
