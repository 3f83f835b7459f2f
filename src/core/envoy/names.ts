/** Names of Envoy resources and filter-state keys, made and read in one place. */

/** `out` and `in` listen inside the pod's network namespace; `gate` is the internal listener before the app. */
export const podListenerName = {
  outbound: (podUid: string): string => `out|${podUid}`,
  inbound: (podUid: string): string => `in|${podUid}`,
  gate: (podUid: string): string => `p|${podUid}`,
} as const;

export const isGateName = (name: string): boolean => name.startsWith(podListenerName.gate(""));

export const podUidOfGate = (name: string): string | undefined =>
  isGateName(name) ? name.slice(podListenerName.gate("").length) : undefined;

/** Envoy cluster that leads to a pod's gate. */
export const gateClusterName = (podUid: string): string => `gate|${podUid}`;

export const staticCluster = {
  /** To the app, as the client's address, inside the pod's namespace. */
  inbound: "inbound",
  /** Refused asynchronously; see `deniedCluster`. */
  denied: "denied",
  /** No endpoints: connections close. */
  nowhere: "nowhere",
  controlPlane: "control-plane",
  xds: "xds",
} as const;

export interface Socket {
  readonly host: string;
  readonly port: number;
}

/** What an on-demand cluster of a node is for: connections of one identity to one captured destination. */
export interface Dial extends Socket {
  readonly identity: string;
}

/** A client that came to a pod's port, by which its connections are told from those of others. */
export interface PodClient {
  /** SPIFFE id, "" for one that has none. */
  readonly identity: string;
  readonly port: number;
}

const newcomerPrefix = "new|";

/** Asked for by a gate to which a client comes for the first time; Envoy's access-log format makes the name. */
export const newcomerClusterFormat = (podUid: string): string =>
  `${newcomerPrefix}${podUid}|%DOWNSTREAM_LOCAL_PORT%|%FILTER_STATE(${filterState.identity}:PLAIN)%`;

export function parseNewcomerClusterName(
  name: string,
): { readonly podUid: string; readonly client: PodClient } | undefined {
  if (!name.startsWith(newcomerPrefix)) return undefined;
  const [, podUid = "", port = "", identity = ""] = /^new\|([^|]+)\|(\d{1,5})\|(.*)$/.exec(name) ?? [];
  if (podUid === "") return undefined;
  return { podUid, client: { identity, port: Number(port) } };
}

const dialPrefix = "s|";
const sniPrefix = "sni|";

/**
 * Part of the name of a cluster on demand, as Envoy formats the start of a connection, in UTC: each half of a day has names of
 * its own. Envoy asks for a name once in its life, so that a name must never be used again once its cluster was taken away.
 */
export const periodFormatDefault = "%Y%m%d%p";

/** The names of one dial in all periods begin so. */
export const dialClusterStem = (to: Socket, identity: string): string => `${dialPrefix}${socketText(to)}|${identity}|`;

/** Of the pod's own listener, in Envoy's format. */
export const dialClusterFormat = (identity: string, periodFormat: string): string =>
  `${dialPrefix}%DOWNSTREAM_LOCAL_ADDRESS%|${identity}|%START_TIME(${periodFormat})%`;

/** Whether a cluster has a name of any period. */
export const isPeriodic = (name: string): boolean => name.startsWith(dialPrefix) || name.startsWith(sniPrefix);

export const isOfPeriod = (name: string, period: string): boolean => name.endsWith(`|${period}`);

export const socketText = ({ host, port }: Socket): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

export function parseSocket(text: string): Socket | undefined {
  const at = text.lastIndexOf(":");
  const digits = text.slice(at + 1);
  const host = text.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  if (at < 1 || host === "" || !/^\d{1,5}$/.test(digits)) return undefined;
  return { host, port: Number(digits) };
}

export function parseDialClusterName(name: string): Dial | undefined {
  if (!name.startsWith(dialPrefix)) return undefined;
  const at = name.indexOf("|", dialPrefix.length);
  if (at === -1) return undefined;
  const socket = parseSocket(name.slice(dialPrefix.length, at));
  const [identity = ""] = name.slice(at + 1).split("|");
  return socket && { ...socket, identity };
}

export const sniOf = (port: number, hostname: string): string => `outbound_.${port}_._.${hostname}`;
export const sniClusterName = (sni: string): string => `${sniPrefix}${sni}`;
/** Of the gateway's listener, in Envoy's format. */
export const sniClusterFormat = `${sniPrefix}%REQUESTED_SERVER_NAME%|%START_TIME(${periodFormatDefault})%`;

export interface SniTarget {
  readonly hostname: string;
  readonly port: number;
}

/** The service and port that a gateway's cluster name asks for; subsets are not ours and lead nowhere. */
export function parseSniClusterName(name: string): SniTarget | undefined {
  const match = /^sni\|outbound_\.(\d{1,5})_\._\.([a-z0-9.-]+)(?:\|\w+)?$/.exec(name);
  return match?.[1] !== undefined && match[2] !== undefined
    ? { port: Number(match[1]), hostname: match[2] }
    : undefined;
}

/** One validation context with a bundle for every trust domain; Envoy's SPIFFE validator keeps them apart. */
export const trustSecretName = "trust|mesh";

export const filterState = {
  /** SPIFFE id of the connection's client, verified by TLS or set in its own namespace. */
  identity: "tombolo.identity",
  /** Set once the client was made known to its gate. */
  met: "tombolo.met",
  networkNamespace: "envoy.network.upstream_bind_override.network_namespace",
  tcpCluster: "envoy.tcp_proxy.cluster",
  /** What the internal listener takes for its local and remote address. */
  originalLocal: "envoy.filters.listener.original_dst.local_ip",
  originalRemote: "envoy.filters.listener.original_dst.remote_ip",
} as const;

export const metadataKey = {
  socketMatch: "envoy.transport_socket_match",
  originalDst: "envoy.filters.listener.original_dst",
} as const;
