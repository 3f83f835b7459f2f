/** Pages that every agent has, of a node or of a gateway: the rows that it holds, and where its exports lead. */
import { explainExport } from "../../../core/explain/export.ts";
import { serviceKey } from "../../../core/mesh/model.ts";
import type { MeshReplica } from "../../../core/mesh/replica.ts";
import { type DebugPage, PageProblem, parameter } from "./server.ts";

export interface ModelPagesOptions {
  readonly cluster: string;
  readonly network: string;
  readonly replica: MeshReplica;
  /** What the agent says of itself. */
  readonly status: () => unknown;
}

export function portOf(query: URLSearchParams): number {
  const port = Number(parameter(query, "port"));
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new PageProblem(400, `Port ${query.get("port")} is not a number between 1 and 65535.`);
}

const byKey = <T>(rows: Iterable<T>, keyOf: (row: T) => string): readonly T[] =>
  [...rows].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));

export const modelPages = ({ cluster, network, replica, status }: ModelPagesOptions) =>
  ({
    "/debug/status": status,
    "/debug/services": () => byKey(replica.services(), serviceKey),
    "/debug/workloads": () => byKey(replica.workloads(), ({ uid }) => uid),
    "/debug/policies": () => byKey(replica.policies(), ({ namespace, name }) => `${namespace}/${name}`),
    "/debug/export": (query) =>
      explainExport(
        { cluster, network, replica },
        {
          hostname: parameter(query, "host"),
          port: portOf(query),
          identity: parameter(query, "client"),
          ip: query.get("ip") ?? undefined,
        },
      ),
  }) satisfies Record<string, DebugPage>;
