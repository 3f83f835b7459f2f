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

export interface Answer {
  readonly code: "NOERROR" | "NXDOMAIN" | "SERVFAIL" | "REFUSED";
  readonly records: readonly DnsRecord[];
}

export interface Query {
  readonly id: number;
  readonly question: Question;
  /** The name letter by letter as it was asked; some clients compare the case. */
  readonly askedName: string;
  readonly hasEdns: boolean;
  /** Bytes that the client takes over UDP (RFC 6891); 512 without EDNS. */
  readonly udpBytesMax: number;
}

const codes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;
const plainUdpBytes = 512;
/** More than any path carries without fragments is not worth trusting. */
const udpBytesLimit = 1232;

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
      hasEdns: edns !== undefined,
      question: { name: asked.name.toLowerCase().replace(/\.$/, ""), type: asked.type },
      udpBytesMax: Math.min(Math.max(offered, plainUdpBytes), udpBytesLimit),
    };
  } catch {
    return undefined;
  }
}

/**
 * The whole answer; `udpBytesMax` set: cut to that size with the truncation flag, so that the client asks over TCP.
 * Undefined when the question has a name that cannot be written again.
 */
export function writeAnswer(query: Query, answer: Answer, udpBytesMax?: number): Uint8Array | undefined {
  const opt = { type: "OPT", name: ".", udpPayloadSize: udpBytesLimit, extendedRcode: 0, ednsVersion: 0 } as const;
  const encode = (answers: readonly DnsRecord[], isCut: boolean): Uint8Array =>
    packet.encode({
      type: "response",
      id: query.id,
      flags:
        (answer.code === "SERVFAIL" ? 0 : packet.AUTHORITATIVE_ANSWER) |
        packet.RECURSION_DESIRED |
        packet.RECURSION_AVAILABLE |
        (isCut ? packet.TRUNCATED_RESPONSE : 0) |
        codes[answer.code],
      // The question's type came from a decoded packet, so it is one that the packet library knows.
      questions: [{ type: query.question.type as packet.RecordType, name: query.askedName, class: "IN" }],
      answers: answers.map((record) => ({ ...record, class: "IN" as const })),
      additionals: query.hasEdns ? [{ ...opt, flags: 0, flag_do: false, options: [] }] : [],
    });
  try {
    const whole = encode(turned(answer.records, query.id), false);
    return udpBytesMax === undefined || whole.length <= udpBytesMax ? whole : encode([], true);
  } catch {
    return undefined;
  }
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
