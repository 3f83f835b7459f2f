/** How much Envoy's clusters are used, read from its admin interface's `/clusters`. Pure. */

export interface ClusterUsage {
  /** Connections that are open now, to endpoints that the cluster still has. */
  readonly active: number;
  /** Connections ever made to those endpoints. */
  readonly total: number;
}

const line = /^(.*)::cx_(active|total)::(\d+)$/;

/** A line is `<cluster>::<endpoint>::<what>::<number>`, and both names may hold `::`; `names` tells where the first ends. */
function clusterIn(prefix: string, names: ReadonlySet<string>): string | undefined {
  for (let at = prefix.indexOf("::"); at !== -1; at = prefix.indexOf("::", at + 1)) {
    const name = prefix.slice(0, at);
    if (names.has(name)) return name;
  }
  return undefined;
}

/** Of the clusters in `names` that have endpoints. */
export function usageOf(text: string, names: ReadonlySet<string>): ReadonlyMap<string, ClusterUsage> {
  const usageByName = new Map<string, ClusterUsage>();
  for (const one of text.split("\n")) {
    const [, prefix = "", what, digits] = line.exec(one) ?? [];
    const name = what === undefined ? undefined : clusterIn(prefix, names);
    if (name === undefined) continue;
    const { active, total } = usageByName.get(name) ?? { active: 0, total: 0 };
    const count = Number(digits);
    usageByName.set(name, what === "active" ? { active: active + count, total } : { active, total: total + count });
  }
  return usageByName;
}
