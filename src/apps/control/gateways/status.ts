/** Status of Gateways: east-west ones from what carries them out, remote ones from their own fields. Pure. */
import type { Condition, Service } from "../../../core/api/kube.ts";
import type { Gateway } from "../../../core/api/mesh-kinds.ts";
import type { Deployment } from "../../../core/api/pod.ts";
import { isEqual } from "../../../core/graph/equal.ts";
import { fullText } from "../../../core/mesh/problem.ts";
import { mergeConditions } from "../writers/merge-conditions.ts";
import type { WantedCondition } from "../writers/merge-conditions.ts";
import type { CheckedGateway, CheckedListener } from "./check.ts";

export type GatewayStatus = NonNullable<Gateway["status"]>;
type Address = { type: string; value: string };

export interface WantedStatus {
  readonly conditions: readonly WantedCondition[];
  readonly addresses: readonly Address[];
  readonly listeners: readonly WantedListener[];
}

interface WantedListener {
  readonly name: string;
  readonly kinds: readonly { group: string; kind: string }[];
  readonly conditions: readonly WantedCondition[];
}

/** What was found of the objects that carry out a Gateway. */
export interface Found {
  readonly service: Service | undefined;
  readonly deployment: Deployment | undefined;
}

const yes = (type: string, reason: string, message: string): WantedCondition => ({
  type,
  status: "True",
  reason,
  message,
});
const no = (type: string, reason: string, message: string): WantedCondition => ({
  type,
  status: "False",
  reason,
  message,
});

/** `said` is what the mesh model says of the Gateway's labels and fields. */
export function eastWestStatus(checked: CheckedGateway, found: Found, said: readonly WantedCondition[]): WantedStatus {
  const addresses = addressesOf(found.service);
  const programmed = programmedOf(checked, found, addresses);
  return {
    conditions: [acceptedOf(checked, said), programmed],
    addresses,
    listeners: checked.listeners.map((one) => listenerOf(one, programmed)),
  };
}

function acceptedOf({ listeners, addressFault }: CheckedGateway, said: readonly WantedCondition[]): WantedCondition {
  const refused = said.find(({ type, status }) => type === "Accepted" && status === "False");
  if (refused !== undefined) return refused;
  if (addressFault !== undefined) return no("Accepted", addressFault.reason, fullText(addressFault));
  const faults = listeners.flatMap((one) => (one.fault === undefined ? [] : [fullText(one.fault)]));
  if (faults.length === 0) return yes("Accepted", "Accepted", "Resource accepted");
  const isNothingServed = faults.length === listeners.length;
  return (isNothingServed ? no : yes)("Accepted", "ListenersNotValid", faults.join(" "));
}

function programmedOf(checked: CheckedGateway, { service, deployment }: Found, addresses: readonly Address[]) {
  const served = checked.listeners.filter(({ fault }) => fault === undefined);
  if (served.length === 0) {
    const meanwhile = service === undefined ? "" : " What it served before goes on until it is mended.";
    return no("Programmed", "Invalid", `No listener of this Gateway can be served.${meanwhile}`);
  }
  if (service === undefined || deployment === undefined) {
    return no("Programmed", "Pending", "The Deployment and the Service of this Gateway are being made.");
  }
  const name = `${service.metadata.namespace ?? ""}/${service.metadata.name}`;
  if (addresses.length === 0) {
    const why = "It needs something that gives LoadBalancer Services their addresses.";
    return no("Programmed", "AddressNotAssigned", `Service ${name} has no external address yet. ${why}`);
  }
  if (Number(deployment.status?.["availableReplicas"] ?? 0) === 0) {
    const where = `kubectl describe deployment -n ${deployment.metadata.namespace ?? ""} ${deployment.metadata.name}`;
    return no("Programmed", "Pending", `No pod of Deployment ${name} is ready yet; see \`${where}\`.`);
  }
  const at = addresses.map(({ value }) => value).join(", ");
  return yes("Programmed", "Programmed", `Served by Service ${name} at ${at}.`);
}

function addressesOf(service: Service | undefined): Address[] {
  return (service?.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => {
    if (ip !== undefined && ip !== "") return [{ type: "IPAddress", value: ip }];
    return hostname === undefined || hostname === "" ? [] : [{ type: "Hostname", value: hostname }];
  });
}

function listenerOf({ listener, fault }: CheckedListener, gateway: WantedCondition): WantedListener {
  const kinds = listener.protocol === "TLS" ? [{ group: "gateway.networking.k8s.io", kind: "TLSRoute" }] : [];
  const resolved = yes("ResolvedRefs", "ResolvedRefs", "No references to resolve.");
  if (fault !== undefined) {
    const programmed = no("Programmed", "Invalid", fullText(fault));
    return {
      name: listener.name,
      kinds,
      conditions: [no("Accepted", fault.reason, fullText(fault)), programmed, resolved],
    };
  }
  const accepted = yes("Accepted", "Accepted", "Listener accepted");
  const programmed =
    gateway.status === "True"
      ? yes("Programmed", "Programmed", "Listener programmed")
      : no("Programmed", "Pending", gateway.message);
  return { name: listener.name, kinds, conditions: [accepted, programmed, resolved] };
}

/** A remote Gateway describes a peer: nothing is made for it, and the mesh model knows how the link is doing. */
export const remoteStatus = (gateway: Gateway, said: readonly WantedCondition[]): WantedStatus => ({
  conditions: said,
  addresses: (gateway.spec.addresses ?? []).flatMap(({ type, value }) =>
    value === undefined ? [] : [{ type: type ?? "IPAddress", value }],
  ),
  listeners: [],
});

/** The status to write, or `undefined` when it is as wanted already. */
export function mergedStatus(
  gateway: Gateway,
  wanted: WantedStatus,
  ownTypes: readonly string[],
  now: string,
): GatewayStatus | undefined {
  const { generation } = gateway.metadata;
  const before = gateway.status ?? {};
  const conditions = mergeConditions(before.conditions ?? [], wanted.conditions, { ownTypes, generation, now });
  const listeners = wanted.listeners.map((one) => {
    const old = before.listeners?.find(({ name }) => name === one.name);
    const options = { ownTypes: listenerTypes, generation, now };
    const merged: Condition[] =
      mergeConditions(old?.conditions ?? [], one.conditions, options) ?? old?.conditions ?? [];
    return { name: one.name, attachedRoutes: 0, supportedKinds: [...one.kinds], conditions: merged };
  });
  const next: GatewayStatus = {
    ...before,
    addresses: wanted.addresses.map((address) => ({ ...address })),
    conditions: conditions ?? before.conditions ?? [],
    listeners,
  };
  const isSame =
    conditions === undefined &&
    isEqual(next.addresses, before.addresses ?? []) &&
    isEqual(listeners, before.listeners ?? []);
  return isSame ? undefined : next;
}

const listenerTypes = ["Accepted", "Programmed", "ResolvedRefs"];
