/** What the zone says about a question, in the words of the DNS server; follows aliases as far as they are in the zone. Pure. */
import { clusterDomain } from "../../../core/api/names.ts";
import type { Answer, DnsRecord, Question } from "../../../io/dns/message.ts";
import type { ForwardedAlias } from "../../../io/dns/server.ts";
import type { Zone, ZoneAnswer, ZoneRecord } from "./zone.ts";

const ttlSeconds = 5;
const aliasesMax = 4;

const authority = { zone: clusterDomain, ttl: ttlSeconds };

export function answerFrom(zone: Zone, { name, type }: Question): Answer | ForwardedAlias | "forward" {
  const found = zone.answer(name, type);
  const target = type === "CNAME" ? undefined : aliasOf(found);
  return target === undefined ? toAnswer(found) : followed(zone, name, target, type);
}

/** An external name may lead to another Service, or out of the cluster. */
function followed(zone: Zone, name: string, first: string, type: string): Answer | ForwardedAlias {
  let target = first;
  for (let step = 0; step < aliasesMax; step += 1) {
    const next = aliasOf(zone.answer(target, type));
    if (next === undefined) break;
    target = next;
  }
  const alias: DnsRecord = { type: "CNAME", name, ttl: ttlSeconds, data: target };
  const found = toAnswer(zone.answer(target, type));
  return found === "forward" ? { alias, target } : { code: "NOERROR", records: [alias, ...found.records] };
}

function aliasOf(answer: ZoneAnswer): string | undefined {
  const [first] = answer.kind === "records" ? answer.records : [];
  return first?.type === "CNAME" ? first.target : undefined;
}

function toAnswer(found: ZoneAnswer): Answer | "forward" {
  switch (found.kind) {
    case "foreign":
      return "forward";
    case "records": {
      const [records, additionals] = [found.records.map(toRecord), found.additionals.map(toRecord)];
      return { code: "NOERROR", records, additionals };
    }
    case "no-data":
      return { code: "NOERROR", records: [], authority };
    case "no-name":
      return { code: "NXDOMAIN", records: [], authority };
  }
}

function toRecord(record: ZoneRecord): DnsRecord {
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
}
