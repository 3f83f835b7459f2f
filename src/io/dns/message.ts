/** Questions and answers as the rest of Tombolo sees them; the packet format stays inside this room. */
import packet from "dns-packet";

export type AddressType = "A" | "AAAA";

export interface Question {
  /** Lower case, without the final dot. */
  readonly name: string;
  /** `A`, `AAAA`, `SRV`, … */
  readonly type: string;
}

export type DnsRecord =
  | { readonly type: AddressType; readonly name: string; readonly ttl: number; readonly data: string }
  | { readonly type: "CNAME"; readonly name: string; readonly ttl: number; readonly data: string }
  | { readonly type: "PTR"; readonly name: string; readonly ttl: number; readonly data: string }
  | {
      readonly type: "SRV";
      readonly name: string;
      readonly ttl: number;
      readonly data: {
        readonly port: number;
        readonly target: string;
        readonly priority: number;
        readonly weight: number;
      };
    };

/** Whose names these are; lets a resolver remember for `ttl` seconds that there is nothing (RFC 2308). */
export interface Authority {
  readonly zone: string;
  readonly ttl: number;
}

export interface Answer {
  readonly code: "NOERROR" | "NXDOMAIN" | "SERVFAIL" | "REFUSED";
  readonly records: readonly DnsRecord[];
  /** Records that the client would ask for next; left out when they do not fit. */
  readonly additionals?: readonly DnsRecord[];
  readonly authority?: Authority;
}

export interface Query {
  readonly id: number;
  readonly question: Question;
  /** The name letter by letter as it was asked; some clients compare the case. */
  readonly askedName: string;
  readonly wantsRecursion: boolean;
  readonly hasEdns: boolean;
  /** Bytes that the client takes over UDP (RFC 6891); 512 without EDNS. */
  readonly udpBytesMax: number;
}

const codes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;
const plainUdpBytes = 512;
/** More than any path carries without fragments is not worth trusting. */
const udpBytesLimit = 1232;
const labelBytesMax = 63;

/** Undefined for anything that is not one well-formed question. */
export function readQuery(bytes: Uint8Array): Query | undefined {
  try {
    const message = packet.decode(Buffer.from(bytes));
    const [asked] = message.questions ?? [];
    if (message.type !== "query" || asked === undefined || message.id === undefined) return undefined;
    const edns = message.additionals?.find((record) => record.type === "OPT");
    const offered = edns !== undefined && "udpPayloadSize" in edns ? edns.udpPayloadSize : plainUdpBytes;
    return {
      id: message.id,
      askedName: asked.name,
      wantsRecursion: ((message.flags ?? 0) & packet.RECURSION_DESIRED) !== 0,
      hasEdns: edns !== undefined,
      question: { name: asked.name.toLowerCase().replace(/\.$/, ""), type: asked.type },
      udpBytesMax: Math.min(Math.max(offered, plainUdpBytes), udpBytesLimit),
    };
  } catch {
    return undefined;
  }
}

interface Sections {
  readonly code: Answer["code"];
  readonly answers: readonly packet.Answer[];
  readonly authorities?: readonly packet.Answer[];
  readonly additionals?: readonly packet.Answer[];
}

/**
 * The whole answer; `udpBytesMax` set: cut to that size with the truncation flag, so that the client asks over TCP.
 * Undefined when the question has a name that cannot be written again.
 */
export function writeAnswer(query: Query, answer: Answer, udpBytesMax?: number): Uint8Array | undefined {
  const { code, additionals = [], authority } = answer;
  const authorities = authority === undefined ? [] : [startOfAuthority(authority)];
  const answers = turned(answer.records, query.id);
  return writeFitting(query, { code, answers, authorities, additionals }, udpBytesMax);
}

/** What another server answered about a name that `alias` leads to, told under the name that was asked. */
export function writeAliased(
  query: Query,
  alias: DnsRecord,
  reply: Uint8Array,
  udpBytesMax?: number,
): Uint8Array | undefined {
  try {
    const { answers = [] } = packet.decode(Buffer.from(reply));
    return writeFitting(query, { code: "NOERROR", answers: [alias, ...answers] }, udpBytesMax);
  } catch {
    return undefined;
  }
}

/** The same question about another name; undefined when it is no name. */
export function questionAbout(query: Query, name: string): Uint8Array | undefined {
  const labels = name.replace(/\.$/, "").split(".");
  if (labels.some((label) => label.length === 0 || label.length > labelBytesMax)) return undefined;
  try {
    const questions = [{ type: knownType(query), name: labels.join("."), class: "IN" as const }];
    return packet.encode({ type: "query", id: query.id, flags: packet.RECURSION_DESIRED, questions });
  } catch {
    return undefined;
  }
}

// The question's type came from a decoded packet, so it is one that the packet library knows.
const knownType = ({ question }: Query): packet.RecordType => question.type as packet.RecordType;

const startOfAuthority = ({ zone, ttl }: Authority): packet.Answer => ({
  type: "SOA",
  name: zone,
  ttl,
  data: {
    mname: `ns.dns.${zone}`,
    rname: `hostmaster.${zone}`,
    serial: 1,
    refresh: 7_200,
    retry: 1_800,
    expire: 86_400,
    minimum: ttl,
  },
});

function writeFitting(query: Query, sections: Sections, bytesMax = Infinity): Uint8Array | undefined {
  try {
    const whole = encode(query, sections);
    if (whole.length <= bytesMax) return whole;
    const bare = encode(query, { ...sections, additionals: [] });
    if (bare.length <= bytesMax) return bare;
    // As many as surely fit, for clients that do not ask again.
    const share = Math.max(0, Math.floor((sections.answers.length * bytesMax) / bare.length) - 1);
    const cut = encode(query, { code: sections.code, answers: sections.answers.slice(0, share) }, true);
    return cut.length <= bytesMax ? cut : encode(query, { code: sections.code, answers: [] }, true);
  } catch {
    return undefined;
  }
}

function encode(query: Query, { code, answers, authorities = [], additionals = [] }: Sections, isCut = false) {
  const opt = { type: "OPT", name: ".", udpPayloadSize: udpBytesLimit, extendedRcode: 0, ednsVersion: 0 } as const;
  const edns: packet.Answer[] = query.hasEdns ? [{ ...opt, flags: 0, flag_do: false, options: [] }] : [];
  return packet.encode({
    type: "response",
    id: query.id,
    flags:
      (code === "SERVFAIL" ? 0 : packet.AUTHORITATIVE_ANSWER) |
      (query.wantsRecursion ? packet.RECURSION_DESIRED : 0) |
      packet.RECURSION_AVAILABLE |
      (isCut ? packet.TRUNCATED_RESPONSE : 0) |
      codes[code],
    questions: [{ type: knownType(query), name: query.askedName, class: "IN" }],
    answers: [...answers],
    authorities: [...authorities],
    additionals: [...additionals, ...edns],
  });
}

/** Clients take the first address; which one that is turns with the query's id, which is random. Others stay in front. */
function turned(records: readonly DnsRecord[], id: number): readonly DnsRecord[] {
  const isAddress = ({ type }: DnsRecord): boolean => type === "A" || type === "AAAA";
  const addresses = records.filter(isAddress);
  const from = addresses.length === 0 ? 0 : id % addresses.length;
  return [...records.filter((one) => !isAddress(one)), ...addresses.slice(from), ...addresses.slice(0, from)];
}

/** A server failure for a query whose answer could not be had. */
export const failure = (query: Query): Uint8Array | undefined => writeAnswer(query, { code: "SERVFAIL", records: [] });

export const isResponse = (bytes: Uint8Array): boolean => bytes.length >= 12 && ((bytes[2] ?? 0) & 0x80) !== 0;

/** Whether a response is cut short and must be asked for over TCP. */
export const isTruncated = (bytes: Uint8Array): boolean => ((bytes[2] ?? 0) & 0x02) !== 0;

export const idOf = (bytes: Uint8Array): number => ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);

/** The same message under another id. */
export function withId(bytes: Uint8Array, id: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[0] = id >> 8;
  copy[1] = id & 0xff;
  return copy;
}
