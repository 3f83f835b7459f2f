/**
 * Wire form of the delta discovery service (envoy.service.discovery.v3): the fields that Tombolo uses, others are skipped.
 * Written by hand so that the model stream does not depend on an Envoy binary.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

export const deltaMethodPath = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

export interface DiscoveryRequest {
  readonly node?: { readonly id: string; readonly cluster: string };
  readonly typeUrl: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly initialVersions: ReadonlyMap<string, string>;
  readonly nonce: string;
  /** Set: the response with this nonce is refused. */
  readonly error?: string;
}

export interface DiscoveryResource {
  readonly name: string;
  readonly version: string;
  readonly typeUrl: string;
  readonly bytes: Uint8Array;
}

export interface DiscoveryResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources: readonly DiscoveryResource[];
  readonly removed: readonly string[];
}

/** INVALID_ARGUMENT, as every xDS client sends with a NACK. */
const nackCode = 3;

type FieldReaders = Readonly<Record<number, (reader: BinaryReader) => void>>;

function readFields(bytes: Uint8Array, fields: FieldReaders): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = fields[number];
    if (field && wireType === WireType.LengthDelimited) field(reader);
    else reader.skip(wireType, number);
  }
}

export function decodeRequest(bytes: Uint8Array): DiscoveryRequest {
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  const initialVersions = new Map<string, string>();
  let node: { id: string; cluster: string } | undefined;
  let error: string | undefined;
  let typeUrl = "";
  let nonce = "";
  readFields(bytes, {
    1: (reader) => {
      const read = { id: "", cluster: "" };
      readFields(reader.bytes(), { 1: (r) => void (read.id = r.string()), 2: (r) => void (read.cluster = r.string()) });
      node = read;
    },
    2: (reader) => void (typeUrl = reader.string()),
    3: (reader) => void subscribe.push(reader.string()),
    4: (reader) => void unsubscribe.push(reader.string()),
    5: (reader) => {
      const entry = { name: "", version: "" };
      readFields(reader.bytes(), {
        1: (r) => void (entry.name = r.string()),
        2: (r) => void (entry.version = r.string()),
      });
      initialVersions.set(entry.name, entry.version);
    },
    6: (reader) => void (nonce = reader.string()),
    7: (reader) => {
      error = "";
      readFields(reader.bytes(), { 2: (r) => void (error = r.string()) });
    },
  });
  return {
    typeUrl,
    subscribe,
    unsubscribe,
    initialVersions,
    nonce,
    ...(node === undefined ? {} : { node }),
    ...(error === undefined ? {} : { error }),
  };
}

const bytesField = (writer: BinaryWriter, number: number, bytes: Uint8Array): void => {
  writer.tag(number, WireType.LengthDelimited).bytes(bytes);
};
const stringField = (writer: BinaryWriter, number: number, text: string): void => {
  if (text !== "") writer.tag(number, WireType.LengthDelimited).string(text);
};
const message = (write: (writer: BinaryWriter) => void): Uint8Array => {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
};

export function encodeRequest(request: DiscoveryRequest): Uint8Array {
  return message((writer) => {
    const { node, error } = request;
    if (node) {
      bytesField(
        writer,
        1,
        message((w) => {
          stringField(w, 1, node.id);
          stringField(w, 2, node.cluster);
        }),
      );
    }
    stringField(writer, 2, request.typeUrl);
    for (const name of request.subscribe) writer.tag(3, WireType.LengthDelimited).string(name);
    for (const name of request.unsubscribe) writer.tag(4, WireType.LengthDelimited).string(name);
    for (const [name, version] of request.initialVersions) {
      bytesField(
        writer,
        5,
        message((w) => {
          stringField(w, 1, name);
          stringField(w, 2, version);
        }),
      );
    }
    stringField(writer, 6, request.nonce);
    if (error !== undefined) {
      bytesField(
        writer,
        7,
        message((w) => {
          w.tag(1, WireType.Varint).int32(nackCode);
          stringField(w, 2, error);
        }),
      );
    }
  });
}

export function encodeResponse(response: DiscoveryResponse): Uint8Array {
  return message((writer) => {
    for (const resource of response.resources) {
      bytesField(
        writer,
        2,
        message((w) => {
          stringField(w, 1, resource.version);
          bytesField(
            w,
            2,
            message((any) => {
              stringField(any, 1, resource.typeUrl);
              bytesField(any, 2, resource.bytes);
            }),
          );
          stringField(w, 3, resource.name);
        }),
      );
    }
    stringField(writer, 4, response.typeUrl);
    stringField(writer, 5, response.nonce);
    for (const name of response.removed) writer.tag(6, WireType.LengthDelimited).string(name);
  });
}

export function decodeResponse(bytes: Uint8Array): DiscoveryResponse {
  const resources: DiscoveryResource[] = [];
  const removed: string[] = [];
  let typeUrl = "";
  let nonce = "";
  readFields(bytes, {
    2: (reader) => void resources.push(decodeResource(reader.bytes())),
    4: (reader) => void (typeUrl = reader.string()),
    5: (reader) => void (nonce = reader.string()),
    6: (reader) => void removed.push(reader.string()),
  });
  return { typeUrl, nonce, resources, removed };
}

function decodeResource(bytes: Uint8Array): DiscoveryResource {
  const resource: { -readonly [Field in keyof DiscoveryResource]: DiscoveryResource[Field] } = {
    name: "",
    version: "",
    typeUrl: "",
    bytes: new Uint8Array(),
  };
  readFields(bytes, {
    1: (reader) => void (resource.version = reader.string()),
    2: (reader) =>
      readFields(reader.bytes(), {
        1: (r) => void (resource.typeUrl = r.string()),
        2: (r) => void (resource.bytes = r.bytes()),
      }),
    3: (reader) => void (resource.name = reader.string()),
  });
  return resource;
}
