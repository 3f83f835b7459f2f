/**
 * Gives every Service of type LoadBalancer an address of the pool and writes it to its status. The statuses are the only
 * record: an address is taken while a Service shows it, so a restart finds everything as it was.
 */
import type { Cluster } from "./cluster.ts";
import type { EventRecorder } from "./events.ts";
import { isInRange, lowestFree, type AddressRange } from "./address-ranges.ts";
import type { BalancedService } from "./kinds.ts";
import { isDeleting } from "./pods.ts";
import { isEqual } from "./template.ts";

export type Balance =
  | { readonly kind: "address"; readonly ip: string }
  | { readonly kind: "none" }
  | { readonly kind: "problem"; readonly reason: string; readonly message: string };

const addressOf = ({ status }: BalancedService): string | undefined => status?.loadBalancer?.ingress?.[0]?.ip;
const nameOf = ({ metadata }: BalancedService): string => `${metadata.namespace}/${metadata.name}`;

/** A Service of another load balancer class is somebody else's, its status included. */
const isForeign = ({ spec }: BalancedService): boolean =>
  spec.type === "LoadBalancer" && spec.loadBalancerClass !== undefined;

/** `others` are all other Services. Whoever has an address keeps it, unless an older Service has the same. */
function balance(service: BalancedService, others: Iterable<BalancedService>, pool: AddressRange): Balance {
  if (service.spec.type !== "LoadBalancer") return { kind: "none" };
  const holders = new Map<string, BalancedService>();
  for (const other of others) {
    const address = addressOf(other);
    if (address !== undefined && other.spec.type === "LoadBalancer") holders.set(address, other);
  }
  const wanted = service.spec.loadBalancerIP;
  if (wanted !== undefined && wanted !== "") return honour(service, wanted, holders, pool);
  const current = addressOf(service);
  if (current !== undefined && isInRange(pool, current)) {
    const rival = holders.get(current);
    if (rival === undefined || isOlder(service, rival)) return { kind: "address", ip: current };
  }
  const ip = lowestFree(pool, new Set(holders.keys()));
  if (ip !== undefined) return { kind: "address", ip };
  const message =
    `Service ${nameOf(service)} has no address: all of ${pool.first} to ${pool.last} are taken. ` +
    "Delete a Service of type LoadBalancer, and this one gets its address.";
  return { kind: "problem", reason: "AddressPoolExhausted", message };
}

function honour(
  service: BalancedService,
  wanted: string,
  holders: ReadonlyMap<string, BalancedService>,
  pool: AddressRange,
): Balance {
  const asks = `Service ${nameOf(service)} asks for address ${wanted} (spec.loadBalancerIP)`;
  if (!isInRange(pool, wanted)) {
    const message = `${asks}, which is not one of ${pool.first} to ${pool.last}. Ask for one of these, or for none.`;
    return { kind: "problem", reason: "AddressNotInPool", message };
  }
  const holder = holders.get(wanted);
  if (holder === undefined || (addressOf(service) === wanted && isOlder(service, holder))) {
    return { kind: "address", ip: wanted };
  }
  const message = `${asks}, which Service ${nameOf(holder)} has. Ask for another one, or delete that Service.`;
  return { kind: "problem", reason: "AddressTaken", message };
}

function isOlder(one: BalancedService, other: BalancedService): boolean {
  const age = ({ metadata }: BalancedService): string => `${metadata.creationTimestamp ?? ""} ${metadata.uid ?? ""}`;
  return age(one) < age(other);
}

export function startLoadBalancers(cluster: Cluster, pool: AddressRange): void {
  const { mirrors } = cluster;
  const events = cluster.events("service-controller");
  const queue = cluster.queue({
    name: "loadbalancer",
    workers: 1,
    keys: () => mirrors.services.keys(),
    reconcile: (key) => reconcile(cluster, events, pool, key),
  });
  mirrors.services.onChange(({ key, before, after }) => {
    if (after !== undefined) queue.add(key);
    const address = before === undefined ? undefined : addressOf(before);
    const isFreed = address !== undefined && (after === undefined || addressOf(after) !== address);
    if (!isFreed) return;
    for (const service of mirrors.services.all()) {
      if (service.spec.type === "LoadBalancer" && addressOf(service) === undefined) queue.add(nameOf(service));
    }
  });
}

async function reconcile(cluster: Cluster, events: EventRecorder, pool: AddressRange, key: string): Promise<void> {
  const { mirrors } = cluster;
  const service = mirrors.services.get(key);
  if (service === undefined || isDeleting(service) || isForeign(service)) return;
  const others = [...mirrors.services.all()].filter((other) => other !== service);
  const found = balance(service, others, pool);
  if (found.kind === "problem") events.record(service, "Warning", found.reason, found.message);
  const ingress = found.kind === "address" ? [{ ip: found.ip, ipMode: "VIP" }] : undefined;
  const known = service.status?.loadBalancer?.ingress;
  if (isEqual(known ?? [], ingress ?? [])) return;
  const loadBalancer = ingress === undefined ? {} : { ingress };
  await mirrors.services.update({ ...service, status: { ...service.status, loadBalancer } }, "status");
  if (found.kind !== "address") return;
  events.record(service, "Normal", "EnsuredLoadBalancer", `Ensured load balancer with address ${found.ip}`);
}
