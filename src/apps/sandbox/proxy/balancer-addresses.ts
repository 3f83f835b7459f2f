/** Which node answers for which LoadBalancer address. Pure; an address stays where it is while its node can have it. */
import type { Node } from "../../../core/api/kube.ts";
import type { ProxiedPort } from "./ports.ts";

export const isNodeReady = (node: Node): boolean =>
  node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;

/** Node name by address. `nodeNames` are in order of preference. */
export function placeAddresses(
  ports: readonly ProxiedPort[],
  nodeNames: readonly string[],
  isReady: (nodeName: string) => boolean,
  before: ReadonlyMap<string, string>,
): Map<string, string> {
  const placed = new Map<string, string>();
  const ready = nodeNames.filter(isReady);
  for (const { balancerAddresses, isExternalLocal, endpoints } of ports) {
    const withEndpoint = ready.filter((name) => endpoints.some(({ nodeName }) => nodeName === name));
    const able = isExternalLocal && withEndpoint.length > 0 ? withEndpoint : ready;
    for (const address of balancerAddresses) {
      if (placed.has(address)) continue;
      const old = before.get(address);
      const choice = old !== undefined && able.includes(old) ? old : (able[0] ?? old);
      if (choice !== undefined) placed.set(address, choice);
    }
  }
  return placed;
}
