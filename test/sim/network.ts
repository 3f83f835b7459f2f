/**
 * The virtual network between places: streams whose messages take time, keep their order within a stream and lose it
 * between streams. A way from one place to another can be cut (both ends hear of it) or swallow everything (only
 * keepalives notice), in one direction or in both.
 */
import grpc from "@grpc/grpc-js";
import type { Random } from "../../src/io/host/host.ts";
import type { AcceptStream, ClientEvents, OpenStream, ServerEvents } from "../../src/io/xds/transport.ts";
import type { Process, Timeline } from "./timeline.ts";

/** As gRPC's keepalive is set in production: a ping after 10 s, given up after 5 more. */
const keepaliveMs = 15_000;

export interface Weather {
  /** Longest delay of a message. */
  readonly delayMsMax: number;
  /** One stream in so many is a slow one; 0 for none. */
  readonly slowOneIn: number;
  readonly slowMsMax: number;
}

interface Listener {
  readonly process: Process;
  readonly accept: AcceptStream;
  readonly place: string;
  /** Terminating: its open streams live on, and nobody new is sent to it. */
  isOpen: boolean;
}

/** What everybody hears of what is said on the wire. */
export interface Sniffer {
  /** A message of a server arrives at its client. */
  served(stream: Stream, message: Uint8Array): void;
}

export class Network {
  readonly random: Random;
  readonly timeline: Timeline;
  weather: Weather = { delayMsMax: 10, slowOneIn: 0, slowMsMax: 0 };
  sniffer: Sniffer = { served: () => undefined };
  private readonly listeners: Listener[] = [];
  private readonly streams = new Set<Stream>();
  /** `from>to`: messages vanish. */
  private readonly swallowing = new Set<string>();
  private readonly cuts = new Set<string>();
  private serial = 0;

  constructor(timeline: Timeline) {
    this.timeline = timeline;
    this.random = timeline.random("network");
  }

  listen(place: string, process: Process, accept: AcceptStream): Listener {
    const listener = { process, accept, place, isOpen: true };
    this.listeners.push(listener);
    return listener;
  }

  /** Streams of the process end as those of a dead one do: with resets. */
  forget(process: Process): void {
    for (const [at, one] of [...this.listeners.entries()].reverse()) {
      if (one.process === process) this.listeners.splice(at, 1);
    }
    for (const stream of this.streams) if (stream.client === process || stream.server === process) stream.reset();
  }

  /** `placeOf` says which place an address leads to. */
  opener(process: Process, place: string, placeOf: (target: string) => string, certificate?: Uint8Array): OpenStream {
    return (dialled, events) => {
      const to = placeOf(dialled.target);
      this.serial += 1;
      const { metadata } = dialled;
      const stream = new Stream(this, { client: process, events, serial: this.serial, from: place, to });
      this.streams.add(stream);
      stream.begin({ address: place, metadata, certificate }, () => this.listenerAt(to));
      return stream;
    };
  }

  cut(from: string, to: string): void {
    this.cuts.add(way(from, to));
    for (const stream of this.streams) if (stream.isOn(from, to)) stream.reset();
  }

  swallow(from: string, to: string): void {
    this.swallowing.add(way(from, to));
  }

  heal(from: string, to: string): void {
    this.cuts.delete(way(from, to));
    this.swallowing.delete(way(from, to));
  }

  healAll(): void {
    this.cuts.clear();
    this.swallowing.clear();
  }

  isCut(from: string, to: string): boolean {
    return this.cuts.has(way(from, to));
  }

  isSwallowed(from: string, to: string): boolean {
    return this.swallowing.has(way(from, to));
  }

  ended(stream: Stream): void {
    this.streams.delete(stream);
  }

  private listenerAt(place: string): Listener | undefined {
    const open = this.listeners.filter((one) => one.place === place && one.isOpen && one.process.isAlive);
    return open[this.random.below(Math.max(1, open.length))];
  }
}

const way = (from: string, to: string): string => `${from}>${to}`;

interface Ends {
  readonly client: Process;
  readonly events: ClientEvents;
  readonly serial: number;
  readonly from: string;
  readonly to: string;
}

interface Call {
  readonly address: string;
  readonly metadata: grpc.Metadata;
  readonly certificate: Uint8Array | undefined;
}

export class Stream {
  readonly client: Process;
  server: Process | undefined;
  readonly metadata = new Map<string, string>();
  readonly from: string;
  readonly to: string;
  private readonly network: Network;
  private readonly clientEvents: ClientEvents;
  private serverEvents: ServerEvents | undefined;
  private readonly slowMs: number;
  private readonly lastArrival = { up: 0, down: 0 };
  private readonly waiting: Uint8Array[] = [];
  private isClientDone = false;
  private isServerDone = false;
  /** A message was swallowed: what comes after it cannot arrive either, and keepalives will tell. */
  private isBroken = false;

  constructor(network: Network, { client, events, from, to }: Ends) {
    this.network = network;
    this.client = client;
    this.clientEvents = events;
    this.from = from;
    this.to = to;
    const { slowOneIn, slowMsMax } = network.weather;
    const isSlow = slowOneIn > 0 && network.random.below(slowOneIn) === 0;
    this.slowMs = isSlow ? network.random.below(slowMsMax) : 0;
  }

  isOn(from: string, to: string): boolean {
    return (this.from === from && this.to === to) || (this.from === to && this.to === from);
  }

  begin(call: Call, find: () => Listener | undefined): void {
    for (const [key, value] of Object.entries(call.metadata.getMap())) this.metadata.set(key, String(value));
    this.carry("up", () => {
      const listener = find();
      if (this.network.isCut(this.from, this.to)) return this.endClient("14 UNAVAILABLE: ECONNRESET");
      if (listener === undefined) return this.endClient("14 UNAVAILABLE: ECONNREFUSED");
      if (this.isClientDone) return;
      this.server = listener.process;
      this.serverEvents = listener.accept({
        ...call,
        send: (message) => this.sendDown(message),
        end: (code, details) => this.endFromServer(code, details),
      });
      for (const message of this.waiting.splice(0)) this.serverEvents.received(message);
    });
  }

  send(message: Uint8Array): void {
    if (this.isClientDone) return;
    this.carry("up", () => {
      if (this.isServerDone || this.server?.isAlive === false) return;
      if (this.serverEvents === undefined) this.waiting.push(message);
      else this.serverEvents.received(message);
    });
  }

  cancel(): void {
    if (this.isClientDone) return;
    this.network.timeline.clock.after(0, () => this.endClient("1 CANCELLED: Cancelled on client"));
    this.carry("up", () => this.endServer());
  }

  /** Both ends hear of it soon. */
  reset(): void {
    const { clock } = this.network.timeline;
    clock.after(this.network.random.below(5), () => this.endClient("14 UNAVAILABLE: read ECONNRESET"));
    clock.after(this.network.random.below(5), () => this.endServer());
  }

  private sendDown(message: Uint8Array): void {
    if (this.isServerDone) return;
    this.carry("down", () => {
      if (this.isClientDone || !this.client.isAlive) return;
      this.network.sniffer.served(this, message);
      this.clientEvents.received(message);
    });
  }

  private endFromServer(code: grpc.status, details: string): void {
    if (this.isServerDone) return;
    this.isServerDone = true;
    this.carry("down", () => this.endClient(`${code} ${grpc.status[code]}: ${details}`));
  }

  private carry(direction: "up" | "down", arrive: () => void): void {
    const { network } = this;
    const [from, to] = direction === "up" ? [this.from, this.to] : [this.to, this.from];
    if (network.isSwallowed(from, to) || this.isBroken) {
      if (!this.isBroken) network.timeline.clock.after(keepaliveMs, () => this.reset());
      this.isBroken = true;
      return;
    }
    const delayMs = network.random.below(network.weather.delayMsMax + 1) + this.slowMs;
    const atMs = Math.max(this.lastArrival[direction], network.timeline.nowMs + delayMs);
    this.lastArrival[direction] = atMs;
    network.timeline.clock.after(atMs - network.timeline.nowMs, arrive);
  }

  private endClient(cause: string): void {
    if (this.isClientDone) return;
    this.isClientDone = true;
    if (this.isServerDone) this.network.ended(this);
    if (this.client.isAlive) this.clientEvents.ended(cause);
  }

  private endServer(): void {
    if (this.isServerDone) return;
    this.isServerDone = true;
    if (this.isClientDone) this.network.ended(this);
    if (this.server?.isAlive === true) this.serverEvents?.closed();
  }
}
