/**
 * Model rows to bytes and back, for the model stream and for peering. Bytes in are the value of a resource of the type
 * URL in `wire.ts`. Decoding never throws: unknown fields are passed over, malformed bytes come back as a sentence.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { errorText } from "../api/error-text.ts";
import type { Export, MeshService, Policy, Workload } from "../mesh/model.ts";
import { AuthorizationSchema } from "./gen/authorization_pb.js";
import { ExportSchema, LeaseSchema, PeerInfoSchema } from "./gen/peering_pb.js";
import { AddressSchema } from "./gen/workload_pb.js";
import { exportFromWire, exportToWire } from "./export-row.ts";
import type { LeaseRow, PeerInfoRow } from "./export-row.ts";
import { policyFromWire, policyToWire } from "./policy-row.ts";
import { serviceFromWire, serviceToWire } from "./service-row.ts";
import { decoded, parseMessage, refused } from "./wire.ts";
import type { Decoded } from "./wire.ts";
import { workloadFromWire, workloadToWire } from "./workload-row.ts";

/** A resource of type `typeUrl.address` is one or the other. */
export type AddressRow =
  | { readonly kind: "workload"; readonly workload: Workload }
  | { readonly kind: "service"; readonly service: MeshService };

export function encodeWorkload(row: Workload): Uint8Array {
  return toBinary(AddressSchema, create(AddressSchema, { type: { case: "workload", value: workloadToWire(row) } }));
}

export function encodeService(row: MeshService): Uint8Array {
  return toBinary(AddressSchema, create(AddressSchema, { type: { case: "service", value: serviceToWire(row) } }));
}

export function decodeAddress(bytes: Uint8Array): Decoded<AddressRow> {
  const message = parseMessage(AddressSchema, bytes, "Address row");
  if (!message.ok) return message;
  const { type } = message.value;
  switch (type.case) {
    case "workload": {
      const { value } = type;
      const row = guarded(`Workload ${value.uid}`, () => workloadFromWire(value));
      return row.ok ? decoded({ kind: "workload", workload: row.value }) : row;
    }
    case "service": {
      const { value } = type;
      const row = guarded(`Service ${value.namespace}/${value.hostname}`, () => serviceFromWire(value));
      return row.ok ? decoded({ kind: "service", service: row.value }) : row;
    }
    case undefined:
      return refused("An address row arrived that is neither a workload nor a service.");
  }
}

export function decodeWorkload(bytes: Uint8Array): Decoded<Workload> {
  const row = decodeAddress(bytes);
  if (!row.ok) return row;
  if (row.value.kind === "workload") return decoded(row.value.workload);
  return refused(`Service ${row.value.service.hostname} arrived where a workload was expected.`);
}

export function decodeService(bytes: Uint8Array): Decoded<MeshService> {
  const row = decodeAddress(bytes);
  if (!row.ok) return row;
  if (row.value.kind === "service") return decoded(row.value.service);
  return refused(`Workload ${row.value.workload.uid} arrived where a service was expected.`);
}

export function encodePolicy(row: Policy): Uint8Array {
  return toBinary(AuthorizationSchema, policyToWire(row));
}

export function decodePolicy(bytes: Uint8Array): Decoded<Policy> {
  const message = parseMessage(AuthorizationSchema, bytes, "Policy row");
  return message.ok ? policyFromWire(message.value) : message;
}

export function encodeExport(row: Export): Uint8Array {
  return toBinary(ExportSchema, exportToWire(row));
}

export function decodeExport(bytes: Uint8Array): Decoded<Export> {
  const message = parseMessage(ExportSchema, bytes, "Export row");
  return message.ok ? exportFromWire(message.value) : message;
}

export function encodeLease(row: LeaseRow): Uint8Array {
  return toBinary(LeaseSchema, create(LeaseSchema, { ...row, sequence: BigInt(row.sequence) }));
}

export function decodeLease(bytes: Uint8Array): Decoded<LeaseRow> {
  const message = parseMessage(LeaseSchema, bytes, "Lease row");
  if (!message.ok) return message;
  const { cluster, sequence, durationMs } = message.value;
  return decoded({ cluster, sequence: Number(sequence), durationMs });
}

export function encodePeerInfo(row: PeerInfoRow): Uint8Array {
  const { segments, ...rest } = row;
  const list = segments && { segments: { segments: segments.map((one) => ({ ...one })) } };
  return toBinary(PeerInfoSchema, create(PeerInfoSchema, { ...rest, ...list }));
}

export function decodePeerInfo(bytes: Uint8Array): Decoded<PeerInfoRow> {
  const message = parseMessage(PeerInfoSchema, bytes, "PeerInfo row");
  if (!message.ok) return message;
  const { cluster, network, segment, trustDomain, version } = message.value;
  const list = message.value.segments?.segments.map(({ name, domain }) => ({ name, domain }));
  return decoded({ cluster, network, segment, trustDomain, version, ...(list && { segments: list }) });
}

/** An extension inside a well-formed row may itself be malformed. */
function guarded<Row>(what: string, read: () => Decoded<Row>): Decoded<Row> {
  try {
    return read();
  } catch (error) {
    return refused(`${what}: its extension is malformed (${errorText(error)}).`);
  }
}
