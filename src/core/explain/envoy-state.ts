/**
 * What Envoy holds for a cluster, read from the JSON of its admin page `/clusters`, and where that differs from what the
 * model asks for. Envoy may be a moment behind; a difference that stays is a fault.
 */
import type { Candidate } from "./candidate.ts";

export interface HeldEndpoint {
  /** `ip:port`, for a pod of the same node too. */
  readonly address: string;
  readonly priority: number;
  readonly weight: number;
  /** Passed over for a while, since connecting failed. */
  readonly isEjected: boolean;
}

export interface EnvoyState {
  /** False until the first connection asks for the cluster. */
  readonly isHeld: boolean;
  readonly endpoints: readonly HeldEndpoint[];
  /** Sentences; empty when Envoy has what the model says. */
  readonly differences: readonly string[];
}

interface ClustersPage {
  readonly cluster_statuses?: readonly {
    readonly name?: string;
    readonly host_statuses?: readonly {
      readonly address?: {
        readonly socket_address?: { readonly address?: string; readonly port_value?: number };
        readonly envoy_internal_address?: { readonly endpoint_id?: string };
      };
      readonly weight?: number;
      readonly priority?: number;
      readonly health_status?: { readonly failed_outlier_check?: boolean };
    }[];
  }[];
}

export function heldEndpoints(page: unknown, cluster: string): readonly HeldEndpoint[] | undefined {
  // Envoy's own page; every field that is used may be absent.
  const { cluster_statuses: statuses = [] } = page as ClustersPage;
  // The newest of the cluster's periods.
  const found = statuses
    .filter(({ name = "" }) => name.startsWith(cluster))
    .toSorted(({ name: a = "" }, { name: b = "" }) => (a < b ? -1 : 1))
    .at(-1);
  return found?.host_statuses?.map(({ address, weight = 1, priority = 0, health_status: health }) => {
    const socket = address?.socket_address;
    const internal = address?.envoy_internal_address?.endpoint_id;
    return {
      address: internal ?? `${socket?.address ?? ""}:${socket?.port_value ?? 0}`,
      priority,
      weight,
      isEjected: health?.failed_outlier_check === true,
    };
  });
}

export function compareWithEnvoy(
  candidates: readonly Candidate[],
  held: readonly HeldEndpoint[] | undefined,
): EnvoyState {
  if (held === undefined) return { isHeld: false, endpoints: [], differences: [] };
  const wanted = new Map(
    candidates.flatMap(({ isUsed, priority, ways }) =>
      isUsed ? ways.map((way) => [way.address, { priority, weight: way.weight }] as const) : [],
    ),
  );
  const had = new Map(held.map((one) => [one.address, one]));
  const differences = [
    ...[...wanted.keys()].filter((address) => !had.has(address)).map((one) => `Envoy lacks endpoint ${one}.`),
    ...[...had.keys()].filter((address) => !wanted.has(address)).map((one) => `Envoy still has endpoint ${one}.`),
    ...held.flatMap(({ address, priority, weight }) => {
      const want = wanted.get(address);
      if (want === undefined || (want.priority === priority && want.weight === weight)) return [];
      const [is, should] = [`${priority}/${weight}`, `${want.priority}/${want.weight}`];
      return [`Envoy has endpoint ${address} with priority/weight ${is}, the model with ${should}.`];
    }),
  ];
  return { isHeld: true, endpoints: held, differences };
}
