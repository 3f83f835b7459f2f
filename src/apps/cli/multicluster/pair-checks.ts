/** Checks that need several clusters in view: what any two of them must agree on. */
import type { MeshOfCluster } from "./cluster.ts";
import { type Finding, good, warning } from "./finding.ts";
import { type ClusterFacts, factsOf } from "./objects.ts";
import { pairedFacts, pairFindings } from "./pair-facts.ts";
import { directionOf } from "./plan.ts";

export interface PairCheck {
  readonly name: string;
  run(meshes: readonly MeshOfCluster[], signal: AbortSignal): Promise<Finding>;
}

function* pairsOf<T>(all: readonly T[]): Generator<readonly [T, T]> {
  for (const [at, one] of all.entries()) for (const other of all.slice(at + 1)) yield [one, other];
}

const readAll = (meshes: readonly MeshOfCluster[], signal: AbortSignal): Promise<readonly ClusterFacts[]> =>
  Promise.all(meshes.map((mesh) => factsOf(mesh, signal)));

/** One line for all pairs: the worst of them. */
async function ofAllPairs(wanted: string, meshes: readonly MeshOfCluster[], signal: AbortSignal): Promise<Finding> {
  const details: string[] = [];
  const found: Finding[] = [];
  for (const [a, b] of pairsOf(await readAll(meshes, signal))) {
    const match = pairFindings(pairedFacts(a), pairedFacts(b)).find(({ name }) => name === wanted);
    if (match === undefined) continue;
    details.push(`${a.mesh.cluster} and ${b.mesh.cluster}: ${match.finding.text}`);
    found.push(match.finding);
  }
  const worst =
    found.find(({ level }) => level === "bad") ?? found.find(({ level }) => level === "warning") ?? found[0];
  const { level = "good", text = "nothing to compare" } = worst ?? {};
  return { level, text, fixes: [...new Set(found.flatMap(({ fixes }) => fixes))], details };
}

/** Services of one name in several clusters, which are one service to their callers. */
async function sharedServices(meshes: readonly MeshOfCluster[], signal: AbortSignal): Promise<Finding> {
  const all = await readAll(meshes, signal);
  const differences = new Set<string>();
  const shared = new Set<string>();
  for (const from of all) {
    for (const to of all) {
      if (from === to || !from.links.includes(to.mesh.cluster)) continue;
      for (const service of directionOf(from, to, "istio-gateways").plan.services) {
        if (service.isJoined) shared.add(service.hostname);
        for (const difference of service.differences) differences.add(difference);
      }
    }
  }
  if (shared.size === 0) return good("no service is published by several of these clusters");
  const text = `${shared.size} shared service${shared.size === 1 ? "" : "s"}`;
  const details = [...shared].sort();
  if (differences.size === 0) return good(`${text} defined alike everywhere`, details);
  return warning(`${text}, not all defined alike`, [...differences], details);
}

const names = ["Cluster Names Check", "Networks Check", "Intermediate Certs Compatibility Check", "Versions Check"];

export const pairChecks: readonly PairCheck[] = [
  ...names.map((name) => ({
    name,
    run: (meshes: readonly MeshOfCluster[], signal: AbortSignal) => ofAllPairs(name, meshes, signal),
  })),
  { name: "Shared Services Check", run: sharedServices },
];
