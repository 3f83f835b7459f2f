/** `tombolo get …`: what the control plane, or one agent, holds. `ztunnel-config` is the same with an agent's view. */
import { type Command, type Connection, contextFlag, type Flags, UsageError } from "../command.ts";
import {
  certificateRows,
  type Holder,
  holderOf,
  linkRows,
  policyRows,
  serviceRows,
  workloadRows,
} from "../debug/rows.ts";
import { certificateTable, linkTable, policyTable, serviceTable, workloadTable } from "../debug/row-tables.ts";
import { isJson, outputFlag } from "./explain.ts";

const flags = {
  context: contextFlag,
  namespace: { type: "string", short: "n", value: "NAME", description: "only this namespace" },
  node: { type: "string", value: "NAME", description: "as the agent of this node holds it" },
  output: outputFlag,
} as const;

interface Asking {
  readonly at: Connection;
  readonly from: Holder;
  readonly namespace: string | undefined;
  readonly signal: AbortSignal;
  /** Columns that ztunnel-config does not have. */
  readonly isWide: boolean;
}

interface Shown {
  readonly rows: readonly unknown[];
  readonly text: string;
}

type Kind = (asking: Asking) => Promise<Shown>;

const inNamespace =
  <T extends { readonly namespace: string }>(wanted: string | undefined) =>
  ({ namespace }: T): boolean =>
    wanted === undefined || namespace === wanted;

const services: Kind = async ({ at, from, namespace, signal, isWide }) => {
  const rows = (await serviceRows(at, from, signal)).filter(inNamespace(namespace));
  return { rows, text: serviceTable(rows, await workloadRows(at, from, signal), isWide) };
};

const workloads: Kind = async ({ at, from, namespace, signal, isWide }) => {
  const rows = (await workloadRows(at, from, signal)).filter(inNamespace(namespace));
  return { rows, text: workloadTable(rows, isWide) };
};

const policies: Kind = async ({ at, from, namespace, signal }) => {
  const rows = (await policyRows(at, from, signal)).filter(inNamespace(namespace));
  return { rows, text: policyTable(rows) };
};

const certificates: Kind = async ({ at, from, namespace, signal }) => {
  const all = await certificateRows(at, from, signal);
  const rows = all.filter(({ identity }) => namespace === undefined || identity.includes(`/ns/${namespace}/`));
  return { rows, text: certificateTable(rows) };
};

const links: Kind = async ({ at, from, namespace, signal }) => {
  if (namespace !== undefined) throw new UsageError("Links belong to the cluster as a whole; leave --namespace out.");
  if (from !== undefined) throw new UsageError("Links are known to the control plane only; leave --node out.");
  const rows = await linkRows(at, signal);
  return { rows, text: linkTable(rows) };
};

/** Beside the results, as kubectl says it. */
const nothingText = (namespace: string | undefined): string =>
  namespace === undefined ? "There are none" : `There are none in namespace ${namespace}`;

interface Naming {
  readonly path: readonly string[];
  readonly summary: string;
  readonly kind: Kind;
}

function command({ path, summary, kind }: Naming, isAgent: boolean): Command {
  const example = `tombolo ${path.join(" ")}`;
  return {
    path,
    summary,
    ...(isAgent ? { positional: "[POD[.NAMESPACE]]" } : {}),
    flags,
    examples: [example, `${example} --context cluster1 -o json`],
    async run(shell, given: Flags) {
      const asJson = isJson(given.text("output"));
      const at = await shell.connect(given.text("context"));
      const wanted = { node: given.text("node"), pod: given.positionals[0], isAgent };
      const from = await holderOf(at, wanted, shell.signal);
      const namespace = given.text("namespace");
      const { rows, text } = await kind({ at, from, namespace, signal: shell.signal, isWide: !isAgent });
      if (rows.length === 0 && !asJson && !isAgent) shell.note(nothingText(namespace));
      else shell.out(asJson ? `${JSON.stringify(rows, null, 2)}\n` : text);
      return 0;
    },
  };
}

const ofControlPlane: readonly Naming[] = [
  { path: ["get", "services"], summary: "Services of the mesh, with their addresses and endpoints", kind: services },
  { path: ["get", "workloads"], summary: "Workloads of the mesh, here and in peers", kind: workloads },
  { path: ["get", "policies"], summary: "Policies as the pods' gates enforce them", kind: policies },
  { path: ["get", "links"], summary: "Links of this cluster to its peers, and how they are", kind: links },
  { path: ["get", "certificates"], summary: "Certificates that the nodes hold for their pods", kind: certificates },
];

const ofAgent: readonly Naming[] = [
  { path: ["ztunnel-config", "service"], summary: "Services as an agent holds them", kind: services },
  { path: ["ztunnel-config", "workload"], summary: "Workloads as an agent holds them", kind: workloads },
  { path: ["ztunnel-config", "policy"], summary: "Policies as an agent holds them", kind: policies },
  { path: ["ztunnel-config", "certificate"], summary: "Certificates that an agent holds", kind: certificates },
];

const plurals: readonly Naming[] = [
  { path: ["ztunnel-config", "services"], summary: "Same as ztunnel-config service", kind: services },
  { path: ["ztunnel-config", "workloads"], summary: "Same as ztunnel-config workload", kind: workloads },
];

export const gets: readonly Command[] = [
  ...ofControlPlane.map((one) => command(one, false)),
  ...[...ofAgent, ...plurals].map((one) => command(one, true)),
];
