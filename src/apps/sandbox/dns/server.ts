/**
 * A cluster's DNS server, over UDP and TCP on one port of the underlay. Its zone is made anew when Services or endpoints have
 * changed and somebody asks.
 */
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import type { EndpointSlice, Service } from "../../../core/api/kube.ts";
import type { Host } from "../../../io/host/host.ts";
import type { Informer } from "../../../io/kube/informer.ts";
import { failure, parseQuery, rcode, withAlias, zoneReply } from "./message.ts";
import type { Query, Transport } from "./message.ts";
import { framed } from "./upstream.ts";
import type { Upstream } from "./upstream.ts";
import { Zone } from "./zone.ts";

export interface DnsInformers {
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
}

const tcpConnectionsMax = 256;
const tcpIdleMs = 10_000;
const aliasesMax = 4;

/** Resolves once it listens on both transports; ends with the signal. */
export async function startDns(
  host: Host,
  informers: DnsInformers,
  upstream: Upstream,
  where: { readonly address: string; readonly port: number },
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([informers.services.synced, informers.endpointSlices.synced]);
  const answerer = new Answerer(informers, upstream);
  await Promise.all([listenUdp(host, answerer, where, signal), listenTcp(answerer, where, signal)]);
  host.log.info("dns.started", where);
}

class Answerer {
  private readonly informers: DnsInformers;
  private readonly upstream: Upstream;
  private zone: Zone | undefined;

  constructor(informers: DnsInformers, upstream: Upstream) {
    this.informers = informers;
    this.upstream = upstream;
    const forget = () => {
      this.zone = undefined;
    };
    informers.services.onChange(forget);
    informers.endpointSlices.onChange(forget);
  }

  private currentZone(): Zone {
    const { services, endpointSlices } = this.informers;
    this.zone ??= new Zone({ services: services.objects, endpointSlices: endpointSlices.objects.values() });
    return this.zone;
  }

  async answer(bytes: Buffer, transport: Transport): Promise<Buffer | undefined> {
    const query = parseQuery(bytes);
    if (query === undefined) return undefined;
    const zone = this.currentZone();
    const alias = zone.answer(query.name, query.type);
    const [first] = alias.kind === "records" ? alias.records : [];
    if (first?.type === "CNAME" && query.type !== "CNAME")
      return this.followAlias(zone, query, first.target, transport);
    return (
      zoneReply(zone, query, transport) ??
      (await this.upstream.ask(bytes, transport)) ??
      failure(query, rcode.serverFailure)
    );
  }

  /** An external name may lead to another Service, or out of the cluster. */
  private async followAlias(zone: Zone, query: Query, target: string, transport: Transport): Promise<Buffer> {
    let name = target;
    for (let step = 0; step < aliasesMax; step += 1) {
      const answer = zone.answer(name, query.type);
      const [record] = answer.kind === "records" ? answer.records : [];
      if (record?.type !== "CNAME") break;
      name = record.target;
    }
    const alias = { type: "CNAME", name: query.name, target: name } as const;
    const next = questionFor(query, name);
    const asked = next === undefined ? undefined : parseQuery(next);
    if (next === undefined || asked === undefined) return failure(query, rcode.serverFailure);
    const reply = zoneReply(zone, asked, transport) ?? (await this.upstream.ask(next, transport));
    return reply === undefined ? failure(query, rcode.serverFailure) : withAlias(query, alias, reply, transport);
  }
}

/** The same question about another name. */
function questionFor(query: Query, name: string): Buffer | undefined {
  const labels = name.replace(/\.$/, "").split(".");
  if (labels.some((label) => label.length === 0 || label.length > 63)) return undefined;
  const types: Readonly<Record<string, number>> = { A: 1, AAAA: 28, SRV: 33, TXT: 16, MX: 15 };
  const type = types[query.type];
  if (type === undefined) return undefined;
  const head = Buffer.from([query.id >> 8, query.id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const body = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
  return Buffer.concat([head, ...body, Buffer.from([0, 0, type, 0, 1])]);
}

function listenUdp(
  host: Host,
  answerer: Answerer,
  { address, port }: { address: string; port: number },
  signal: AbortSignal,
): Promise<void> {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  socket.on("message", (message, from) => {
    void answerer.answer(message, "udp").then((reply) => {
      if (reply !== undefined && !signal.aborted) socket.send(reply, from.port, from.address);
    });
  });
  signal.addEventListener("abort", () => socket.close(), { once: true });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, address, () => {
      socket.off("error", reject);
      socket.on("error", (error) => host.log.warn("dns.udp_error", { cause: error.message }));
      resolve();
    });
  });
}

function listenTcp(
  answerer: Answerer,
  { address, port }: { address: string; port: number },
  signal: AbortSignal,
): Promise<void> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.setTimeout(tcpIdleMs, () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => undefined);
    let buffered: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      buffered = Buffer.concat([buffered, chunk]);
      while (buffered.length >= 2 && buffered.length >= 2 + buffered.readUInt16BE(0)) {
        const end = 2 + buffered.readUInt16BE(0);
        const message = buffered.subarray(2, end);
        buffered = buffered.subarray(end);
        void answerer.answer(message, "tcp").then((reply) => {
          if (reply === undefined) socket.destroy();
          else if (socket.writable) socket.write(framed(reply));
        });
      }
    });
  });
  server.maxConnections = tcpConnectionsMax;
  signal.addEventListener(
    "abort",
    () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
    { once: true },
  );
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
}
