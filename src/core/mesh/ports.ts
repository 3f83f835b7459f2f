/** Ports of services: application protocols, target ports, and how the ports of several clusters are merged. */
import type { ServicePortSpec } from "../api/kube.ts";
import type { AppProtocol, PortMapping, ServicePort } from "./model.ts";

/** A port of a local service with what it leads to in the workload: a number, or the name of a container port. */
export interface TargetedPort extends ServicePort {
  readonly target: number | string;
}

const protocols: Readonly<Record<string, AppProtocol>> = {
  http: "http",
  "grpc-web": "http",
  "kubernetes.io/ws": "http",
  http2: "http2",
  "kubernetes.io/h2c": "http2",
  grpc: "grpc",
  https: "tls",
  tls: "tls",
  "kubernetes.io/wss": "tls",
  udp: "udp",
};

/** The protocol a port declares by appProtocol, else by the beginning of its name (`http-web`). */
export function appProtocolOf(declared: string | undefined, name: string): AppProtocol {
  if (declared !== undefined) return protocols[declared.toLowerCase()] ?? "tcp";
  if (name === "grpc-web" || name.startsWith("grpc-web-")) return "http";
  return protocols[name.split("-")[0] ?? ""] ?? "tcp";
}

export function targetedPort(spec: ServicePortSpec): TargetedPort {
  const name = spec.name ?? "";
  const protocol = spec.protocol === "UDP" ? "udp" : appProtocolOf(spec.appProtocol, name);
  const target = spec.targetPort ?? spec.port;
  const isNumber = typeof target === "string" && /^\d+$/.test(target);
  return { name, port: spec.port, protocol, target: isNumber ? Number(target) : target };
}

export const withoutTarget = ({ name, port, protocol }: ServicePort): ServicePort => ({ name, port, protocol });

/** Ports whose named target the workload lacks are left out. */
export function mapPorts(
  ports: readonly TargetedPort[],
  named: Readonly<Record<string, number>>,
): readonly PortMapping[] {
  const mappings: PortMapping[] = [];
  for (const { port, target } of ports) {
    const targetPort = typeof target === "number" ? target : named[target];
    if (targetPort !== undefined) mappings.push({ servicePort: port, targetPort });
  }
  return mappings;
}

/** Union by number; the first definition of a number wins. */
export function mergePorts(lists: readonly (readonly ServicePort[])[]): readonly ServicePort[] {
  const ports = new Map<number, ServicePort>();
  for (const port of lists.flat()) if (!ports.has(port.port)) ports.set(port.port, port);
  return [...ports.values()].sort((a, b) => a.port - b.port);
}
