/** All that install puts on a cluster, in order: kinds first, then the namespace, the control plane, the agents. */
import type { AnyObject, ResourceType } from "../../core/api/kube.ts";
import { apiVersionOf } from "../../core/api/kube.ts";
import { meshCrds } from "../../core/api/kinds/all.ts";
import { meshKinds } from "../../core/api/mesh-kinds.ts";
import { builtin } from "../../core/api/resources.ts";
import { agent } from "./agent.ts";
import { controlPlane, namespace } from "./control-plane.ts";
import type { InstallSettings } from "./values.ts";

export const manifests = (settings: InstallSettings): readonly AnyObject[] => [
  ...meshCrds(),
  namespace(settings),
  ...controlPlane(settings),
  ...agent(settings),
];

const known: readonly ResourceType[] = [...Object.values(builtin), ...Object.values(meshKinds)];

/** How an object of ours is addressed; asserts that the kind is one of ours. */
export function resourceOf(object: { readonly apiVersion: string; readonly kind: string }): ResourceType {
  const found = known.find((type) => apiVersionOf(type) === object.apiVersion && type.kind === object.kind);
  if (found === undefined) throw new Error(`${object.apiVersion} ${object.kind} is not a kind that install knows.`);
  return found;
}
