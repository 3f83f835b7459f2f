/**
 * Puts the mesh on sandbox clusters the way an operator would: a shared root with one intermediate per cluster, install,
 * expose, link, sample apps. Everything is applied; doing it again changes nothing.
 */
import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import { apply, install, rolledOut } from "../../install/apply.ts";
import { defaultSettings } from "../../install/values.ts";
import type { AnyObject, KubeObject } from "../../../core/api/kube.ts";
import { caSecret, label, systemNamespace } from "../../../core/api/names.ts";
import { builtin } from "../../../core/api/resources.ts";
import { isReason, type KubeClient } from "../../../io/kube/client.ts";
import { type MintedCa, mintIntermediate, mintRoot, pluggedInSecret } from "../../../io/identity/mint.ts";
import { joinPath, readText, writeAtomically } from "../../../io/host/files.ts";
import { meshRootFile } from "../../sandbox/state.ts";
import { CommandError, type Connection, type Shell } from "../command.ts";
import { expose } from "../commands/expose.ts";
import { link } from "../commands/link.ts";
import { Flags } from "../command.ts";
import type { Steps } from "./steps.ts";

const gatewayNamespace = "istio-gateways";
const sampleNamespace = "httpbin";
const sampleFiles = ["in-ambient.yaml", "client-in-ambient.yaml"];
const sampleDeployments = ["in-ambient", "client-in-ambient"];
const readyMsMax = 60_000;
const flatNetwork = "flat";

/** The sandbox's root lives until `down`, so that a cluster added later shares it. */
async function rootOf(shell: Shell, home: string): Promise<MintedCa> {
  const path = meshRootFile(home);
  const kept = await readText(path);
  // Written below, readable by its owner only.
  if (kept !== undefined) return JSON.parse(kept) as MintedCa;
  const root = await mintRoot(shell.host, { name: "Tombolo sandbox root" });
  await writeAtomically(path, JSON.stringify(root), 0o600);
  return root;
}

const ignoreExisting = (error: unknown): void => {
  if (!isReason(error, "AlreadyExists")) throw error;
};

async function plugIn(shell: Shell, client: KubeClient, root: MintedCa, cluster: string): Promise<void> {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: systemNamespace } };
  await client.create(builtin.namespaces, namespace).catch(ignoreExisting);
  const ref = { name: caSecret.pluggedIn, namespace: systemNamespace };
  const exists = await client.get(builtin.secrets, ref).then(
    () => true,
    (error: unknown) => (isReason(error, "NotFound") ? false : Promise.reject(error)),
  );
  if (exists) return;
  const intermediate = await mintIntermediate(shell.host, root, { name: `${cluster} intermediate` });
  const data = Object.fromEntries(
    Object.entries(pluggedInSecret(root, intermediate)).map(([key, text]) => [
      key,
      Buffer.from(text).toString("base64"),
    ]),
  );
  await client.create(builtin.secrets, { apiVersion: "v1", kind: "Secret", metadata: ref, type: "Opaque", data });
}

async function applySample(shell: Shell, client: KubeClient, file: string): Promise<void> {
  for (const document of parseAllDocuments(await readFile(file, "utf8"))) {
    // Our own sample files hold Kubernetes objects only.
    const object = document.toJS() as AnyObject | null;
    if (object !== null) await apply(client, object, { dryRun: false, signal: shell.signal });
  }
}

async function labelled(client: KubeClient): Promise<void> {
  const scope = { metadata: { labels: { [label.serviceScope]: "global" } } };
  const mode = { metadata: { labels: { [label.dataplaneMode]: "ambient" } } };
  await client.patch(builtin.namespaces, { name: sampleNamespace }, { type: "merge", body: mode });
  for (const name of sampleDeployments) {
    await client.patch(builtin.services, { name, namespace: sampleNamespace }, { type: "merge", body: scope });
  }
}

interface Available extends KubeObject {
  status?: { availableReplicas?: number };
}

async function samplesReady(shell: Shell, client: KubeClient): Promise<void> {
  const end = shell.host.clock.now() + readyMsMax;
  for (const name of sampleDeployments) {
    for (;;) {
      const ref = { name, namespace: sampleNamespace };
      const { status }: Available = await client.get(builtin.deployments, ref, { signal: shell.signal });
      if ((status?.availableReplicas ?? 0) > 0) break;
      if (shell.host.clock.now() > end) {
        throw new CommandError(
          `Deployment ${sampleNamespace}/${name} did not become available within ${readyMsMax / 1000} s.`,
          `See 'kubectl -n ${sampleNamespace} get pods'.`,
        );
      }
      await shell.host.clock.sleep(50, shell.signal);
    }
  }
}

export interface MeshOptions {
  readonly home: string;
  readonly samplesDir: string;
  readonly withSamples: boolean;
  /** All clusters name the same network. */
  readonly isFlat: boolean;
}

export async function meshUp(shell: Shell, steps: Steps, clusters: readonly Connection[], options: MeshOptions) {
  const each = (work: (one: Connection) => Promise<void>) => Promise.all(clusters.map(work));
  await steps.run("a shared root of trust, one intermediate per cluster", async () => {
    const root = await rootOf(shell, options.home);
    await each(({ client, context }) => plugIn(shell, client, root, context));
  });
  await steps.run("the mesh is installed", () =>
    each(async ({ client, context }) => {
      const settings = { ...defaultSettings, cluster: context, network: options.isFlat ? flatNetwork : context };
      const quiet = { dryRun: false, wait: false, signal: shell.signal, say: () => undefined };
      await install(shell.host, client, settings, quiet);
    }),
  );
  if (options.withSamples) {
    await steps.run("sample apps are applied", () =>
      each(async ({ client }) => {
        for (const file of sampleFiles) await applySample(shell, client, joinPath(options.samplesDir, file));
        await labelled(client);
      }),
    );
  }
  await steps.run("control planes and agents are ready", () =>
    each(({ client }) => rolledOut(shell.host, client, shell.signal)),
  );
  await linkUp(shell, steps, clusters);
  if (options.withSamples) {
    await steps.run("sample apps are ready", () => each(({ client }) => samplesReady(shell, client)));
  }
}

async function linkUp(shell: Shell, steps: Steps, clusters: readonly Connection[]): Promise<void> {
  const quiet: Shell = { ...shell, out: () => undefined, note: () => undefined };
  const flags = (values: Readonly<Record<string, unknown>>) =>
    new Flags({ namespace: gatewayNamespace, ...values }, []);
  await steps.run("the clusters are exposed", async () => {
    await Promise.all(clusters.map(({ context }) => expose.run(quiet, flags({ context, wait: true }))));
  });
  if (clusters.length < 2) return;
  await steps.run("the clusters are linked", async () => {
    await link.run(quiet, flags({ contexts: clusters.map(({ context }) => context) }));
  });
}
