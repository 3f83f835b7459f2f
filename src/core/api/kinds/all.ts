/** Every kind that the mesh brings to a cluster, in the order in which install applies them. */
import { crdOf } from "../definition.ts";
import type { AnyObject } from "../kube.ts";
import { gateway, gatewayClass } from "./gateway-api.ts";
import { serviceEntry, workloadEntry } from "./networking.ts";
import { authorizationPolicy, peerAuthentication } from "./security.ts";
import { segment } from "./segment.ts";

export const meshCrds = (): readonly AnyObject[] => [
  crdOf(gatewayClass),
  crdOf(gateway),
  crdOf(serviceEntry),
  crdOf(workloadEntry),
  crdOf(authorizationPolicy),
  crdOf(peerAuthentication),
  crdOf(segment),
];
