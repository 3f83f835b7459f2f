/** What Envoy is started with: everything else comes from the agent over its unix socket. */
import { staticCluster, type Socket } from "./names.ts";
import { ads } from "./parts.ts";
import { extension, type JsonObject } from "./resource.ts";

export interface BootstrapOptions {
  /** Unique in the mesh. */
  readonly nodeId: string;
  readonly cluster: string;
  /** Unix socket of the agent's delta ADS server. */
  readonly xdsSocketPath: string;
  /** A unix socket path, or an address on loopback. */
  readonly admin: string | Socket;
}

export function bootstrap({ nodeId, cluster, xdsSocketPath, admin }: BootstrapOptions): JsonObject {
  const adminAddress: JsonObject =
    typeof admin === "string"
      ? { pipe: { path: admin } }
      : { socket_address: { address: admin.host, port_value: admin.port } };
  return {
    node: { id: nodeId, cluster },
    admin: { address: adminAddress },
    layered_runtime: { layers: [{ name: "static", static_layer: {} }] },
    bootstrap_extensions: [
      {
        name: "envoy.bootstrap.internal_listener",
        typed_config: extension("bootstrap.internal_listener.v3.InternalListener"),
      },
    ],
    dynamic_resources: {
      lds_config: ads,
      cds_config: ads,
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: staticCluster.xds } }],
      },
    },
    static_resources: { clusters: [xdsCluster(xdsSocketPath)] },
    // A node may have thousands of on-demand clusters; their statistics would take most of its memory.
    deferred_stat_options: { enable_deferred_creation_stats: true },
    stats_config: {
      stats_matcher: { exclusion_list: { patterns: [{ prefix: "cluster.s|" }, { prefix: "cluster.new|" }] } },
    },
  };
}

function xdsCluster(path: string): JsonObject {
  const http2 = { connection_keepalive: { interval: "5s", timeout: "5s" } };
  return {
    name: staticCluster.xds,
    type: "STATIC",
    connect_timeout: "1s",
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": extension("upstreams.http.v3.HttpProtocolOptions", {
        explicit_http_config: { http2_protocol_options: http2 },
      }),
    },
    load_assignment: {
      cluster_name: staticCluster.xds,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path } } } }] }],
    },
  };
}

export interface RunOptions {
  readonly configPath: string;
  readonly concurrency: number;
  readonly logLevel: string;
}

export const envoyArguments = ({ configPath, concurrency, logLevel }: RunOptions): readonly string[] =>
  [
    ["-c", configPath, "--concurrency", String(concurrency)],
    // A restart is a new process with the configuration of ADS; hot restart would need a name unique on the machine.
    ["--disable-hot-restart"],
    // No draining: a changed policy cuts the connections that it forbids at once. Who drains waits before taking away.
    ["--drain-strategy", "immediate", "--drain-time-s", "0"],
    ["--log-level", logLevel, "--log-format", "%l %n %v"],
  ].flat();
