// Client of policy-app.mjs: node policy-client.mjs '{"do": "try"|"watch", "targets": ["host:port", …], "forMs": …}'. Prints JSON
// by target. `try`: whether the server greeted. `watch`: until when a ticking and a silent connection lived (0 for to
// the end), and when new connections last succeeded and failed, by the machine's clock.
import net from "node:net";

const task = JSON.parse(process.argv[2]);
const greetMsMax = 3000;
const stopPort = 9998;
let isStopped = false;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The socket once the server has greeted, else undefined. */
function open(target) {
  const [host, port] = target.split(":");
  return new Promise((resolve) => {
    const socket = net.connect({ host, port: Number(port) });
    socket.setTimeout(greetMsMax, () => socket.destroy());
    socket.once("data", () => {
      socket.setTimeout(0);
      resolve(socket);
    });
    socket.on("error", () => undefined);
    socket.once("close", () => resolve(undefined));
  });
}

async function isOpen(target) {
  const socket = await open(target);
  socket?.destroy();
  return socket !== undefined;
}

async function hold(target, isTicking) {
  const socket = await open(target);
  if (!socket) return 1;
  let endedAt = 0;
  let isOver = false;
  socket.resume();
  for (const event of ["end", "close"]) socket.once(event, () => !isOver && (endedAt ||= Date.now()));
  const ticking = isTicking && setInterval(() => socket.write("x"), 50);
  await stopped;
  isOver = true;
  clearInterval(ticking);
  socket.destroy();
  return endedAt;
}

async function attempts(target) {
  const last = { opened: 0, refused: 0, count: 0 };
  while (!isStopped) {
    last[(await isOpen(target)) ? "opened" : "refused"] = Date.now();
    last.count += 1;
    await sleep(50);
  }
  return last;
}

/** Resolves when it is time to end. */
const stopped = new Promise((resolve) => {
  if (task.do !== "watch") return resolve();
  const stop = () => {
    isStopped = true;
    resolve();
  };
  setTimeout(stop, task.forMs);
  net.createServer(stop).listen(stopPort, "127.0.0.1");
});

const tasks = {
  try: isOpen,
  stop: () => new Promise((resolve) => net.connect(stopPort, "127.0.0.1").on("error", resolve).on("connect", resolve)),
  watch: async (target) => {
    const [ticking, silent, made] = await Promise.all([hold(target, true), hold(target, false), attempts(target)]);
    return { ticking, silent, ...made };
  },
};

const found = await Promise.all(task.targets.map(async (target) => [target, await tasks[task.do](target)]));
console.log(JSON.stringify(Object.fromEntries(found)));
process.exit(0);
