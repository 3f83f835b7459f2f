/** Asks the machine's own resolvers what the cluster does not know. Every question has an end; open ones are bounded. */
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import type { Host } from "../../../io/host/host.ts";
import type { Transport } from "./message.ts";

export const upstreamLimits = { openQuestions: 512, waitMs: 2_000, rounds: 2 } as const;

export interface Resolver {
  readonly address: string;
  readonly port: number;
}

/** IPv4 servers of a resolv.conf; without any, the machine itself, as the C library does it. */
export function resolversOf(resolvConf: string): readonly Resolver[] {
  const found = resolvConf
    .split("\n")
    .flatMap((line) => /^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/.exec(line)?.[1] ?? [])
    .map((address) => ({ address, port: 53 }));
  return found.length > 0 ? found.slice(0, 3) : [{ address: "127.0.0.1", port: 53 }];
}

export class Upstream {
  private readonly host: Host;
  private readonly resolvers: readonly Resolver[];
  private open = 0;

  constructor(host: Host, resolvers: readonly Resolver[]) {
    this.host = host;
    this.resolvers = resolvers;
  }

  /** The raw answer with the question's id, or undefined when nobody answered. */
  async ask(query: Buffer, transport: Transport): Promise<Buffer | undefined> {
    if (this.open >= upstreamLimits.openQuestions) return undefined;
    this.open += 1;
    try {
      for (let round = 0; round < upstreamLimits.rounds; round += 1) {
        for (const resolver of this.resolvers) {
          const answer = transport === "udp" ? await this.askUdp(query, resolver) : await this.askTcp(query, resolver);
          if (answer !== undefined) return answer;
        }
      }
      return undefined;
    } finally {
      this.open -= 1;
    }
  }

  private askUdp(query: Buffer, { address, port }: Resolver): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      const socket = createSocket("udp4");
      // An id of our own and a port of the kernel's choice, so that answers are hard to forge.
      const id = this.host.random.below(65_536);
      const finish = (answer: Buffer | undefined) => {
        cancel();
        socket.close();
        resolve(answer);
      };
      const cancel = this.host.clock.after(upstreamLimits.waitMs, () => finish(undefined));
      socket.on("error", () => finish(undefined));
      socket.on("message", (message, from) => {
        if (from.address === address && message.length >= 12 && message.readUInt16BE(0) === id) {
          finish(withId(message, query.readUInt16BE(0)));
        }
      });
      socket.send(withId(query, id), port, address);
    });
  }

  private askTcp(query: Buffer, { address, port }: Resolver): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ host: address, port });
      const chunks: Buffer[] = [];
      const finish = (answer: Buffer | undefined) => {
        cancel();
        socket.destroy();
        resolve(answer);
      };
      const cancel = this.host.clock.after(upstreamLimits.waitMs, () => finish(undefined));
      socket.on("error", () => finish(undefined));
      socket.on("close", () => finish(undefined));
      socket.on("data", (chunk) => {
        chunks.push(chunk);
        const all = Buffer.concat(chunks);
        if (all.length >= 2 && all.length >= 2 + all.readUInt16BE(0)) finish(all.subarray(2, 2 + all.readUInt16BE(0)));
      });
      socket.write(framed(query));
    });
  }
}

function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** As DNS goes over TCP: the length first. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
}
