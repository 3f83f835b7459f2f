/**
 * Puts manifests on a cluster and takes them off again. Server-side apply with one field manager, so that a second
 * install changes only what differs and leaves what users own alone.
 */
import type { AnyObject, KubeObject, ResourceType } from "../../core/api/kube.ts";
import { agentName, controlPlaneName, label, systemNamespace } from "../../core/api/names.ts";
import { meshKinds } from "../../core/api/mesh-kinds.ts";
import { builtin } from "../../core/api/resources.ts";
import type { Host } from "../../io/host/host.ts";
import { isReason, type KubeClient } from "../../io/kube/client.ts";
import { manifests, resourceOf } from "./manifests.ts";
import type { InstallSettings } from "./values.ts";

const fieldManager = "tombolo-install";
const rolloutMsMax = 180_000;
const crdMsMax = 30_000;

export interface InstallOptions {
  readonly dryRun: boolean;
  /** Wait until the control plane and every agent are ready. */
  readonly wait: boolean;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

const refOf = (object: KubeObject) => ({ name: object.metadata.name, namespace: object.metadata.namespace });

/** Gateway API CRDs that somebody else installed are theirs: newer and fuller than ours. */
async function isForeignCrd(client: KubeClient, object: AnyObject, signal: AbortSignal): Promise<boolean> {
  if (object.kind !== "CustomResourceDefinition" || !object.metadata.name.endsWith("gateway.networking.k8s.io")) {
    return false;
  }
  try {
    const found = await client.get(builtin.customResourceDefinitions, { name: object.metadata.name }, { signal });
    return found.metadata.annotations?.["gateway.networking.k8s.io/bundle-version"] !== undefined;
  } catch (error) {
    if (isReason(error, "NotFound")) return false;
    throw error;
  }
}

export async function apply(client: KubeClient, object: AnyObject, options: Pick<InstallOptions, "dryRun" | "signal">) {
  const type = resourceOf(object);
  const patch = { type: "apply", body: object, force: true } as const;
  const write = { fieldManager, dryRun: options.dryRun, signal: options.signal };
  return client.patch(type, refOf(object), patch, write);
}

const missingNamespace = `namespace ${systemNamespace} is not there yet`;

/** False in a dry run for what goes into a namespace that only a real run would have made. */
async function applied(client: KubeClient, object: AnyObject, options: InstallOptions): Promise<boolean> {
  try {
    await apply(client, object, options);
    return true;
  } catch (error) {
    if (options.dryRun && object.metadata.namespace !== undefined && isReason(error, "NotFound")) return false;
    throw error;
  }
}

type Conditioned = AnyObject & { status?: { conditions?: { type: string; status: string }[] } };

/** Reads `object` again and again until `done` says so; a sentence with `what` when it takes too long. */
async function until<T extends KubeObject>(
  host: Host,
  read: () => Promise<T>,
  done: (object: T) => boolean,
  limit: { msMax: number; what: (last: T) => string; signal: AbortSignal },
): Promise<void> {
  const end = host.clock.now() + limit.msMax;
  for (;;) {
    const object = await read();
    if (done(object)) return;
    if (host.clock.now() > end) throw new Error(limit.what(object));
    await host.clock.sleep(100, limit.signal);
  }
}

async function crdEstablished(host: Host, client: KubeClient, name: string, signal: AbortSignal): Promise<void> {
  const read = () => client.get(builtin.customResourceDefinitions, { name }, { signal }) as Promise<Conditioned>;
  const isEstablished = (crd: Conditioned) =>
    crd.status?.conditions?.some((one) => one.type === "Established" && one.status === "True") ?? false;
  await until(host, read, isEstablished, {
    msMax: crdMsMax,
    signal,
    what: () =>
      `CustomResourceDefinition ${name} was not established within ${crdMsMax / 1000} s. See 'kubectl describe crd ${name}'.`,
  });
}

const number = (value: unknown): number => (typeof value === "number" ? value : 0);

export async function rolledOut(host: Host, client: KubeClient, signal: AbortSignal): Promise<void> {
  const advice = `See 'kubectl -n ${systemNamespace} get pods' and 'kubectl -n ${systemNamespace} logs'.`;
  const named = (name: string) => ({ name, namespace: systemNamespace });
  await until(
    host,
    () => client.get(builtin.deployments, named(controlPlaneName), { signal }),
    ({ spec, status, metadata }) =>
      number(status?.["observedGeneration"]) >= (metadata.generation ?? 0) &&
      number(status?.["updatedReplicas"]) >= (spec.replicas ?? 1) &&
      number(status?.["availableReplicas"]) >= (spec.replicas ?? 1),
    { msMax: rolloutMsMax, signal, what: () => `Deployment ${controlPlaneName} did not become available. ${advice}` },
  );
  await until(
    host,
    () => client.get(builtin.daemonSets, named(agentName), { signal }),
    ({ status, metadata }) =>
      number(status?.["observedGeneration"]) >= (metadata.generation ?? 0) &&
      number(status?.["updatedNumberScheduled"]) >= number(status?.["desiredNumberScheduled"]) &&
      number(status?.["numberReady"]) >= number(status?.["desiredNumberScheduled"]) &&
      number(status?.["desiredNumberScheduled"]) > 0,
    { msMax: rolloutMsMax, signal, what: () => `DaemonSet ${agentName} did not become ready. ${advice}` },
  );
}

export async function install(host: Host, client: KubeClient, settings: InstallSettings, options: InstallOptions) {
  const objects = manifests(settings);
  const isCrd = (object: AnyObject) => object.kind === "CustomResourceDefinition";
  const mine: AnyObject[] = [];
  for (const object of objects.filter(isCrd)) {
    if (await isForeignCrd(client, object, options.signal)) {
      options.say(`${object.metadata.name}: the cluster's own Gateway API definition is kept`);
    } else mine.push(object);
  }
  await Promise.all(mine.map((object) => apply(client, object, options)));
  options.say(`${mine.length} kinds`);
  if (!options.dryRun) {
    await Promise.all(mine.map((crd) => crdEstablished(host, client, crd.metadata.name, options.signal)));
  }
  for (const object of objects.filter((one) => !isCrd(one))) {
    const isChecked = await applied(client, object, options);
    options.say(`${object.kind} ${object.metadata.name}${isChecked ? "" : ` (not checked: ${missingNamespace})`}`);
  }
  if (options.wait && !options.dryRun) await rolledOut(host, client, options.signal);
}

async function remove(client: KubeClient, type: ResourceType, name: string, namespace: string | undefined) {
  try {
    await client.delete(type, { name, namespace }, { propagationPolicy: "Background" });
    return true;
  } catch (error) {
    if (isReason(error, "NotFound")) return false;
    throw error;
  }
}

const podsGoneMsMax = 30_000;

/**
 * Waits for the programs to end before what they need goes: agents let the pods of their node go once their DaemonSet is
 * gone, and a control plane that still runs would write again what is deleted.
 */
async function podsGone(host: Host, client: KubeClient, app: string, options: UninstallOptions): Promise<void> {
  const end = host.clock.now() + podsGoneMsMax;
  const select = { namespace: systemNamespace, labelSelector: `app=${app}`, signal: options.signal };
  while ((await client.list(builtin.pods, select)).items.length > 0) {
    if (host.clock.now() > end) {
      options.say(
        `Pods of ${app} still run after ${podsGoneMsMax / 1000} s; what they hold may need a restart of pods.`,
      );
      return;
    }
    await host.clock.sleep(100, options.signal);
  }
}

export interface UninstallOptions {
  /** Kinds and the namespace go too, and with them what users wrote: policies, Segments, the plugged-in CA. */
  readonly purge: boolean;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** What the control plane wrote by itself and nobody owns: entries, roots of trust, what it remembers of peers. */
async function removeGenerated(client: KubeClient, options: UninstallOptions): Promise<number> {
  const select = { labelSelector: `${label.managedBy}=tombolo`, signal: options.signal };
  const kinds: readonly ResourceType[] = [meshKinds.serviceEntries, meshKinds.workloadEntries, builtin.configMaps];
  let removed = 0;
  for (const type of kinds) {
    const { items } = await client.list(type, select).catch((error: unknown) => {
      if (isReason(error, "NotFound")) return { items: [] };
      throw error;
    });
    for (const { metadata } of items) if (await remove(client, type, metadata.name, metadata.namespace)) removed++;
  }
  if (removed > 0) options.say(`${removed} generated objects deleted`);
  return removed;
}

const isKept = (object: AnyObject): boolean =>
  object.kind === "CustomResourceDefinition" || object.kind === "Namespace";

/** Takes the mesh off: gateways first, while the control plane can still clean up, then agents, then the rest. */
export async function uninstall(
  host: Host,
  client: KubeClient,
  settings: InstallSettings,
  options: UninstallOptions,
): Promise<number> {
  let removed = 0;
  const gateways = await client.list(meshKinds.gateways).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return { items: [] };
    throw error;
  });
  for (const gateway of gateways.items.filter((one) => one.spec.gatewayClassName.startsWith("istio-"))) {
    const { name, namespace } = gateway.metadata;
    if (await remove(client, meshKinds.gateways, name, namespace)) {
      options.say(`Gateway ${namespace}/${name} deleted`);
      removed++;
    }
  }
  for (const object of [...manifests(settings)].reverse()) {
    if (isKept(object) && !options.purge) continue;
    if (await remove(client, resourceOf(object), object.metadata.name, object.metadata.namespace)) {
      options.say(`${object.kind} ${object.metadata.name} deleted`);
      removed++;
    }
    if (object.kind === "DaemonSet") await podsGone(host, client, agentName, options);
    if (object.kind !== "Deployment") continue;
    await podsGone(host, client, controlPlaneName, options);
    removed += await removeGenerated(client, options);
  }
  return removed;
}
