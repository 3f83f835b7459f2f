/** What PeerAuthentications are told (spec 4.6): whether they hold, and what of them does not. */
import type { PeerAuthentication } from "../api/mesh-kinds.ts";
import { meshKinds } from "../api/mesh-kinds.ts";
import { systemNamespace } from "../api/names.ts";
import type { Collection } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { accepted, compareAge, type Fault, type ObjectConditions, refused } from "./problem.ts";
import type { MeshSources } from "./sources.ts";

interface Asked {
  readonly key: string;
  readonly namespace: string;
  readonly created: string;
  readonly generation: number | undefined;
  /** Holds for a whole namespace, or for the mesh. */
  readonly isWide: boolean;
  readonly hasPorts: boolean;
  readonly isDisabling: boolean;
}

export function wirePeerAuthenticationConditions(graph: Graph, sources: MeshSources): Collection<ObjectConditions> {
  const asked = graph.derive<PeerAuthentication, Asked>(
    "authentications.asked",
    sources.peerAuthentications,
    function* ({ metadata, spec }, _read, key) {
      const ports = Object.values(spec?.portLevelMtls ?? {});
      yield [
        key,
        {
          key,
          namespace: metadata.namespace ?? "",
          created: metadata.creationTimestamp ?? "",
          generation: metadata.generation,
          isWide: Object.keys(spec?.selector?.matchLabels ?? {}).length === 0,
          hasPorts: ports.length > 0,
          isDisabling: [spec?.mtls, ...ports].some((one) => one?.mode === "DISABLE"),
        },
      ];
    },
  );
  const wide = graph.index(asked, "byNamespace", (row) => (row.isWide ? [row.namespace] : []));
  return graph.derive<Asked, ObjectConditions>("authentications.conditions", asked, function* (row, read, key) {
    const oldest = row.isWide ? [...read.lookup(wide, row.namespace)].sort(compareAge)[0] : undefined;
    const fault = faultOf(row, oldest);
    const meanwhile = row.isDisabling
      ? " DISABLE counts as PERMISSIVE: plaintext is accepted, mutual TLS is used."
      : "";
    const said = fault === undefined ? accepted(`The PeerAuthentication holds.${meanwhile}`) : refused(fault);
    const { generation } = row;
    yield [
      `peerauthentications/${key}`,
      { resource: meshKinds.peerAuthentications, key, generation, conditions: [said] },
    ];
  });
}

function faultOf({ key, namespace, isWide, hasPorts }: Asked, oldest: Asked | undefined): Fault | undefined {
  if (oldest !== undefined && oldest.key !== key) {
    const where = namespace === systemNamespace ? "the mesh" : `namespace ${namespace}`;
    const message = `PeerAuthentication ${key}: the older ${oldest.key} already holds for ${where}.`;
    return { reason: "Superseded", message, remedy: "Delete one of the two, or give this one a selector." };
  }
  if (!isWide || !hasPorts) return undefined;
  const message = `PeerAuthentication ${key}: spec.portLevelMtls needs a selector, so its ports are passed over.`;
  return { reason: "PortsWithoutSelector", message, remedy: "Add spec.selector.matchLabels, or move the ports." };
}
