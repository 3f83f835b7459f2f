/** What the loops of the workload controllers have in common: a queue with its Events, who wakes it, how a status is written. */
import type { KubeObject } from "../../../core/api/kube.ts";
import type { Cluster } from "./cluster.ts";
import type { EventRecorder } from "./events.ts";
import type { Mirror } from "./mirror.ts";
import { controllerOf } from "./pods.ts";
import type { Queue } from "./queue.ts";
import { isEqual } from "./template.ts";

/** Brings one object's world to what it asks for; `again` asks for another look after a pause. */
export type Reconcile = (
  cluster: Cluster,
  events: EventRecorder,
  key: string,
  again: (ms: number) => void,
) => Promise<void>;

/** `name` is the queue's; Events come from `<name>-controller`. */
export function startLoop<T extends KubeObject>(
  cluster: Cluster,
  name: string,
  mirror: Mirror<T>,
  reconcile: Reconcile,
): Queue {
  const events = cluster.events(`${name}-controller`);
  const queue = cluster.queue({
    name,
    keys: () => mirror.keys(),
    reconcile: (key) => reconcile(cluster, events, key, (ms) => queue.addAfter(key, ms)),
  });
  mirror.onChange(({ key }) => queue.add(key));
  return queue;
}

/** A change of an object wakes its controller when that is of the kind; `onOrphan` hears of those without any. */
export function wakeOwners<T extends KubeObject>(
  owned: Mirror<T>,
  kind: string,
  queue: Queue,
  onOrphan: (object: T) => void = () => undefined,
): void {
  owned.onChange(({ before, after }) => {
    for (const object of [before, after]) {
      if (object === undefined) continue;
      const owner = controllerOf(object);
      if (owner?.kind === kind) queue.add(`${object.metadata.namespace}/${owner.name}`);
      else if (owner === undefined) onOrphan(object);
    }
  });
}

export async function writeStatus<S, T extends KubeObject & { status?: S }>(
  mirror: Mirror<T>,
  key: string,
  status: S,
): Promise<void> {
  const latest = mirror.get(key);
  if (latest !== undefined && !isEqual(latest.status, status)) await mirror.update({ ...latest, status }, "status");
}
