/** DNS packets in and out: from a question and the zone's answer to bytes that fit the transport. Pure. */
import { decode, encode } from "dns-packet";
import type { Answer, Packet } from "dns-packet";
import { clusterDomain } from "../../../core/api/names.ts";
import type { Zone, ZoneAnswer, ZoneRecord } from "./zone.ts";

const ttlSeconds = 5;
const plainUdpBytes = 512;
const udpBytesMax = 1232;

const flag = {
  authoritative: 1 << 10,
  truncated: 1 << 9,
  recursionDesired: 1 << 8,
  recursionAvailable: 1 << 7,
} as const;
export const rcode = { ok: 0, formatError: 1, serverFailure: 2, noName: 3, notImplemented: 4 } as const;

export interface Query {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly packet: Packet;
}

/** `undefined` when these bytes are no question that can be answered. */
export function parseQuery(bytes: Buffer): Query | undefined {
  try {
    const packet = decode(bytes);
    const [question] = packet.questions ?? [];
    if (packet.type !== "query" || question === undefined) return undefined;
    return { id: packet.id ?? 0, name: question.name.replace(/\.$/, ""), type: question.type, packet };
  } catch {
    return undefined;
  }
}

const toAnswer = (record: ZoneRecord): Answer => {
  const common = { name: record.name, ttl: ttlSeconds };
  switch (record.type) {
    case "A":
    case "AAAA":
      return { ...common, type: record.type, data: record.address };
    case "SRV":
      return { ...common, type: "SRV", data: { priority: 0, weight: 100, port: record.port, target: record.target } };
    case "CNAME":
    case "PTR":
      return { ...common, type: record.type, data: record.target };
  }
};

/** Lets a resolver remember that there is nothing, for as short a time as an answer. */
const authority: Answer = {
  name: clusterDomain,
  type: "SOA",
  ttl: ttlSeconds,
  data: {
    mname: `ns.dns.${clusterDomain}`,
    rname: `hostmaster.${clusterDomain}`,
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86_400,
    minimum: ttlSeconds,
  },
};

export type Transport = "udp" | "tcp";

/** The answer to a name of the cluster; `undefined` when it must be asked upstream. */
export function zoneReply(zone: Zone, query: Query, transport: Transport): Buffer | undefined {
  const answer = zone.answer(query.name, query.type);
  if (answer.kind === "foreign") return undefined;
  return render(query, answer, transport);
}

/** Records that a CNAME out of the zone led to upstream. */
export function withAlias(query: Query, alias: ZoneRecord, upstream: Buffer, transport: Transport): Buffer {
  const packet = parseReply(upstream);
  const answers = [toAnswer(alias), ...(packet?.answers ?? [])];
  return fit(query, { answers, code: rcode.ok, authorities: [], additionals: [] }, transport);
}

export const failure = (query: Query, code: number): Buffer =>
  fit(query, { answers: [], authorities: [], additionals: [], code }, "tcp");

function parseReply(bytes: Buffer): Packet | undefined {
  try {
    return decode(bytes);
  } catch {
    return undefined;
  }
}

function render(query: Query, answer: Exclude<ZoneAnswer, { kind: "foreign" }>, transport: Transport): Buffer {
  if (answer.kind === "records") {
    const answers = answer.records.map(toAnswer);
    return fit(
      query,
      { answers, additionals: answer.additionals.map(toAnswer), authorities: [], code: rcode.ok },
      transport,
    );
  }
  const code = answer.kind === "no-name" ? rcode.noName : rcode.ok;
  return fit(query, { answers: [], authorities: [authority], additionals: [], code }, transport);
}

interface Parts {
  readonly answers: Answer[];
  readonly authorities: Answer[];
  readonly additionals: Answer[];
  readonly code: number;
}

function fit(query: Query, parts: Parts, transport: Transport): Buffer {
  const asked = query.packet.additionals?.find(({ type }) => type === "OPT");
  const udpSize = asked !== undefined && "udpPayloadSize" in asked ? Number(asked.udpPayloadSize) : plainUdpBytes;
  const limit = transport === "tcp" ? 65_535 : Math.min(udpBytesMax, Math.max(plainUdpBytes, udpSize));
  const desired = (query.packet.flags ?? 0) & flag.recursionDesired;
  const flags = flag.authoritative | flag.recursionAvailable | desired | parts.code;
  const make = (answers: Answer[], additionals: Answer[], extra: number): Buffer =>
    encode({
      type: "response",
      id: query.id,
      flags: flags | extra,
      questions: query.packet.questions ?? [],
      answers,
      authorities: parts.authorities,
      additionals: [...additionals, ...(asked === undefined ? [] : [edns()])],
    });
  const whole = make(parts.answers, parts.additionals, 0);
  if (whole.length <= limit) return whole;
  const bare = make(parts.answers, [], 0);
  if (bare.length <= limit) return bare;
  // As many as fit; the flag tells the client to ask again over TCP.
  const share = Math.max(1, Math.floor((parts.answers.length * limit) / bare.length) - 1);
  return make(parts.answers.slice(0, share), [], flag.truncated);
}

const edns = (): Answer => ({
  type: "OPT",
  name: ".",
  udpPayloadSize: udpBytesMax,
  flags: 0,
  options: [],
  extendedRcode: 0,
  ednsVersion: 0,
  flag_do: false,
});
