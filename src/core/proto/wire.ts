/**
 * What all rows on the wire share: type URLs, resource names, and how bytes become a message or a sentence that says
 * why they do not. Decoding never throws; encoding throws only on a row that breaks an invariant of the model.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { errorText } from "../api/error-text.ts";
import type { Export } from "../mesh/model.ts";

/** A value, or a sentence that says why the bytes do not hold one. */
export type Decoded<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: string };

export const typeUrl = {
  /** Workloads and services; a ztunnel subscribes to this. */
  address: "type.googleapis.com/istio.workload.Address",
  authorization: "type.googleapis.com/istio.security.Authorization",
  export: "type.googleapis.com/tombolo.peering.v1.Export",
  lease: "type.googleapis.com/tombolo.peering.v1.Lease",
  peerInfo: "type.googleapis.com/tombolo.peering.v1.PeerInfo",
} as const;

export const exportName = (row: Export): string => `${row.cluster}/${row.namespace}/${row.name}`;

export const decoded = <Value>(value: Value): Decoded<Value> => ({ ok: true, value });
export const refused = (problem: string): { readonly ok: false; readonly problem: string } => ({ ok: false, problem });

/** Parses the protobuf layer only; `what` names the row in the sentence. */
export function parseMessage<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
  what: string,
): Decoded<MessageShape<Desc>> {
  try {
    return decoded(fromBinary(schema, bytes));
  } catch (error) {
    const cause = errorText(error);
    return refused(`${what}: the ${bytes.length} bytes are not a ${schema.typeName} (${cause}).`);
  }
}
