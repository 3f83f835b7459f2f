/** The Envoy clusters that every node has. */
import { staticCluster } from "./names.ts";
import { bindForApp, circuitBreakers, internalUpstream } from "./parts.ts";
import { envoyType, type EnvoyResource, type JsonObject } from "./resource.ts";

const cluster = (name: string, fields: JsonObject): EnvoyResource => ({
  type: envoyType.cluster,
  name,
  resource: { name, connect_timeout: "2s", circuit_breakers: circuitBreakers, ...fields },
});

const empty = (name: string): JsonObject => ({ cluster_name: name, endpoints: [] });

/** An internal listener that never exists: connecting to it sends no packet and comes to nothing. */
const refusingAddress = { envoy_internal_address: { server_listener_name: "nobody" } };

export const nowhereCluster: EnvoyResource = cluster(staticCluster.nowhere, {
  type: "STATIC",
  load_assignment: empty(staticCluster.nowhere),
});

export const nodeClusters: readonly EnvoyResource[] = [
  nowhereCluster,
  cluster(staticCluster.inbound, {
    type: "ORIGINAL_DST",
    lb_policy: "CLUSTER_PROVIDED",
    cleanup_interval: "60s",
    upstream_bind_config: bindForApp,
  }),
  cluster(staticCluster.denied, {
    type: "STATIC",
    // Envoy does not notice that nobody listens there: this is how long a denied client waits, twice.
    connect_timeout: "0.005s",
    transport_socket: internalUpstream,
    load_assignment: {
      cluster_name: staticCluster.denied,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: refusingAddress } }] }],
    },
  }),
];
