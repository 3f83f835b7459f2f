/**
 * The one extension, named `tombolo`, by which rows of ztunnel's types carry what those types lack.
 */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { Extension } from "./gen/workload_pb.js";

const extensionName = "tombolo";

export function packExtension<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): { readonly name: string; readonly config: Any } {
  return { name: extensionName, config: anyPack(schema, message) };
}

/** Undefined when the row carries none, or one of another message type; throws when its bytes are malformed. */
export function unpackExtension<Desc extends DescMessage>(
  schema: Desc,
  extensions: readonly Extension[],
): MessageShape<Desc> | undefined {
  const config = extensions.find((extension) => extension.name === extensionName)?.config;
  return config && anyUnpack(config, schema);
}
