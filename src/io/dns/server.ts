/** A DNS server over UDP and TCP. What it does not answer itself goes to a forwarder; malformed packets are dropped. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { type Forwarder, framed, unframed } from "./forwarder.ts";
import { failure, questionAbout, readQuery, writeAliased, writeAnswer } from "./message.ts";
import type { Answer, DnsRecord, Query, Question } from "./message.ts";

/** The name is ours, but leads to one that is not. */
export interface ForwardedAlias {
  readonly alias: DnsRecord;
  readonly target: string;
}

export interface DnsServerOptions {
  readonly address: string;
  readonly port: number;
  /** `forward`: not ours. `source` is the client's address. */
  answer(question: Question, source: string): Answer | ForwardedAlias | "forward";
  readonly forwarder: Forwarder;
}

export interface DnsServer {
  readonly port: number;
  close(): void;
}

const connectionsMax = 1_024;
const idleMsMax = 10_000;
const pendingBytesMax = 128 * 1024;
/** Questions of one connection that wait for their turn; a client that asks more without reading is cut off. */
const waitingMax = 128;

/** Never rejects: one question that cannot be answered must not end the server. */
async function reply(
  options: DnsServerOptions,
  bytes: Uint8Array,
  source: string,
  transport: "udp" | "tcp",
): Promise<Uint8Array | undefined> {
  const query: Query | undefined = readQuery(bytes);
  if (query === undefined) return undefined;
  try {
    const answer = options.answer(query.question, source);
    const udpBytesMax = transport === "udp" ? query.udpBytesMax : undefined;
    if (answer === "forward") return (await options.forwarder.ask(bytes, transport)) ?? failure(query);
    if (!("target" in answer)) return writeAnswer(query, answer, udpBytesMax);
    const next = questionAbout(query, answer.target);
    const told = next === undefined ? undefined : await options.forwarder.ask(next, transport);
    return (told && writeAliased(query, answer.alias, told, udpBytesMax)) ?? failure(query);
  } catch {
    return failure(query);
  }
}

function serveUdp(options: DnsServerOptions): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(options.address.includes(":") ? "udp6" : "udp4");
    // Rejects while binding; later errors concern one datagram only.
    socket.on("error", reject);
    socket.on("message", (bytes, { address, port }) => {
      void reply(options, bytes, address, "udp").then((answer) => {
        if (answer !== undefined) socket.send(answer, port, address, () => undefined);
      });
    });
    socket.bind(options.port, options.address, () => resolve(socket));
  });
}

function serveConnection(options: DnsServerOptions, socket: Socket): void {
  let read = Buffer.alloc(0);
  let turn: Promise<void> = Promise.resolve();
  let waiting = 0;
  socket.setTimeout(idleMsMax, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    read = Buffer.concat([read, chunk]);
    if (read.length > pendingBytesMax) return socket.destroy();
    for (let message = unframed(read); message !== undefined; message = unframed(read)) {
      const query = Uint8Array.from(message);
      read = read.subarray(message.length + 2);
      waiting += 1;
      if (waiting > waitingMax) return socket.destroy();
      turn = turn.then(async () => {
        const answer = await reply(options, query, socket.remoteAddress ?? "", "tcp");
        if (answer === undefined) socket.destroy();
        else socket.write(framed(answer));
        waiting -= 1;
      });
    }
    return undefined;
  });
}

function serveTcp(options: DnsServerOptions, port: number, sockets: Set<Socket>): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      serveConnection(options, socket);
    });
    server.maxConnections = connectionsMax;
    server.on("error", reject);
    server.listen(port, options.address, () => resolve(server));
  });
}

/** Listens on one port for both; rejects when the port is taken. Port 0 takes a free one. */
export async function serveDns(options: DnsServerOptions): Promise<DnsServer> {
  const udp = await serveUdp(options);
  const { port } = udp.address();
  const sockets = new Set<Socket>();
  const tcp = await serveTcp(options, port, sockets).catch((error: unknown) => {
    udp.close();
    throw error;
  });
  return {
    port,
    close: () => {
      udp.close();
      tcp.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
