/**
 * What the programs of a cluster's mesh hold, read as the CLI reads it but without a process per question, and whether all of
 * them hold the same: what users wrote, what the control plane made of it, what agents and Envoys have.
 */
import type { KubeObject, ResourceType } from "../../../src/core/api/kube.ts";
import { meshKinds } from "../../../src/core/api/mesh-kinds.ts";
import type { Pod } from "../../../src/core/api/pod.ts";
import { builtin } from "../../../src/core/api/resources.ts";
import { type Connection } from "../../../src/apps/cli/command.ts";
import {
  anyAgent,
  askAgent,
  askControlPlane,
  explainPage,
  exportPage,
  nodeAgents,
} from "../../../src/apps/cli/debug/agents.ts";
import type { ExplainAnswer } from "../../../src/core/explain/answers.ts";
import { type Outcome, outcomeOf, questionsForPeers } from "../../../src/core/explain/outcome.ts";
import type { ExportExplanation } from "../../../src/core/explain/export.ts";
import { systemHost } from "../../../src/io/host/host.ts";
import { httpKubeClient } from "../../../src/io/kube/http-client.ts";
import { loadKubeconfig } from "../../../src/io/kube/kubeconfig.ts";
import { getFromPod } from "../../../src/io/kube/port-forward.ts";

const signal = new AbortController().signal;
type Rows = Readonly<Record<string, unknown>>;

/** One cluster of the sandbox, by its context. */
function connectTo(env: NodeJS.ProcessEnv, context: string): Connection {
  const host = systemHost("error");
  const endpoint = loadKubeconfig(host, { env, home: "/" }).endpoint(context);
  return {
    context,
    client: httpKubeClient(host, endpoint),
    debug: async ({ namespace, pod, port: number, path }) => {
      const to = { namespace, name: pod, port: number, path };
      const { status, text } = await getFromPod(host, endpoint, to, signal);
      if (status !== 200) throw new Error(`${pod}${path}: ${status} ${text}`);
      return JSON.parse(text) as unknown;
    },
  };
}

/** Objects by key order, so that equal rows are equal texts. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, canonical(inner)]),
  );
}
const textOf = (rows: readonly unknown[]): string =>
  rows
    .map((row) => JSON.stringify(canonical(row)))
    .sort()
    .join("\n");

const gatewaySelector = "gateway.networking.k8s.io/gateway-class-name=istio-eastwest";

export class MeshReader {
  readonly at: Connection;
  readonly #agents = new Map<string, Pod>();
  #any: Pod | undefined;

  constructor(env: NodeJS.ProcessEnv, context: string) {
    this.at = connectTo(env, context);
  }

  async load(): Promise<void> {
    for (const agent of await nodeAgents(this.at, signal)) this.#agents.set(agent.spec.nodeName ?? "", agent);
    this.#any = await anyAgent(this.at, signal);
  }

  collection(name: string): Promise<Rows> {
    return askControlPlane(this.at, `/debug/collections/${name}`, signal) as Promise<Rows>;
  }

  explain(node: string, asked: { pod: string; host: string; port: number }): Promise<ExplainAnswer> {
    const agent = this.#agents.get(node);
    if (agent === undefined) throw new Error(`${this.at.context} has no agent on ${node}`);
    return explainPage(this.at, agent, asked);
  }

  export(...[question, client]: [Parameters<typeof exportPage>[2], string]): Promise<ExportExplanation> {
    if (this.#any === undefined) throw new Error("load() was not called");
    return exportPage(this.at, this.#any, question, client);
  }

  /** Undefined when everything of `namespace` has arrived everywhere in this cluster; else what has not. */
  async unsettled(namespace: string): Promise<string | undefined> {
    const kinds: readonly (readonly [string, ResourceType<KubeObject>, string | undefined])[] = [
      ["kube.services", builtin.services, namespace],
      ["kube.pods", builtin.pods, namespace],
      ["kube.namespaces", builtin.namespaces, undefined],
      ["kube.segments", meshKinds.segments, undefined],
      ["kube.authorizationPolicies", meshKinds.authorizationPolicies, namespace],
      ["kube.peerAuthentications", meshKinds.peerAuthentications, namespace],
    ];
    const late = await Promise.all(
      kinds.map(async ([name, kind, inside]) => {
        const { items } = await this.at.client.list(kind, inside === undefined ? {} : { namespace: inside });
        const held = Object.values(await this.collection(name)) as KubeObject[];
        const own = held.filter(({ metadata }) => inside === undefined || metadata.namespace === inside);
        const versions = (all: readonly KubeObject[]) =>
          textOf(all.map(({ metadata }) => [metadata.uid, metadata.resourceVersion]));
        return versions(items) === versions(own) ? [] : [`${name} of the control plane`];
      }),
    );
    const [first] = late.flat();
    if (first !== undefined) return first;
    const slices = await this.#slices(namespace);
    return slices ?? (await this.#unsettledAgents());
  }

  /** Kubernetes' own endpoints, which callers outside the mesh use. */
  async #slices(namespace: string): Promise<string | undefined> {
    const [services, pods, slices] = await Promise.all([
      this.at.client.list(builtin.services, { namespace }),
      this.at.client.list(builtin.pods, { namespace }),
      this.at.client.list(builtin.endpointSlices, { namespace }),
    ]);
    for (const { metadata, spec } of services.items) {
      const selector = Object.entries(spec?.selector ?? {});
      const wanted = pods.items
        .filter((pod) => selector.every(([key, value]) => pod.metadata.labels?.[key] === value))
        .flatMap(({ status }) => status?.podIP ?? []);
      const own = slices.items.filter((one) => one.metadata.labels?.["kubernetes.io/service-name"] === metadata.name);
      const listed = own.flatMap(({ endpoints }) => (endpoints ?? []).flatMap(({ addresses }) => addresses));
      if (wanted.sort().join() !== listed.sort().join()) return `EndpointSlices of ${metadata.name}`;
    }
    return undefined;
  }

  async #unsettledAgents(): Promise<string | undefined> {
    const [services, workloads, probes, policies] = await Promise.all(
      ["services", "workloads", "probes", "policies"].map(async (name) => Object.values(await this.collection(name))),
    );
    // Rows of global services, of which each gets its address a moment after it is made.
    const rows = (services ?? []) as readonly { hostname: string; addresses: readonly unknown[] }[];
    const bare = rows.find(({ addresses, hostname }) => addresses.length === 0 && !hostname.includes(".svc."));
    if (bare !== undefined) return `the address of ${bare.hostname}`;
    const gateways = await this.at.client.list(builtin.pods, { labelSelector: gatewaySelector });
    const ready = gateways.items.filter(({ status }) =>
      status?.conditions?.some((one) => one.type === "Ready" && one.status === "True"),
    );
    for (const agent of [...this.#agents.values(), ...ready]) {
      const name = agent.metadata.name;
      const page = async (path: string) => (await askAgent(this.at, agent, `/debug/${path}`)) as readonly unknown[];
      if (textOf(await page("services")) !== textOf(rows)) return `services of ${name}`;
      if (textOf(await page("workloads")) !== textOf([...(workloads ?? []), ...(probes ?? [])]))
        return `workloads of ${name}`;
      if (textOf(await page("policies")) !== textOf(policies ?? [])) return `policies of ${name}`;
      const status = (await askAgent(this.at, agent, "/debug/status")) as { readonly isEnvoyCurrent?: boolean };
      if (status.isEnvoyCurrent !== true) return `Envoy of ${name}`;
    }
    return undefined;
  }
}

interface ExportRow {
  readonly cluster: string;
  readonly scope: string;
  readonly segment: string;
}

/** Undefined when `to` knows just what `from` exports to it: a peer in another segment is not told of what is the segment's. */
export async function unsettledExports(from: MeshReader, to: MeshReader): Promise<string | undefined> {
  const [ours, theirs, current] = await Promise.all([
    from.collection("exports"),
    to.collection("peerExports"),
    to.collection("segments.current"),
  ]);
  // Rows of exports, and the one row that names the cluster's segment.
  const segment = (current["current"] as { readonly name?: string } | undefined)?.name ?? "default";
  const told = (rows: Rows): ReadonlyMap<string, string> =>
    new Map(
      Object.entries(rows)
        .map(([key, row]) => [key, row as ExportRow] as const)
        .filter(([, row]) => row.cluster === from.at.context && (row.scope === "global" || row.segment === segment))
        .map(([key, row]) => [key, textOf([{ ...row, generation: 0 }])]),
    );
  const [wanted, held] = [told(ours), told(theirs)];
  const different = [...new Set([...wanted.keys(), ...held.keys()])].find((key) => wanted.get(key) !== held.get(key));
  if (different === undefined) return undefined;
  return `export ${different} in ${to.at.context}: ${wanted.get(different)} is held as ${held.get(different)}`;
}

export interface Predicted {
  readonly answer: ExplainAnswer;
  readonly outcome: Outcome;
}

export async function predict(
  readers: ReadonlyMap<string, MeshReader>,
  caller: { readonly cluster: string; readonly node: string; readonly pod: string },
  place: { readonly host: string; readonly port: number },
): Promise<Predicted> {
  const own = readers.get(caller.cluster);
  if (own === undefined) throw new Error(`there is no cluster ${caller.cluster}`);
  const answer = await own.explain(caller.node, { pod: caller.pod, ...place });
  const peers = new Map<string, ExportExplanation>();
  for (const [cluster, question] of questionsForPeers(answer.call)) {
    const reader = readers.get(cluster);
    if (reader !== undefined) peers.set(cluster, await reader.export(question, answer.call.client.identity ?? ""));
  }
  return { answer, outcome: outcomeOf(answer.call, peers) };
}
