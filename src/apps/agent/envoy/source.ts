/** What all sources of Envoy resources in the agent share: how a resource becomes bytes, and how changes are told. */
import type { EnvoyResource } from "../../../core/envoy/resource.ts";
import { type VersionedResource, versionOf } from "../../../io/xds/resource-source.ts";
import type { EnvoySchema } from "../../../io/xds/schema.ts";

/** Turns a resource into bytes with a version. */
export type Encode = (resource: EnvoyResource) => VersionedResource;

/** Tells the server that names of a type may have changed. */
export interface Push {
  changed(typeUrl: string, names: Iterable<string>): void;
}

export const encoder =
  (schema: EnvoySchema): Encode =>
  ({ type, resource }) => {
    const bytes = schema.encodeResource(type, resource);
    return { bytes, version: versionOf(bytes) };
  };
