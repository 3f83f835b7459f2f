/** Asks upstream resolvers on behalf of clients: in turn, each within its time, over TCP when a client needs it whole. */
import { createSocket } from "node:dgram";
import { connect, isIP, isIPv6 } from "node:net";
import type { Host } from "../host/host.ts";
import { idOf, isResponse, withId } from "./message.ts";

export interface Upstream {
  readonly address: string;
  readonly port: number;
}

const tryMsMax = 2_000;
const roundsMax = 2;
/** Queries under way; more are refused at once, so that a dead upstream cannot fill the memory. */
const inFlightMax = 4_096;
const tcpBytesMax = 65_535;
const dnsPort = 53;
/** As many as the C library asks. */
const upstreamsMax = 3;

/** The servers that a resolv.conf names. */
export const upstreamsOf = (resolvConf: string): readonly Upstream[] =>
  [...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)]
    .map(([, address = ""]) => ({ address, port: dnsPort }))
    .filter(({ address }) => isIP(address) !== 0)
    .slice(0, upstreamsMax);

export class Forwarder {
  readonly #host: Host;
  readonly #upstreams: () => readonly Upstream[];
  #inFlight = 0;

  constructor(host: Host, upstreams: () => readonly Upstream[]) {
    this.#host = host;
    this.#upstreams = upstreams;
  }

  /** The upstream's answer under the query's own id; undefined when nobody answers in time. */
  async ask(query: Uint8Array, transport: "udp" | "tcp"): Promise<Uint8Array | undefined> {
    if (this.#inFlight >= inFlightMax) return undefined;
    this.#inFlight += 1;
    try {
      for (let round = 0; round < roundsMax; round++) {
        for (const upstream of this.#upstreams()) {
          const id = this.#host.random.below(65_536);
          const answer = await this.#tryOne(upstream, withId(query, id), transport);
          if (answer !== undefined) return withId(answer, idOf(query));
        }
      }
      return undefined;
    } finally {
      this.#inFlight -= 1;
    }
  }

  #tryOne(upstream: Upstream, query: Uint8Array, transport: "udp" | "tcp"): Promise<Uint8Array | undefined> {
    return transport === "udp" ? this.#overUdp(upstream, query) : this.#overTcp(upstream, query);
  }

  #overUdp({ address, port }: Upstream, query: Uint8Array): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      // A socket of its own for each query: its port cannot be guessed, and nobody else's answer can arrive at it.
      const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
      let isDone = false;
      const done = (answer: Uint8Array | undefined) => {
        if (isDone) return;
        isDone = true;
        cancel();
        socket.close();
        resolve(answer);
      };
      const cancel = this.#host.clock.after(tryMsMax, () => done(undefined));
      socket.on("error", () => done(undefined));
      socket.on("message", (bytes) => {
        if (isResponse(bytes) && idOf(bytes) === idOf(query)) done(bytes);
      });
      socket.connect(port, address, () => {
        if (!isDone) socket.send(query);
      });
    });
  }

  #overTcp({ address, port }: Upstream, query: Uint8Array): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ host: address, port });
      let read = Buffer.alloc(0);
      const done = (answer: Uint8Array | undefined) => {
        cancel();
        socket.destroy();
        resolve(answer);
      };
      const cancel = this.#host.clock.after(tryMsMax, () => done(undefined));
      socket.on("error", () => done(undefined));
      socket.once("close", () => done(undefined));
      socket.once("connect", () => socket.write(framed(query)));
      socket.on("data", (chunk: Buffer) => {
        read = Buffer.concat([read, chunk]);
        const message = unframed(read);
        if (message !== undefined) done(message);
        else if (read.length > tcpBytesMax + 2) done(undefined);
      });
    });
  }
}

/** DNS over TCP puts two bytes of length before each message (RFC 1035 section 4.2.2). */
export function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(message.length + 2);
  bytes[0] = message.length >> 8;
  bytes[1] = message.length & 0xff;
  bytes.set(message, 2);
  return bytes;
}

/** The first whole message; undefined while it is not all there. */
export function unframed(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < 2) return undefined;
  const length = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  return bytes.length < length + 2 ? undefined : bytes.subarray(2, length + 2);
}
