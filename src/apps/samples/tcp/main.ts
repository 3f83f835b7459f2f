/**
 * A TCP server that shows whether TCP stays TCP. It greets first, then obeys one line per connection:
 * `echo` (every further line comes back), `source N` (sends N bytes and closes first), `sink` (counts until the client's
 * end, then answers), `half ID` (ends its side first and goes on reading; ask by `report ID`), `reset`, `peer`.
 */
import { createHash, type Hash } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { hostname } from "node:os";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { systemHost } from "../../../io/host/host.ts";
import { block, blockBytes } from "./pattern.ts";

const host = systemHost("info");
const given = process.argv.indexOf("--port");
const port = given === -1 ? 9000 : Number(process.argv[given + 1]);
/** A connection that is still busy so long after SIGTERM is cut. */
const graceMs = 5_000;
/** After SIGTERM connections still come for a moment, from callers that have not heard of it; they are served too. */
const lateMs = 1_000;
const lineBytesMax = 1024;
const reportsMax = 10_000;

const reports = new Map<string, string>();
/** Echo connections between two lines. */
const idle = new Set<Socket>();
let isStopping = false;

function* pattern(total: number): Generator<Uint8Array> {
  for (let left = total; left > 0; left -= blockBytes) yield left >= blockBytes ? block : block.subarray(0, left);
}

const digestLine = (count: number, hash: Hash): string => `${count} ${hash.digest("hex")}\n`;

async function count(socket: Socket, first: Buffer): Promise<string> {
  const hash = createHash("sha256").update(first);
  let total = first.length;
  // An iterator that leaves the socket open at the end: the answer is still to be written.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    // A socket without encoding yields buffers.
    const bytes = chunk as Buffer;
    hash.update(bytes);
    total += bytes.length;
  }
  return digestLine(total, hash);
}

function echo(socket: Socket, first: Buffer): void {
  let rest = first.toString("latin1");
  const answer = () => {
    const end = rest.lastIndexOf("\n");
    if (end !== -1) {
      socket.write(rest.slice(0, end + 1), "latin1");
      rest = rest.slice(end + 1);
      if (isStopping) socket.end();
      else idle.add(socket);
    }
  };
  socket.on("data", (chunk) => {
    idle.delete(socket);
    rest += chunk.toString("latin1");
    answer();
  });
  socket.on("end", () => socket.end());
  answer();
}

async function half(socket: Socket, id: string, first: Buffer): Promise<void> {
  socket.end("half\n");
  const line = await count(socket, first);
  if (reports.size >= reportsMax) reports.clear();
  reports.set(id, line);
}

async function obey(socket: Socket, line: string, first: Buffer): Promise<void> {
  const [verb = "", argument = ""] = line.trim().split(" ");
  switch (verb) {
    case "echo":
      return echo(socket, first);
    case "source":
      return pipeline(Readable.from(pattern(Number(argument))), socket);
    case "sink":
      return void socket.end(await count(socket, first));
    case "half":
      return half(socket, argument, first);
    case "report":
      return void socket.end(reports.get(argument) ?? "none\n");
    case "peer":
      return void socket.end(`${socket.remoteAddress ?? ""}\n`);
    case "reset":
      return void socket.resetAndDestroy();
    default:
      return void socket.end(`there is no "${verb}": echo, source N, sink, half ID, report ID, peer, reset\n`);
  }
}

function serve(socket: Socket): void {
  let read = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.write(`tombolo-tcp ${hostname()}\n`);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => idle.delete(socket));
  const onData = (chunk: Buffer) => {
    read = Buffer.concat([read, chunk]);
    const end = read.indexOf(10);
    if (end === -1) return read.length > lineBytesMax ? socket.destroy() : undefined;
    socket.off("data", onData);
    socket.off("end", onEnd);
    socket.pause();
    const line = read.subarray(0, end).toString("latin1");
    obey(socket, line, read.subarray(end + 1)).catch(() => socket.destroy());
    socket.resume();
    return undefined;
  };
  const onEnd = () => socket.end();
  socket.on("data", onData);
  socket.on("end", onEnd);
}

const server = createServer({ allowHalfOpen: true }, serve);
server.listen(port, "0.0.0.0", () => host.log.info("listening", { port }));

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    isStopping = true;
    host.clock.after(lateMs, () => server.close(() => process.exit(0)));
    for (const socket of idle) socket.end();
    host.clock.after(graceMs, () => process.exit(0));
  });
}
