/** What an east-west Gateway asks for that it cannot have, as sentences per listener and for the whole. Pure. */
import { isIP } from "node:net";
import { label, port } from "../../../core/api/names.ts";
import type { Fault, Problem } from "../../../core/mesh/problem.ts";
import type { Gateway, GatewayListener } from "../../../core/api/mesh-kinds.ts";

export interface CheckedListener {
  readonly listener: GatewayListener;
  /** `control` carries discovery to the control plane, `data` carries connections to workloads. */
  readonly carries: "data" | "control";
  /** Absent when the listener is served. */
  readonly fault: Fault | undefined;
}

export interface CheckedGateway {
  readonly listeners: readonly CheckedListener[];
  /** Of `spec.addresses`. */
  readonly addressFault: Fault | undefined;
  /** The one address asked for, when it can be asked of the Service. */
  readonly address: string | undefined;
}

/** The port on which discovery is exposed, as the Gateway's label says. */
function discoveryPort(gateway: Gateway): number {
  const value = Number(gateway.metadata.labels?.[label.exposeIstiod]);
  return Number.isInteger(value) && value > 0 && value < 65536 ? value : port.controlPlane;
}

export function checkGateway(gateway: Gateway): CheckedGateway {
  const discovery = discoveryPort(gateway);
  const taken = new Map<number, string>([[port.readiness, "the gateway's own readiness probe"]]);
  const listeners = gateway.spec.listeners.map((listener): CheckedListener => {
    const fault = listenerFault(listener, taken);
    if (fault === undefined) taken.set(listener.port, `listener ${listener.name}`);
    return { listener, carries: listener.port === discovery ? "control" : "data", fault };
  });
  return { listeners, ...checkAddresses(gateway) };
}

/** Whether anything can be made of it. */
export const isServable = ({ listeners, addressFault }: CheckedGateway): boolean =>
  addressFault === undefined && listeners.some(({ fault }) => fault === undefined);

/** All that is wrong with it, as problems; `key` is the Gateway's. One for each reason, since that is their name. */
export function problemsOfGateway(gateway: Gateway, key: string): readonly Problem[] {
  const { listeners, addressFault } = checkGateway(gateway);
  const faults = [addressFault, ...listeners.map(({ fault }) => fault)].filter((fault) => fault !== undefined);
  const byReason = new Map(faults.toReversed().map((fault) => [fault.reason, fault]));
  const { name, namespace = "" } = gateway.metadata;
  return [...byReason.values()].map(({ reason, message, remedy }) => ({
    kind: "Gateway",
    namespace,
    name,
    reason,
    message: `Gateway ${key}: ${message}`,
    remedy,
    shownAs: "condition" as const,
  }));
}

function listenerFault(listener: GatewayListener, taken: ReadonlyMap<number, string>): Fault | undefined {
  const { name, protocol, tls } = listener;
  if (protocol !== "HBONE" && protocol !== "TLS") {
    const message = `Listener ${name}: an east-west gateway does not serve protocol ${protocol}.`;
    return { reason: "UnsupportedProtocol", message, remedy: "Use HBONE or TLS." };
  }
  if (tls?.mode !== "Passthrough") {
    const message = `Listener ${name}: tls.mode is ${tls?.mode ?? "not set"}, but this gateway never decrypts.`;
    return { reason: "UnsupportedValue", message, remedy: "Set it to Passthrough." };
  }
  const holder = taken.get(listener.port);
  if (holder !== undefined) {
    const message = `Listener ${name}: port ${listener.port} is taken by ${holder}.`;
    return { reason: "PortUnavailable", message, remedy: "Choose another port." };
  }
  return undefined;
}

function checkAddresses(gateway: Gateway): Pick<CheckedGateway, "address" | "addressFault"> {
  const wanted = gateway.spec.addresses ?? [];
  const [first] = wanted;
  if (first === undefined) return { address: undefined, addressFault: undefined };
  const fault = (message: string, remedy: string) => ({
    address: undefined,
    addressFault: { reason: "UnsupportedAddress", message, remedy },
  });
  if (wanted.length > 1) {
    return fault(
      `spec.addresses lists ${wanted.length} addresses, but a gateway can ask for one.`,
      "Keep one of them.",
    );
  }
  const type = first.type ?? "IPAddress";
  const value = first.value ?? "";
  if (type !== "IPAddress" || isIP(value) === 0) {
    return fault(
      `spec.addresses: ${type} "${value}" cannot be asked of a LoadBalancer.`,
      "Give an IPAddress, or leave it out.",
    );
  }
  return { address: value, addressFault: undefined };
}
