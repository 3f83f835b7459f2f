/** `tombolo multicluster link` and `unlink`: a link is one direction, kept as a remote-peer Gateway (spec.md 1.11, 1.12). */
import { stringify } from "yaml";
import { gatewayClass, label } from "../../../core/api/names.ts";
import { meshKinds } from "../../../core/api/mesh-kinds.ts";
import { isReason } from "../../../io/kube/client.ts";
import { type Command, CommandError, contextFlag, type Flags, type Shell, UsageError } from "../command.ts";
import { type MeshOfCluster, meshOf, peerAddress } from "../multicluster/cluster.ts";
import { remoteGateway } from "../multicluster/gateways.ts";
import { planLinks } from "../multicluster/plan.ts";
import { applyGateway, defaultGatewayNamespace, ensureNamespace, gatewayNamespaceFlag } from "./expose.ts";

const direction = {
  contexts: {
    type: "string",
    multiple: true,
    value: "A,B,C",
    description: "contexts of all clusters to join, both ways each",
  },
  from: { type: "string", value: "NAME", description: "one way: the cluster whose workloads will reach the other" },
  to: { type: "string", value: "NAME", description: "one way: the cluster that is reached" },
  namespace: gatewayNamespaceFlag,
} as const;

export interface Pair {
  readonly from: string;
  readonly to: string;
}

export function pairsOf(flags: Flags): readonly Pair[] {
  const contexts = [...new Set(flags.list("contexts"))];
  const from = flags.text("from");
  const to = flags.text("to");
  if ((from === undefined) !== (to === undefined)) {
    throw new UsageError("--from and --to belong together: give both, or use --contexts=a,b for both ways.");
  }
  if (from !== undefined && to !== undefined) {
    if (contexts.length > 0) throw new UsageError("Use either --contexts or --from and --to, not both.");
    if (from === to) throw new UsageError(`--from and --to are both "${from}": a cluster is not linked to itself.`);
    return [{ from, to }];
  }
  if (contexts.length < 2) {
    throw new UsageError("Give at least two contexts, as in --contexts=cluster1,cluster2, or --from and --to.");
  }
  return contexts.flatMap((one) => contexts.filter((other) => other !== one).map((to) => ({ from: one, to })));
}

async function meshes(shell: Shell, contexts: readonly string[]): Promise<ReadonlyMap<string, MeshOfCluster>> {
  const found = await Promise.all(
    contexts.map(async (context) => [context, await meshOf(await shell.connect(context), shell.signal)] as const),
  );
  const names = new Map<string, string>();
  for (const [context, mesh] of found) {
    const other = names.get(mesh.cluster);
    if (other !== undefined) {
      throw new CommandError(
        `Contexts ${other} and ${context} are both named cluster "${mesh.cluster}": peers could not tell them apart.`,
        "Install each with its own global.multiCluster.clusterName.",
      );
    }
    names.set(mesh.cluster, context);
  }
  return new Map(found);
}

const required = <K, V>(map: ReadonlyMap<K, V>, key: K): V => {
  const value = map.get(key);
  if (value === undefined) throw new Error(`no entry for ${String(key)}`);
  return value;
};

async function generate(shell: Shell, flags: Flags, namespace: string): Promise<number> {
  const target = flags.text("context") ?? flags.text("to");
  const mesh = await meshOf(await shell.connect(target), shell.signal);
  shell.out(stringify(remoteGateway(namespace, await peerAddress(shell, mesh, namespace))));
  return 0;
}

export const link: Command = {
  path: ["multicluster", "link"],
  summary: "Link clusters: each learns the services that the others export",
  details: `A link is one direction: the cluster that has the remote-peer Gateway learns the other's exports and its workloads
reach them. Linking again changes nothing; adding a context links the new cluster with the others.`,
  flags: {
    ...direction,
    context: { ...contextFlag, description: "with --generate: the cluster that the printed Gateway leads to" },
    plan: { type: "boolean", description: "say what the links would change, and change nothing" },
    generate: { type: "boolean", description: "print the Gateway to apply on the other cluster instead of applying" },
  },
  examples: [
    "tombolo multicluster link --contexts=cluster1,cluster2 --namespace istio-gateways",
    "tombolo multicluster link --from alpha --to beta",
    "tombolo multicluster link --plan --contexts=cluster1,cluster2",
    "tombolo multicluster link --generate --context target-cluster | kubectl apply -f - --context=source-cluster",
  ],
  async run(shell, flags) {
    const namespace = flags.text("namespace") ?? defaultGatewayNamespace;
    if (flags.isSet("generate")) {
      if (flags.isSet("plan")) throw new UsageError("Use either --plan or --generate, not both.");
      return generate(shell, flags, namespace);
    }
    if (flags.text("context") !== undefined) {
      throw new UsageError("--context goes with --generate; name the clusters with --contexts, or --from and --to.");
    }
    const pairs = pairsOf(flags);
    const byContext = await meshes(shell, [...new Set(pairs.flatMap(({ from, to }) => [from, to]))]);
    if (flags.isSet("plan")) return planLinks(shell, { meshes: byContext, pairs, namespace });
    const targets = [...new Set(pairs.map(({ to }) => to))];
    const addresses = new Map(
      await Promise.all(
        targets.map(async (to) => [to, await peerAddress(shell, required(byContext, to), namespace)] as const),
      ),
    );
    for (const { from, to } of pairs) {
      const { client } = required(byContext, from);
      await ensureNamespace(shell, client, namespace);
      await applyGateway(shell, client, remoteGateway(namespace, required(addresses, to)));
      shell.out(`${from} is linked to ${to}: its workloads reach what ${to} exports\n`);
    }
    return 0;
  },
};

/** The same, without the word for the guides of others. */
export const shortLink: Command = {
  ...link,
  path: ["link"],
  summary: "Short for 'tombolo multicluster link'",
  examples: (link.examples ?? []).map((one) => one.replace("tombolo multicluster link", "tombolo link")),
};

export const unlink: Command = {
  path: ["multicluster", "unlink"],
  summary: "Take links away: their endpoints leave at once",
  flags: {
    contexts: { ...direction.contexts, description: "contexts of all clusters to part, both ways each" },
    from: { ...direction.from, description: "one way: the cluster whose workloads reach the other" },
    to: direction.to,
    namespace: { ...gatewayNamespaceFlag, description: "only links kept in this namespace (default: in all)" },
  },
  examples: [
    "tombolo multicluster unlink --contexts=cluster1,cluster2",
    "tombolo multicluster unlink --from alpha --to beta",
  ],
  async run(shell, flags) {
    const pairs = pairsOf(flags);
    const byContext = await meshes(shell, [...new Set(pairs.flatMap(({ from, to }) => [from, to]))]);
    for (const { from, to } of pairs) {
      const { client } = required(byContext, from);
      const peer = required(byContext, to).cluster;
      const namespace = flags.text("namespace");
      const gateways = await client.list(meshKinds.gateways, {
        ...(namespace === undefined ? {} : { namespace }),
        signal: shell.signal,
      });
      const mine = gateways.items.filter(
        ({ spec, metadata }) =>
          spec.gatewayClassName === gatewayClass.remote && metadata.labels?.[label.cluster] === peer,
      );
      for (const { metadata } of mine) {
        await client
          .delete(meshKinds.gateways, { name: metadata.name, namespace: metadata.namespace })
          .catch((error: unknown) => {
            if (!isReason(error, "NotFound")) throw error;
          });
        shell.out(`Gateway ${metadata.namespace}/${metadata.name} deleted\n`);
      }
      shell.out(mine.length === 0 ? `${from} was not linked to ${to}\n` : `${from} is no longer linked to ${to}\n`);
    }
    return 0;
  },
};
