/** What goes wrong in a world: each fault begins, lasts its time, and is over. */
import { agentPlaces } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";
import { endSilence } from "./kube.ts";
import type { faults } from "./plan.ts";
import type { World } from "./world.ts";

type Numbers = readonly [number, number, number, number];
export type Fault = (typeof faults)[number];

/** Longest time that a fault lasts. */
const lastMsMax = 20_000;
const slowMs = 4_000;

export function disturb(world: World, kind: Fault, numbers: Numbers): void {
  const cluster = world.clusters[numbers[0] % world.clusters.length];
  if (cluster === undefined) return;
  const lastMs = numbers[3] % lastMsMax;
  world.timeline.trace(() => `fault ${kind} at ${cluster.name} for ${lastMs} ms`);
  begin[kind](world, cluster, { numbers, lastMs });
}

interface Extent {
  readonly numbers: Numbers;
  readonly lastMs: number;
}

const begin: Readonly<Record<Fault, (world: World, cluster: Cluster, extent: Extent) => void>> = {
  cut: (world, cluster, { numbers, lastMs }) => {
    const other = world.clusters[numbers[1] % world.clusters.length];
    if (other === undefined || other === cluster) return;
    between(world, [cluster, other], lastMs, (from, to) => world.net.cut(from, to));
  },
  swallow: (world, cluster, { numbers, lastMs }) => {
    const other = world.clusters[numbers[1] % world.clusters.length];
    if (other === undefined || other === cluster) return;
    between(world, [cluster, other], lastMs, (from, to) => world.net.swallow(from, to));
  },
  swallowOneWay: (world, cluster, { numbers, lastMs }) => {
    const other = world.clusters[numbers[1] % world.clusters.length];
    if (other === undefined || other === cluster) return;
    world.net.swallow(cluster.name, other.name);
    world.later(lastMs, () => world.net.heal(cluster.name, other.name));
  },
  cutInside: (world, { name }, { lastMs }) => {
    world.net.cut(name, name);
    world.later(lastMs, () => world.net.heal(name, name));
  },
  killReplica: (world, cluster, { numbers, lastMs }) => {
    const index = numbers[1] % world.plan.replicas;
    cluster.killReplica(index);
    world.later(lastMs, () => cluster.startReplica(index));
  },
  killAllReplicas: (world, cluster, { lastMs }) => {
    for (const index of cluster.replicas.keys()) cluster.killReplica(index);
    world.later(lastMs, () => {
      for (let index = 0; index < world.plan.replicas; index += 1) cluster.startReplica(index);
    });
  },
  rollReplica: (world, cluster, { numbers, lastMs }) => {
    const index = numbers[1] % world.plan.replicas;
    // The new one comes first, as a Deployment does it.
    const next = world.plan.replicas;
    cluster.startReplica(next);
    world.later(lastMs, () => cluster.stopReplica(index));
    world.later(lastMs + 5_000, () => {
      cluster.startReplica(index);
      world.later(3_000, () => cluster.stopReplica(next));
    });
  },
  killAgent: (world, cluster, { numbers, lastMs }) => {
    const node = agentPlaces[numbers[1] % agentPlaces.length] ?? "gateway";
    cluster.killAgent(node);
    world.later(lastMs, () => cluster.startAgent(node));
  },
  apiRefuses: (world, cluster, { lastMs }) => {
    cluster.health.isRefusing = true;
    cluster.store.cutWatches();
    world.later(lastMs, () => (cluster.health.isRefusing = false));
  },
  apiSilent: (world, cluster, { lastMs }) => {
    cluster.health.isSilent = true;
    world.later(lastMs, () => {
      endSilence(cluster.health);
      cluster.store.cutWatches();
    });
  },
  apiSlow: (world, cluster, { lastMs }) => {
    cluster.health.delayMsMax = slowMs;
    world.later(lastMs, () => (cluster.health.delayMsMax = 8));
  },
  conflicts: (world, cluster, { lastMs }) => {
    cluster.health.conflictOneIn = 3;
    world.later(lastMs, () => (cluster.health.conflictOneIn = 0));
  },
  endWatches: (_world, cluster) => cluster.store.cutWatches(),
  expireWatches: (_world, cluster) => {
    cluster.store.compact();
    cluster.store.cutWatches();
  },
  jumpClock: (_world, cluster, { numbers }) => {
    const jumpMs = (numbers[1] % 2 === 0 ? 1 : -1) * (1_000 + (numbers[2] % 3_600_000));
    cluster.skewMs += jumpMs;
  },
};

function between(
  world: World,
  [one, other]: readonly [Cluster, Cluster],
  lastMs: number,
  act: (from: string, to: string) => void,
): void {
  act(one.name, other.name);
  act(other.name, one.name);
  world.later(lastMs, () => {
    world.net.heal(one.name, other.name);
    world.net.heal(other.name, one.name);
  });
}
