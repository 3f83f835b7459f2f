/** All writing of the control plane, put together: which writer hears of which change. Runs while this process leads. */
import type { KubeObject, ResourceType } from "../../../core/api/kube.ts";
import { meshKinds } from "../../../core/api/mesh-kinds.ts";
import { condition, systemNamespace } from "../../../core/api/names.ts";
import { sortedRows } from "../../../core/graph/order.ts";
import type { Mesh } from "../../../core/mesh/mesh.ts";
import { fullText, type MeshCondition } from "../../../core/mesh/problem.ts";
import type { Host } from "../../../io/host/host.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import type { Informer } from "../../../io/kube/informer.ts";
import { gatewayController } from "../gateways/controller.ts";
import type { Inputs } from "../inputs.ts";
import type { ControlSettings, Self } from "../settings.ts";
import { exportMemory } from "../peering/remembered-exports.ts";
import type { Peering } from "../peering/peering.ts";
import type { CaSource } from "../trust/ca-keeper.ts";
import { eventRefreshMs, eventWriter } from "./events.ts";
import { gatewayClassWriter } from "./gateway-classes.ts";
import { generatedWriter } from "./generated.ts";
import type { WantedCondition } from "./merge-conditions.ts";
import type { Reconciler } from "./reconciler.ts";
import { SegmentUsage } from "./segment-usage.ts";
import { rootCertWriter } from "./root-cert.ts";
import { statusWriter } from "./status.ts";
import type { WantedStatusOf } from "./status.ts";

export interface WriterContext {
  readonly host: Host;
  readonly client: KubeClient;
  readonly inputs: Inputs;
  readonly mesh: Mesh;
  readonly settings: ControlSettings;
  readonly self: Self;
  readonly ca: CaSource;
  readonly peering: Peering;
  readonly failed: (writer: string) => void;
}

/** Types that the mesh model writes on objects other than Gateways. */
const ownConditionTypes = ["Accepted", "ZtunnelAccepted", condition.segmentShared];

export class MeshWriters {
  readonly all: readonly Reconciler[];
  private readonly host: Host;
  private readonly events: Reconciler;

  constructor(context: WriterContext) {
    this.host = context.host;
    this.events = events(context);
    this.all = [
      ...generated(context),
      ...statuses(context),
      gateways(context),
      gatewayClasses(context),
      rootCerts(context),
      peerMemory(context),
      this.events,
    ];
  }

  /** Until the signal aborts and what had begun has settled. */
  async lead(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.all.map((one) => one.run(signal)), this.refreshEvents(signal)]);
  }

  private async refreshEvents(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.host.clock.sleep(eventRefreshMs, signal).catch(() => undefined);
      this.events.touchAll();
    }
  }
}

const touchOn = <T>(informer: Informer<T>, writer: Reconciler): void =>
  informer.onChange((changes) => {
    for (const { key } of changes) writer.touch(key);
  });

function generated({ host, client, inputs, mesh, failed }: WriterContext): readonly Reconciler[] {
  const { graph, generatedServiceEntries, generatedWorkloadEntries } = mesh;
  const serviceEntries = generatedWriter(host, client, {
    type: meshKinds.serviceEntries,
    wanted: generatedServiceEntries.rows,
    actual: inputs.serviceEntries.objects,
    failed,
  });
  const workloadEntries = generatedWriter(host, client, {
    type: meshKinds.workloadEntries,
    wanted: generatedWorkloadEntries.rows,
    actual: inputs.workloadEntries.objects,
    failed,
  });
  graph.watch(generatedServiceEntries, (changes) => changes.forEach(({ key }) => serviceEntries.touch(key)));
  graph.watch(generatedWorkloadEntries, (changes) => changes.forEach(({ key }) => workloadEntries.touch(key)));
  touchOn(inputs.serviceEntries, serviceEntries);
  touchOn(inputs.workloadEntries, workloadEntries);
  return [serviceEntries, workloadEntries];
}

/** Conditions of the model for the object at this key; `undefined` while the model has not seen its latest spec. */
function conditionsOf(mesh: Mesh, type: ResourceType<KubeObject>, key: string, object: KubeObject) {
  const row = mesh.conditions.rows.get(`${type.plural}/${key}`);
  const isBehind = row?.generation !== undefined && row.generation !== object.metadata.generation;
  return isBehind ? undefined : (row?.conditions ?? []).map(asWritten);
}

/** Kubernetes has one text for what is wrong and for the way out. */
const asWritten = (said: MeshCondition): WantedCondition => ({ ...said, message: fullText(said) });

function statuses(context: WriterContext): readonly Reconciler[] {
  const { inputs, mesh } = context;
  const { serviceEntries, authorizationPolicies, peerAuthentications } = inputs;
  const entryStatus = status(context, meshKinds.serviceEntries, serviceEntries, (key) => ({
    addresses: mesh.serviceEntryAddresses.rows.get(key),
  }));
  mesh.graph.watch(mesh.serviceEntryAddresses, (changes) => changes.forEach(({ key }) => entryStatus.touch(key)));
  return [
    entryStatus,
    status(context, meshKinds.authorizationPolicies, authorizationPolicies),
    status(context, meshKinds.peerAuthentications, peerAuthentications),
    segmentStatus(context),
  ];
}

function segmentStatus(context: WriterContext): Reconciler {
  const { inputs, mesh, settings } = context;
  const usage = new SegmentUsage(mesh, settings.mesh.cluster);
  const inUse = (key: string): Readonly<Record<string, unknown>> => {
    const [namespace, name = ""] = key.split("/");
    // One that does not count has no status of its own.
    return namespace === systemNamespace ? { ...usage.of(name) } : { clusters: undefined, services: undefined };
  };
  const writer = status(context, meshKinds.segments, inputs.segments, inUse);
  usage.changed = (name) => writer.touch(`${systemNamespace}/${name}`);
  return writer;
}

function status<T extends KubeObject & { status?: object }>(
  { host, client, mesh, failed }: WriterContext,
  type: ResourceType<T>,
  informer: Informer<T>,
  fields: (key: string) => Readonly<Record<string, unknown>> = () => ({}),
): Reconciler {
  const wanted = (key: string, object: T): WantedStatusOf | undefined => {
    const conditions = conditionsOf(mesh, type, key, object);
    return conditions && { conditions, fields: fields(key) };
  };
  const ownTypes = ownConditionTypes;
  const writer = statusWriter(host, client, { type, actual: informer.objects, wanted, ownTypes, failed });
  const prefix = `${type.plural}/`;
  mesh.graph.watch(mesh.conditions, (changes) => {
    for (const { key } of changes) if (key.startsWith(prefix)) writer.touch(key.slice(prefix.length));
  });
  touchOn(informer, writer);
  return writer;
}

function gateways({ host, client, inputs, mesh, settings, failed }: WriterContext): Reconciler {
  const conditions = (key: string): readonly WantedCondition[] =>
    (mesh.conditions.rows.get(`gateways/${key}`)?.conditions ?? []).map(asWritten);
  const controller = gatewayController(host, client, {
    settings,
    gateways: inputs.gateways,
    services: inputs.services,
    deployments: inputs.deployments,
    serviceAccounts: inputs.serviceAccounts,
    conditions,
    failed,
  });
  mesh.graph.watch(mesh.conditions, (changes) => {
    for (const { key } of changes) if (key.startsWith("gateways/")) controller.touch(key.slice("gateways/".length));
  });
  return controller;
}

function gatewayClasses({ host, client, inputs, failed }: WriterContext): Reconciler {
  const writer = gatewayClassWriter(host, client, inputs.gatewayClasses.objects, failed);
  touchOn(inputs.gatewayClasses, writer);
  return writer;
}

function rootCerts({ host, client, inputs, ca, self, failed }: WriterContext): Reconciler {
  const writer = rootCertWriter(host, client, {
    namespaces: inputs.namespaces.objects,
    configMaps: inputs.rootCerts.objects,
    roots: () => ca.rootPem,
    issuer: () => {
      const authority = ca.authority();
      return "problem" in authority ? undefined : authority.fingerprint;
    },
    ownNamespace: self.namespace,
    failed,
  });
  touchOn(inputs.namespaces, writer);
  inputs.rootCerts.onChange((changes) => {
    for (const { key } of changes) writer.touch(key.split("/")[0] ?? "");
  });
  ca.onChange(() => writer.touchAll());
  return writer;
}

function peerMemory({ host, client, mesh, self, peering, failed }: WriterContext): Reconciler {
  const { peerExports } = mesh.sources;
  const memory = exportMemory(host, client, {
    namespace: self.namespace,
    clusters: () => peering.clusters(),
    rowsOf: (cluster) => sortedRows(peerExports).flatMap(([, row]) => (row.cluster === cluster ? [row] : [])),
    failed,
  });
  const touch = (clusters: Iterable<string | undefined>): void => {
    for (const cluster of new Set(clusters)) if (cluster !== undefined) memory.touch(cluster);
  };
  mesh.graph.watch(peerExports, (changes) => touch(changes.map(({ before, after }) => (after ?? before)?.cluster)));
  mesh.graph.watch(mesh.peers, (changes) =>
    touch(changes.flatMap(({ before, after }) => [before?.cluster, after?.cluster])),
  );
  return memory;
}

function uidIn(inputs: Inputs, kind: string, key: string): string | undefined {
  switch (kind) {
    case "Namespace":
      return inputs.namespaces.objects.get(key)?.metadata.uid;
    case "Service":
      return inputs.services.objects.get(key)?.metadata.uid;
    case "Pod":
      return inputs.pods.objects.get(key)?.metadata.uid;
    case "ServiceEntry":
      return inputs.serviceEntries.objects.get(key)?.metadata.uid;
    case "WorkloadEntry":
      return inputs.workloadEntries.objects.get(key)?.metadata.uid;
    default:
      return undefined;
  }
}

function events({ host, client, inputs, mesh, self, failed }: WriterContext): Reconciler {
  const writer = eventWriter(host, client, {
    problems: mesh.problems.rows,
    uidOf: ({ kind, namespace, name }) => uidIn(inputs, kind, namespace === "" ? name : `${namespace}/${name}`),
    instance: self.podName,
    failed,
  });
  mesh.graph.watch(mesh.problems, (changes) => changes.forEach(({ key }) => writer.touch(key)));
  return writer;
}
