/**
 * What happens in a world, decided before it begins: its size, its weather, what its users do and what goes wrong. Every
 * step carries numbers that choose among what is there when its time comes, so that a plan stays good when steps are left out.
 */
import type { Random } from "../../src/io/host/host.ts";
import { seededRandom } from "../../src/io/host/seeded-random.ts";
import type { Weather } from "./network.ts";
import { hashOf } from "./timeline.ts";

export const operations = [
  "labelService",
  "labelService",
  "labelNamespace",
  "takeOver",
  "addPod",
  "addPod",
  "deletePod",
  "flipReady",
  "assignSegment",
  "link",
  "unlink",
  "setPolicy",
  "deletePolicy",
  "toggleStrict",
  "deleteService",
  "createService",
  "dial",
  "dial",
] as const;

export const faults = [
  "cut",
  "swallow",
  "swallowOneWay",
  "cutInside",
  "killReplica",
  "killAllReplicas",
  "rollReplica",
  "killAgent",
  "apiRefuses",
  "apiSilent",
  "apiSlow",
  "conflicts",
  "endWatches",
  "expireWatches",
  "jumpClock",
] as const;

export type StepKind = (typeof operations)[number] | (typeof faults)[number];

export interface Step {
  readonly atMs: number;
  readonly kind: StepKind;
  readonly numbers: readonly [number, number, number, number];
}

export interface Plan {
  readonly seed: number;
  readonly clusters: number;
  readonly replicas: number;
  readonly isFlat: boolean;
  readonly weather: Weather;
  readonly steps: readonly Step[];
}

/** Worlds start, and find each other, undisturbed. */
export const calmStartMs = 15_000;
export const troubleMs = 60_000;

export function planOf(seed: number): Plan {
  const random = seededRandom(hashOf(`plan/${seed}`));
  const pick = <T>(from: readonly T[]): T | undefined => from[random.below(from.length)];
  const counts = { clusters: pick([2, 2, 2, 3, 3, 4]) ?? 2, replicas: pick([1, 1, 2]) ?? 1 };
  const isSlow = random.below(5) === 0;
  const steps = [
    ...Array.from({ length: 8 + random.below(16) }, () => stepOf(random, pick(operations) ?? "dial")),
    ...Array.from({ length: 2 + random.below(9) }, () => stepOf(random, pick(faults) ?? "cut")),
  ];
  return {
    seed,
    ...counts,
    isFlat: random.below(6) === 0,
    weather: { delayMsMax: pick([5, 20, 100]) ?? 5, slowOneIn: isSlow ? 4 : 0, slowMsMax: 3_000 },
    steps: steps.sort((a, b) => a.atMs - b.atMs),
  };
}

const stepOf = (random: Random, kind: StepKind): Step => ({
  atMs: calmStartMs + random.below(troubleMs),
  kind,
  numbers: [random.below(1 << 30), random.below(1 << 30), random.below(1 << 30), random.below(1 << 30)],
});
