/** `tombolo multicluster check` (spec.md 1.12): one line per check and cluster; any problem makes the exit code 1. */
import { type Command, CommandError, contextFlag, type Shell, UsageError } from "../command.ts";
import { sentencesOf } from "../explain.ts";
import { checks } from "../multicluster/checks.ts";
import { type MeshOfCluster, meshOf } from "../multicluster/cluster.ts";
import { bad, type Check, type Finding, findingText } from "../multicluster/finding.ts";
import { pairChecks } from "../multicluster/pair-checks.ts";

/** A check that cannot be done is a problem, and the others are done all the same. */
async function tried(shell: Shell, run: () => Promise<Finding>): Promise<Finding> {
  try {
    return await run();
  } catch (error) {
    if (shell.signal.aborted) throw error;
    const [sentence, fix] = sentencesOf(error);
    return bad(`could not be done: ${sentence}`, fix ?? "Mend that first, then check again.");
  }
}

interface Reporting {
  readonly shell: Shell;
  readonly isVerbose: boolean;
}

async function report({ shell, isVerbose }: Reporting, mesh: MeshOfCluster, chosen: readonly Check[]): Promise<number> {
  shell.out(`=== Cluster: ${mesh.context} ===\n`);
  let problems = 0;
  for (const check of chosen) {
    const finding = await tried(shell, () =>
      check.run(mesh, shell.signal, (ms) => shell.host.clock.sleep(ms, shell.signal)),
    );
    shell.out(findingText(check.name, finding, isVerbose));
    if (finding.level === "bad") problems++;
  }
  shell.out("\n");
  return problems;
}

/** What can only be seen with several clusters in view; left out with one. */
async function reportPairs({ shell, isVerbose }: Reporting, meshes: readonly MeshOfCluster[]): Promise<number> {
  if (meshes.length < 2) return 0;
  shell.out(`=== Clusters: ${meshes.map(({ context }) => context).join(", ")} ===\n`);
  let problems = 0;
  for (const check of pairChecks) {
    const finding = await tried(shell, () => check.run(meshes, shell.signal));
    shell.out(findingText(check.name, finding, isVerbose));
    if (finding.level === "bad") problems++;
  }
  shell.out("\n");
  return problems;
}

export const check: Command = {
  path: ["multicluster", "check"],
  summary: "Check the mesh and its links; non-zero exit on any problem",
  details: `Looks at pods, gateways, peers, versions, certificates and every fault that the control plane knows, and sends real
requests along every way that connections take: from each node through its Envoy to the other nodes, and through the
gateways of each linked peer to a node there. So a green Data Path Check means that requests went through. Each problem
comes with what to do about it.`,
  flags: {
    context: contextFlag,
    contexts: { type: "string", multiple: true, value: "A,B,C", description: "contexts of the clusters to check" },
    precheck: { type: "boolean", short: "p", description: "only what must hold before clusters are linked" },
    verbose: { type: "boolean", short: "v", description: "show pods, peers and conditions behind each line" },
  },
  examples: ['tombolo multicluster check --contexts="cluster1,cluster2"', "tombolo multicluster check --precheck"],
  async run(shell, flags) {
    const contexts = [...new Set(flags.list("contexts"))];
    if (contexts.length > 0 && flags.text("context") !== undefined) {
      throw new UsageError("Use either --context or --contexts, not both.");
    }
    const wanted = contexts.length > 0 ? contexts : [flags.text("context")];
    const chosen = checks.filter((one) => !one.isForLinks || !flags.isSet("precheck"));
    const reporting = { shell, isVerbose: flags.isSet("verbose") };
    const meshes: MeshOfCluster[] = [];
    let problems = 0;
    for (const context of wanted) {
      const mesh = await meshOf(await shell.connect(context), shell.signal);
      meshes.push(mesh);
      problems += await report(reporting, mesh, chosen);
    }
    problems += await reportPairs(reporting, meshes);
    if (problems > 0) throw new CommandError("multicluster check found issues");
    return 0;
  },
};
