/** Reads the protobuf bodies that kubectl and client-go send, into the JSON they stand for (A28). Pure. */
import { isoMicros, isoSeconds } from "../../../io/host/iso-time.ts";
import { badRequest, unsupportedMediaType } from "../api/errors.ts";
import type { Fields } from "../api/json.ts";
import { fieldsOf } from "../api/json.ts";
import type { ProtoField } from "./tables.ts";
import { protoMessages } from "./tables.ts";

/** "k8s" and a zero byte come before everything. */
const magic = [0x6b, 0x38, 0x73, 0x00];

/** Numbers and flags whose zero says something, because the API tells it from absent. All other zeros are "not set". */
const meaningfulZeros = new Set(
  `
  replicas terminationGracePeriodSeconds activeDeadlineSeconds priority tolerationSeconds runAsUser runAsGroup
  fsGroup defaultMode mode revisionHistoryLimit progressDeadlineSeconds partition gracePeriodSeconds
  deletionGracePeriodSeconds restartCount exitCode leaseTransitions seconds optional
  automountServiceAccountToken shareProcessNamespace enableServiceLinks setHostnameAsFQDN hostUsers privileged
  runAsNonRoot readOnlyRootFilesystem allowPrivilegeEscalation controller blockOwnerDeletion immutable
  allocateLoadBalancerNodePorts started ready serving terminating orphanDependents port supplementalGroups
  minAvailable maxUnavailable maxSurge parallelism completions backoffLimit backoffLimitPerIndex maxFailedIndexes
  ttlSecondsAfterFinished suspend manualSelector startingDeadlineSeconds successfulJobsHistoryLimit
  failedJobsHistoryLimit succeededCount revision
  `
    .trim()
    .split(/\s+/),
);

const isProtobuf = (bytes: Uint8Array): boolean => magic.every((byte, index) => bytes[index] === byte);

/** A whole body. Kinds without a table are refused by name. */
export function decodeBody(bytes: Uint8Array): Fields {
  if (!isProtobuf(bytes)) throw badRequest("the protobuf body does not begin with the prefix of Kubernetes objects");
  const envelope = readAll(bytes.subarray(magic.length));
  const types = readAll(bytesOf(envelope.get(1)?.[0]));
  const apiVersion = textOfBytes(types.get(1)?.[0]);
  const kind = textOfBytes(types.get(2)?.[0]);
  const table = protoMessages().has(kind) ? kind : undefined;
  if (table === undefined) {
    throw unsupportedMediaType(
      `this server cannot read ${apiVersion} ${kind} as protobuf; send it as application/json`,
    );
  }
  return { apiVersion, kind, ...decodeMessage(bytesOf(envelope.get(2)?.[0]), table) };
}

type Raw = number | bigint | Uint8Array;

const bytesOf = (raw: Raw | undefined): Uint8Array => (raw instanceof Uint8Array ? raw : new Uint8Array());
const textOfBytes = (raw: Raw | undefined): string => Buffer.from(bytesOf(raw)).toString("utf8");
const numberOf = (raw: Raw | undefined): number =>
  typeof raw === "bigint" ? Number(BigInt.asIntN(64, raw)) : typeof raw === "number" ? raw : 0;

/** Every field of one message, by number, in order. */
function readAll(bytes: Uint8Array): Map<number, Raw[]> {
  const fields = new Map<number, Raw[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw badRequest("the protobuf body ends in the middle of a number");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw badRequest("the protobuf body holds a number that is too long");
  };
  const take = (length: number): Uint8Array => {
    if (length < 0 || at + length > bytes.length) throw badRequest("the protobuf body ends in the middle of a field");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const value = ((): Raw => {
      switch (tag & 7) {
        case 0:
          return varint();
        case 1:
          return take(8);
        case 2:
          return take(Number(varint()));
        case 5:
          return take(4);
        default:
          throw badRequest(`the protobuf body holds wire type ${tag & 7}, which no Kubernetes message has`);
      }
    })();
    const number = Math.floor(tag / 8);
    const values = fields.get(number);
    if (values === undefined) fields.set(number, [value]);
    else values.push(value);
  }
  return fields;
}

function decodeMessage(bytes: Uint8Array, name: string): Fields {
  const table = protoMessages().get(name);
  const object: Fields = {};
  for (const [number, values] of readAll(bytes)) {
    const field = table?.get(number);
    if (field === undefined) continue;
    const value = decodeField(field, values);
    if (value === undefined) continue;
    if (field.name === "~") Object.assign(object, value);
    else object[field.name] = value;
  }
  return object;
}

function decodeField(field: ProtoField, values: readonly Raw[]): unknown {
  if (field.form === "list") {
    return values.flatMap((raw) => (isPacked(field, raw) ? unpacked(bytesOf(raw)) : [decodeValue(field.type, raw)]));
  }
  if (field.form === "map") {
    const entries = values.map((raw) => {
      const entry = readAll(bytesOf(raw));
      return [textOfBytes(entry.get(1)?.[0]), decodeValue(field.type, entry.get(2)?.[0])] as const;
    });
    return Object.fromEntries(entries);
  }
  const value = decodeValue(field.type, values.at(-1));
  const isZero = value === "" || value === 0 || value === false;
  if (isZero && (value === "" || !meaningfulZeros.has(field.name))) return undefined;
  return value;
}

const isPacked = (field: ProtoField, raw: Raw): boolean => field.type === "int" && raw instanceof Uint8Array;

function unpacked(bytes: Uint8Array): number[] {
  const numbers: number[] = [];
  let value = 0n;
  let shift = 0n;
  for (const byte of bytes) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte >= 0x80) continue;
    numbers.push(numberOf(value));
    value = shift = 0n;
  }
  return numbers;
}

function decodeValue(type: string, raw: Raw | undefined): unknown {
  switch (type) {
    case "text":
      return textOfBytes(raw);
    case "int":
      return numberOf(raw);
    case "bool":
      return numberOf(raw) !== 0;
    case "bytes":
      return Buffer.from(bytesOf(raw)).toString("base64");
    case "time":
      return timeText(bytesOf(raw));
    case "quantity":
      return textOfBytes(readAll(bytesOf(raw)).get(1)?.[0]);
    case "intOrString": {
      const fields = readAll(bytesOf(raw));
      return numberOf(fields.get(1)?.[0]) === 1 ? textOfBytes(fields.get(3)?.[0]) : numberOf(fields.get(2)?.[0]);
    }
    case "json":
      return fieldsOf(JSON.parse(textOfBytes(readAll(bytesOf(raw)).get(1)?.[0]) || "{}"));
    case "ExtraValue":
      return decodeMessage(bytesOf(raw), type)["items"] ?? [];
    default:
      return decodeMessage(bytesOf(raw), type);
  }
}

/** An empty time is a time that was never set. */
function timeText(bytes: Uint8Array): string | undefined {
  const fields = readAll(bytes);
  if (fields.size === 0) return undefined;
  const seconds = numberOf(fields.get(1)?.[0]);
  const nanos = numberOf(fields.get(2)?.[0]);
  // The zero of Go's clock, year 1, is another "never set".
  if (seconds < -62_000_000_000) return undefined;
  return nanos === 0 ? isoSeconds(seconds * 1000) : isoMicros(seconds * 1000 + nanos / 1e6);
}
