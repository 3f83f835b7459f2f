/** Building blocks that several resources share: filters, transport sockets and the settings measured to work. */
import { originalSourceMark, proxyMark } from "../api/names.ts";
import { filterState, metadataKey, trustSecretName } from "./names.ts";
import { extension, type Json, type JsonObject } from "./resource.ts";

export const ads: JsonObject = { ads: {}, resource_api_version: "V3" };

/** The mutual TLS of the mesh between proxies: one connection per connection. */
export const alpn = "istio";

/**
 * Until TLS is up, not only TCP. Shorter would find a silent endpoint sooner, but take a node that is busy with a burst
 * of handshakes for a dead one and begin each of them again: at 0.5 s a burst of 500 lost 15 of 100 connections.
 */
export const connectTimeout = "1s";
export const connectAttemptsMax = 6;
export const connectBackoff: JsonObject = { base_interval: "0.005s", max_interval: "0.1s" };
/** How long a connection waits for its cluster to come from the agent. */
const onDemandTimeout = "3s";

/**
 * An idle connection to a peer that went silent ends within about three seconds. With data under way it ends by the
 * namespace's `net.ipv4.tcp_retries2`, which whoever captures a pod sets: TCP_USER_TIMEOUT would also end connections to
 * apps that merely do not read for a while.
 */
export const tcpKeepalive: JsonObject = { keepalive_probes: 2, keepalive_time: 1, keepalive_interval: 1 };
const socketMark = (mark: number): JsonObject => ({ level: 1, name: 36, int_value: mark, state: "STATE_PREBIND" });

export const circuitBreakers: JsonObject = {
  thresholds: [{ max_connections: 100_000, max_pending_requests: 100_000, max_requests: 100_000, max_retries: 1000 }],
};

export const outlierDetection: JsonObject = {
  consecutive_local_origin_failure: 2,
  split_external_local_origin_errors: true,
  consecutive_5xx: 0,
  enforcing_consecutive_5xx: 0,
  enforcing_success_rate: 0,
  enforcing_consecutive_local_origin_failure: 100,
  enforcing_local_origin_success_rate: 0,
  base_ejection_time: "5s",
  max_ejection_time: "30s",
  interval: "1s",
  max_ejection_percent: 100,
};

/**
 * Ejected endpoints are tried only when nothing else is left on any priority, which beats failing for sure. Every ejection
 * counts at once instead of once a second.
 */
export const loadBalancing: JsonObject = { healthy_panic_threshold: { value: 1 }, update_merge_window: "0s" };

const bindMarked = (mark: number): JsonObject => ({
  source_address: { address: "0.0.0.0", port_value: 0 },
  socket_options: [socketMark(mark)],
  local_address_selector: {
    name: "envoy.upstream.local_address_selector.filter_state_override",
    typed_config: extension("local_address_selectors.filter_state_override.v3.Config"),
  },
});

/** Sockets leave from the network namespace that the connection's filter state names, never captured again. */
export const bindInNamespace = bindMarked(proxyMark);
/** The same, to the app of that namespace under its client's address. */
export const bindForApp = bindMarked(originalSourceMark);

export const originalDst: JsonObject = {
  name: "original_dst",
  typed_config: extension("filters.listener.original_dst.v3.OriginalDst"),
};
export const originalSrc: JsonObject = {
  name: "original_src",
  typed_config: extension("filters.listener.original_src.v3.OriginalSrc", { mark: originalSourceMark }),
};
export const tlsInspector: JsonObject = {
  name: "tls_inspector",
  typed_config: extension("filters.listener.tls_inspector.v3.TlsInspector"),
};

export interface StateValue {
  readonly key: string;
  /** Envoy's access-log format. */
  readonly value: string;
  /** Given for keys of our own; Envoy's own keys have a factory of the same name. */
  readonly factory?: string;
  /** Stays on this connection instead of going on to the next proxy hop. */
  readonly isLocal?: boolean;
}

export const identityState = (value: string): StateValue => ({
  key: filterState.identity,
  value,
  factory: "envoy.hashable_string",
});
export const namespaceState = (netnsPath: string): StateValue => ({
  key: filterState.networkNamespace,
  value: netnsPath,
  factory: "envoy.hashable_string",
});

const stateValue = ({ key, value, factory, isLocal }: StateValue): JsonObject => ({
  object_key: key,
  format_string: { text_format_source: { inline_string: value }, omit_empty_values: true },
  shared_with_upstream: isLocal === true ? "NONE" : "TRANSITIVE",
  skip_if_empty: true,
  ...(factory === undefined ? {} : { factory_key: factory }),
});

/** `afterHandshake` values may use what TLS verified. */
export const setFilterState = (
  onConnection: readonly StateValue[],
  afterHandshake: readonly StateValue[] = [],
): JsonObject => ({
  name: "set_filter_state",
  typed_config: extension("filters.network.set_filter_state.v3.Config", {
    on_new_connection: onConnection.map(stateValue),
    ...(afterHandshake.length === 0 ? {} : { on_downstream_tls_handshake: afterHandshake.map(stateValue) }),
  }),
});

export const tcpProxy = (statPrefix: string, cluster: string, fields: JsonObject = {}): JsonObject => ({
  name: "tcp_proxy",
  typed_config: extension("filters.network.tcp_proxy.v3.TcpProxy", {
    stat_prefix: statPrefix,
    cluster,
    // Idle connections live as long as both ends do; keepalive finds the dead ones.
    idle_timeout: "0s",
    ...fields,
  }),
});

/** The cluster is named by filter state and fetched at the first connection. */
export const onDemand: JsonObject = { odcds_config: ads, timeout: onDemandTimeout };

export function accessLog(path: string | undefined, direction: string): JsonObject {
  if (path === undefined) return {};
  const fields: JsonObject = {
    time: "%START_TIME%",
    direction,
    identity: "%FILTER_STATE(tombolo.identity:PLAIN)%",
    source: "%DOWNSTREAM_REMOTE_ADDRESS%",
    destination: "%DOWNSTREAM_LOCAL_ADDRESS%",
    upstream: "%UPSTREAM_HOST%",
    cluster: "%UPSTREAM_CLUSTER_RAW%",
    attempts: "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    failure: "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    flags: "%RESPONSE_FLAGS%",
    connection: "%CONNECTION_ID%",
    sent: "%BYTES_SENT%",
    received: "%BYTES_RECEIVED%",
    ms: "%DURATION%",
  };
  const typed = extension("access_loggers.file.v3.FileAccessLog", { path, log_format: { json_format: fields } });
  return { access_log: [{ name: "file", typed_config: typed }] };
}

export const rawBuffer: JsonObject = {
  name: "raw",
  typed_config: extension("transport_sockets.raw_buffer.v3.RawBuffer"),
};

/** Into an internal listener of this Envoy, with filter state and the endpoint's original destination. */
export const internalUpstream: JsonObject = {
  name: "internal",
  typed_config: extension("transport_sockets.internal_upstream.v3.InternalUpstreamTransport", {
    passthrough_metadata: [{ kind: { host: {} }, name: metadataKey.originalDst }],
    transport_socket: rawBuffer,
  }),
};

/**
 * One source for every use: Envoy shares a secret only between equal sources, and asks for a name only once. A cluster
 * that waits for a secret holds up all other on-demand clusters, so it does not wait long.
 */
const secretSource: JsonObject = { ...ads, initial_fetch_timeout: "1s" };
const certificate = (identity: string): Json => [{ name: identity, sds_config: secretSource }];
const tlsParams: JsonObject = { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" };
const trustSecret: JsonObject = { name: trustSecretName, sds_config: secretSource };
/** Sessions kept per cluster; one would be fought over by connections that are set up at the same time. */
const sessionKeysMax = 64;

/** Dials as `identity`; the far end must prove one of `peers`. */
export const upstreamTls = (identity: string, peers: readonly string[], sni: string): JsonObject => ({
  name: "tls",
  typed_config: extension("transport_sockets.tls.v3.UpstreamTlsContext", {
    sni,
    max_session_keys: sessionKeysMax,
    common_tls_context: {
      alpn_protocols: [alpn],
      tls_params: tlsParams,
      tls_certificate_sds_secret_configs: certificate(identity),
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: peers.map((peer) => ({ san_type: "URI", matcher: { exact: peer } })),
        },
        validation_context_sds_secret_config: trustSecret,
      },
    },
  }),
});

export const downstreamTls = (identity: string): JsonObject => ({
  name: "tls",
  typed_config: extension("transport_sockets.tls.v3.DownstreamTlsContext", {
    require_client_certificate: true,
    common_tls_context: {
      alpn_protocols: [alpn],
      tls_params: tlsParams,
      tls_certificate_sds_secret_configs: certificate(identity),
      validation_context_sds_secret_config: trustSecret,
    },
  }),
});
