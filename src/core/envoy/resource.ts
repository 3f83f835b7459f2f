/** One named Envoy resource as plain JSON-shaped data, and the type URLs of the types we make. */

const prefix = "type.googleapis.com/";

export const envoyType = {
  cluster: `${prefix}envoy.config.cluster.v3.Cluster`,
  endpoints: `${prefix}envoy.config.endpoint.v3.ClusterLoadAssignment`,
  secret: `${prefix}envoy.extensions.transport_sockets.tls.v3.Secret`,
  listener: `${prefix}envoy.config.listener.v3.Listener`,
} as const;

export type TypeUrl = (typeof envoyType)[keyof typeof envoyType];

/** Make before break: what is used comes before what uses it; removals go the other way round. */
export const envoyPushOrder: readonly TypeUrl[] = [
  envoyType.cluster,
  envoyType.endpoints,
  envoyType.secret,
  envoyType.listener,
];

/** JSON in the protobuf mapping, with the original field names. */
export type Json = string | number | boolean | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [field: string]: Json | undefined;
}

export interface EnvoyResource {
  readonly type: TypeUrl;
  readonly name: string;
  readonly resource: JsonObject;
}

/** An extension's configuration: `{"@type": …}` with the short name after `envoy.extensions.`. */
export const extension = (type: string, fields: JsonObject = {}): JsonObject => ({
  "@type": `${prefix}envoy.extensions.${type}`,
  ...fields,
});
