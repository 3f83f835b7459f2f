/** `tombolo sandbox`: clusters on this machine, to try and to test on. */
import { fileURLToPath } from "node:url";
import {
  down as sandboxDown,
  status as sandboxStatus,
  type SandboxSummary,
  up as sandboxUp,
} from "../../sandbox/sandbox.ts";
import { checkMachine, MachineProblem } from "../../sandbox/machine.ts";
import { fileExists, joinPath, parentPath } from "../../../io/host/files.ts";
import { type Command, CommandError, columns, type Flags, type Shell, UsageError } from "../command.ts";
import { clusterNameProblem } from "../../sandbox/network/addresses.ts";
import { meshUp } from "../sandbox/mesh.ts";
import { Steps } from "../sandbox/steps.ts";

const nodesDefault = 1;

export function clusterNames(flags: Flags): readonly string[] | undefined {
  const given = flags.list("clusters");
  if (given.length === 0) return undefined;
  const [only = ""] = given;
  if (given.length > 1 || !/^\d+$/.test(only)) {
    const problem = given.map(clusterNameProblem).find((one) => one !== undefined);
    if (problem !== undefined) throw new UsageError(`--clusters: ${problem}`);
    return given;
  }
  const count = Number(only);
  if (count < 1) throw new UsageError(`--clusters ${only}: give a number from 1, or names such as alpha,beta.`);
  return Array.from({ length: count }, (_, at) => `cluster${at + 1}`);
}

const nodesText = (count: number): string => `${count} node${count === 1 ? "" : "s"}`;

function nodeCount(flags: Flags): number {
  const text = flags.text("nodes");
  if (text === undefined) return nodesDefault;
  if (!/^\d+$/.test(text)) throw new UsageError(`--nodes ${text}: give the number of nodes of each cluster.`);
  return Number(text);
}

/** The checkout or image that this program came from: `<root>/dist/cli.js`. */
const samplesDir = (): string => {
  const root = parentPath(parentPath(fileURLToPath(import.meta.url)));
  const beside = joinPath(root, "samples");
  return fileExists(beside) ? beside : joinPath(parentPath(root), "samples");
};

function nextText(summary: SandboxSummary, isBare: boolean, hasSamples: boolean): string {
  const [first = "cluster1", second = first] = summary.clusters.map(({ name }) => name);
  const call = `kubectl --context ${first} -n httpbin exec deploy/client-in-ambient -- curl -s in-ambient.httpbin.mesh.internal:8000/hostname`;
  const lines = isBare
    ? [`bin/tombolo install --context ${first}`, `kubectl --context ${first} get nodes`]
    : hasSamples
      ? [
          call,
          ...(second === first
            ? []
            : [
                `kubectl --context ${first} -n httpbin scale deployment in-ambient --replicas=0   # then call again: ${second} answers`,
              ]),
        ]
      : [`kubectl --context ${first} get pods -A`];
  const check = isBare
    ? []
    : [`bin/tombolo multicluster check --contexts=${summary.clusters.map(({ name }) => name).join(",")}`];
  return `\nTry next:\n${[...lines, ...check, "bin/tombolo sandbox down"].map((line) => `  ${line}`).join("\n")}\n`;
}

/** `--nodes` holds for new clusters only. */
export function ignoredNodes(flags: Flags, { clusters }: Pick<SandboxSummary, "clusters">): readonly string[] {
  const wanted = flags.text("nodes");
  const others = wanted === undefined ? [] : clusters.filter(({ nodes }) => nodes !== Number(wanted));
  return others.map(
    ({ name, nodes }) =>
      `${name} was there already and keeps its ${nodesText(nodes)}. To change it: 'tombolo sandbox down', then up again.`,
  );
}

/** What a machine lacks is said once, with the way out; a failure of a new sandbox leaves nothing behind. */
async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MachineProblem) throw new CommandError(error.message);
    throw error;
  }
}

async function bringUp(shell: Shell, flags: Flags): Promise<number> {
  const isBare = flags.isSet("bare");
  const withSamples = flags.isSet("samples");
  if (isBare && withSamples) throw new UsageError("Use either --bare or --samples: the samples need the mesh.");
  const clusters = clusterNames(flags);
  const nodes = nodeCount(flags);
  // Before anything is begun, so that nothing has to be taken down again.
  await checkMachine("up");
  const steps = new Steps(shell);
  const wasThere = (await sandboxStatus()) !== undefined;
  try {
    const summary = await steps.run("clusters", () =>
      sandboxUp(shell.host, {
        ...(clusters === undefined ? {} : { clusters }),
        ...(wasThere && flags.text("nodes") === undefined ? {} : { nodes }),
        ephemeral: flags.isSet("ephemeral"),
        isFlat: flags.isSet("flat"),
        signal: shell.signal,
        progress: (text) => shell.host.log.info("sandbox", { step: text }),
      }),
    );
    for (const warning of ignoredNodes(flags, summary)) shell.note(`Warning: ${warning}`);
    if (!isBare) {
      const wanted = summary.clusters.filter(({ name }) => clusters === undefined || clusters.includes(name));
      const connections = await Promise.all(wanted.map(({ name }) => shell.connect(name)));
      await meshUp(shell, steps, connections, {
        home: summary.home,
        samplesDir: samplesDir(),
        withSamples,
        isFlat: summary.isFlat,
      });
    }
    shell.out(`${summary.clusters.map(({ name }) => name).join(" and ")} ready after ${steps.elapsed}\n`);
    shell.out(nextText(summary, isBare, withSamples));
    return 0;
  } catch (error) {
    if (!wasThere && !flags.isSet("keep")) {
      shell.note("  Taking the sandbox down again, so that the next try starts clean (--keep leaves it).");
      const signal = AbortSignal.timeout(60_000);
      await sandboxDown(shell.host, { signal, progress: () => undefined }).catch(() => false);
    }
    throw error;
  }
}

export const up: Command = {
  path: ["sandbox", "up"],
  summary: "Start clusters on this machine, with the mesh installed and linked",
  details: `Starts what does not run yet, also after a crash or a reboot. Contexts named like the clusters are merged into your
kubeconfig. It is for trying and testing, not for production, and not a security boundary.`,
  flags: {
    clusters: {
      type: "string",
      multiple: true,
      value: "N|A,B,C",
      description: "how many clusters, or their names (default: cluster1,cluster2)",
    },
    nodes: { type: "string", value: "N", description: `nodes of each new cluster (default: ${nodesDefault})` },
    bare: { type: "boolean", description: "without the mesh, to follow a guide from its first step" },
    samples: { type: "boolean", description: "with the sample apps" },
    ephemeral: { type: "boolean", description: "keep objects of new clusters in memory only" },
    flat: {
      type: "boolean",
      description: "one pod network for all clusters, until 'sandbox down': pods dial each other without gateways",
    },
    keep: { type: "boolean", description: "leave everything in place when a step fails" },
  },
  examples: [
    "tombolo sandbox up",
    "tombolo sandbox up --clusters alpha,beta,gamma --nodes 2",
    "tombolo sandbox up --bare",
  ],
  run: (shell, flags) => guarded(() => bringUp(shell, flags)),
};

export const down: Command = {
  path: ["sandbox", "down"],
  summary: "End the sandbox and leave the machine as it was",
  flags: {},
  run: (shell) =>
    guarded(async () => {
      const progress = (text: string) => shell.host.log.info("sandbox", { step: text });
      const wasThere = await sandboxDown(shell.host, { signal: shell.signal, progress });
      shell.out(wasThere ? "The sandbox is gone\n" : "There is no sandbox\n");
      return 0;
    }),
};

export const status: Command = {
  path: ["sandbox", "status"],
  summary: "Show the clusters of this machine's sandbox; non-zero exit when one is not ready",
  flags: {},
  run: (shell) =>
    guarded(async () => {
      const summary = await sandboxStatus();
      if (summary === undefined) {
        shell.out("There is no sandbox; start one with: tombolo sandbox up\n");
        return 1;
      }
      const rows = summary.clusters.map(
        (one) =>
          [
            one.name,
            `${one.isReady ? "ready" : "not ready"}  ${nodesText(one.nodes)}  ${one.server}  log ${one.log}`,
          ] as const,
      );
      shell.out(`${columns(rows)}\n`);
      return summary.clusters.every(({ isReady }) => isReady) ? 0 : 1;
    }),
};
