/** `tombolo multicluster check` (spec.md 1.12): one line per check and cluster; any problem makes the exit code 1. */
import { type Command, CommandError, contextFlag, type Shell } from "../command.ts";
import { type MeshOfCluster, meshOf } from "../multicluster/cluster.ts";
import { type Check, checks } from "../multicluster/checks.ts";

async function report(
  shell: Shell,
  mesh: MeshOfCluster,
  chosen: readonly Check[],
  isVerbose: boolean,
): Promise<number> {
  shell.out(`=== Cluster: ${mesh.context} ===\n`);
  let problems = 0;
  for (const check of chosen) {
    const finding = await check.run(mesh, shell.signal);
    shell.out(`${finding.isGood ? "✅" : "❌"} ${check.name}: ${finding.text}\n`);
    if (!finding.isGood) problems++;
    if (finding.fix !== undefined) shell.out(`   ${finding.fix}\n`);
    if (isVerbose) for (const line of finding.details) shell.out(`   ${line}\n`);
  }
  return problems;
}

export const check: Command = {
  path: ["multicluster", "check"],
  summary: "Check the mesh and its links; non-zero exit on any problem",
  flags: {
    context: contextFlag,
    contexts: { type: "string", multiple: true, value: "A,B,C", description: "contexts of the clusters to check" },
    precheck: { type: "boolean", short: "p", description: "only what must hold before clusters are linked" },
    verbose: { type: "boolean", short: "v", description: "show pods, peers and conditions behind each line" },
  },
  examples: ['tombolo multicluster check --contexts="cluster1,cluster2"', "tombolo multicluster check --precheck"],
  async run(shell, flags) {
    const contexts = flags.list("contexts");
    const wanted = contexts.length > 0 ? contexts : [flags.text("context")];
    const chosen = checks.filter((one) => !one.isForLinks || !flags.isSet("precheck"));
    let problems = 0;
    for (const context of wanted) {
      const mesh = await meshOf(await shell.connect(context), shell.signal);
      problems += await report(shell, mesh, chosen, flags.isSet("verbose"));
      shell.out("\n");
    }
    if (problems > 0) throw new CommandError("multicluster check found issues");
    return 0;
  },
};
