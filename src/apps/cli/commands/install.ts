/** `tombolo install` and `tombolo uninstall`: puts the mesh on a cluster and takes it off. */
import { readFile } from "node:fs/promises";
import { parseAllDocuments, stringify } from "yaml";
import { errorText } from "../../../core/api/error-text.ts";
import { install as installMesh, uninstall as uninstallMesh } from "../../install/apply.ts";
import { manifests } from "../../install/manifests.ts";
import { type InstallSettings, readValues, type Tree, treeOfPair, defaultSettings } from "../../install/values.ts";
import { type Command, CommandError, contextFlag, type Flags, type Shell, UsageError } from "../command.ts";

async function treesOfFile(path: string): Promise<readonly Tree[]> {
  let text: string;
  try {
    text = await readFile(path === "-" ? "/dev/stdin" : path, "utf8");
  } catch (error) {
    const cause = errorText(error);
    throw new UsageError(`--values ${path}: the file cannot be read (${cause}).`);
  }
  return parseAllDocuments(text).flatMap((document) => {
    const [mistake] = document.errors;
    if (mistake !== undefined) throw new UsageError(`--values ${path}: not YAML: ${mistake.message}`);
    const tree: unknown = document.toJS();
    if (tree === null) return [];
    if (typeof tree !== "object" || Array.isArray(tree)) {
      throw new UsageError(
        `--values ${path}: a values file is a map of keys, such as "global: {network: my-network}".`,
      );
    }
    // A YAML map is a plain object here.
    return [tree as Tree];
  });
}

async function settingsOf(shell: Shell, flags: Flags, context: string): Promise<InstallSettings> {
  const trees: Tree[] = [];
  for (const path of flags.each("values")) trees.push(...(await treesOfFile(path)));
  for (const pair of flags.each("set")) {
    const tree = treeOfPair(pair);
    if (tree === undefined)
      throw new UsageError(`--set ${pair}: write it as key=value, such as global.network=my-network.`);
    trees.push(tree);
  }
  const { settings, warnings, problems } = readValues(trees);
  for (const warning of warnings) shell.note(`Warning: ${warning}`);
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
  const cluster =
    settings.cluster === defaultSettings.cluster ? context.replaceAll(/[^a-z0-9-]+/g, "-") : settings.cluster;
  return { ...settings, cluster, network: settings.network === "" ? cluster : settings.network };
}

export const install: Command = {
  path: ["install"],
  summary: "Install the mesh on a cluster, or bring an installed one up to date",
  details: `Values are those of ambient multicluster installs (meshConfig.trustDomain, global.multiCluster.clusterName,
global.network, env.*, ambient.dnsCapture). Without names, the cluster and its network are named after the context.`,
  flags: {
    context: contextFlag,
    values: {
      type: "string",
      short: "f",
      multiple: true,
      value: "FILE",
      description: "values file, repeatable; - is standard input",
    },
    set: { type: "string", multiple: true, value: "KEY=VALUE", description: "one value, repeatable; wins over files" },
    "dry-run": { type: "boolean", description: "let the API server check everything, change nothing" },
    generate: { type: "boolean", description: "print the manifests as YAML instead of applying them" },
    "no-wait": { type: "boolean", description: "do not wait until all programs are ready" },
  },
  examples: [
    "tombolo install --context cluster1 --set global.multiCluster.clusterName=cluster1 --set global.network=cluster1",
    "tombolo install --context cluster1 --values istiod.yaml --values ztunnel.yaml",
  ],
  async run(shell, flags) {
    const { client, context } = await shell.connect(flags.text("context"));
    const settings = await settingsOf(shell, flags, context);
    if (flags.isSet("generate")) {
      shell.out(
        manifests(settings)
          .map((object) => `---\n${stringify(object)}`)
          .join(""),
      );
      return 0;
    }
    const isDry = flags.isSet("dry-run");
    await installMesh(shell.host, client, settings, {
      dryRun: isDry,
      wait: !flags.isSet("no-wait"),
      signal: shell.signal,
      say: (line) => shell.note(`  ${line}`),
    });
    shell.out(
      isDry
        ? `Dry run: the mesh could be installed on ${context} as cluster ${settings.cluster}, network ${settings.network}\n`
        : `The mesh is installed on ${context} as cluster ${settings.cluster}, network ${settings.network}, trust domain ${settings.trustDomain}\n`,
    );
    return 0;
  },
};

export const uninstall: Command = {
  path: ["uninstall"],
  summary: "Take the mesh off a cluster",
  details:
    "Definitions of kinds and namespace istio-system stay, and with them what users wrote and the plugged-in CA, unless --purge.",
  flags: {
    context: contextFlag,
    purge: {
      type: "boolean",
      description: "remove the definitions of kinds too, with every object of them, and namespace istio-system",
    },
  },
  async run(shell, flags) {
    const { client, context } = await shell.connect(flags.text("context"));
    const removed = await uninstallMesh(shell.host, client, defaultSettings, {
      purge: flags.isSet("purge"),
      signal: shell.signal,
      say: (line) => shell.note(`  ${line}`),
    });
    if (removed === 0) throw new CommandError(`Context ${context}: there is no mesh to uninstall.`);
    shell.out(`The mesh is gone from ${context}\n`);
    return 0;
  },
};
