/**
 * Carries out Gateways of our classes: east-west ones get their objects and a status that tells how they are doing,
 * remote ones a status. Works only while this process leads; every Gateway is one key.
 */
import { errorText } from "../../../core/api/error-text.ts";
import { objectKey } from "../../../core/api/kube.ts";
import type { KubeObject, Service } from "../../../core/api/kube.ts";
import type { Gateway } from "../../../core/api/mesh-kinds.ts";
import { meshKinds } from "../../../core/api/mesh-kinds.ts";
import { condition, gatewayClass, label } from "../../../core/api/names.ts";
import type { Deployment } from "../../../core/api/pod.ts";
import { builtin } from "../../../core/api/resources.ts";
import { isEqual } from "../../../core/graph/equal.ts";
import { unknownClass } from "../../../core/mesh/peers.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import type { Informer, InformerChange } from "../../../io/kube/informer.ts";
import type { ControlSettings } from "../settings.ts";
import type { WantedCondition } from "../writers/merge-conditions.ts";
import { Reconciler } from "../writers/reconciler.ts";
import { patchStatus, statusPatch } from "../writers/status.ts";
import { applyGateway, deleteOwned, isOurs } from "./apply.ts";
import { checkGateway, isServable } from "./check.ts";
import type { Manifest } from "./manifest.ts";
import { eastWestStatus, mergedStatus, remoteStatus } from "./status.ts";
import type { WantedStatus } from "./status.ts";

export interface GatewayOptions {
  readonly settings: ControlSettings;
  readonly gateways: Informer<Gateway>;
  readonly services: Informer<Service>;
  /** Those that gateways are made of. */
  readonly deployments: Informer<Deployment>;
  readonly serviceAccounts: Informer<KubeObject>;
  /** Conditions that the mesh model has for a Gateway, by object key. */
  readonly conditions: (key: string) => readonly WantedCondition[];
  readonly failed?: (writer: string) => void;
}

/** Selects the Deployments and ServiceAccounts that gateways are made of. */
export const managedSelector = `${label.gatewayManaged}=istio.io-eastwest-controller`;

const ownTypes = [
  "Accepted",
  "Programmed",
  condition.peerConnected,
  condition.peeringSucceeded,
  condition.peerDataPlaneProgrammed,
];

export const gatewayController = (host: Host, client: KubeClient, options: GatewayOptions): Reconciler =>
  new GatewayController(host, client, options).reconciler;

class GatewayController {
  readonly reconciler: Reconciler;
  private readonly host: Host;
  private readonly client: KubeClient;
  private readonly options: GatewayOptions;
  /** Keys whose objects may differ from what was applied. */
  private readonly unapplied = new Set<string>();

  constructor(host: Host, client: KubeClient, options: GatewayOptions) {
    this.host = host;
    this.client = client;
    this.options = options;
    const { gateways, services, deployments, serviceAccounts, failed } = options;
    const keys = (): Iterable<string> => {
      for (const key of gateways.objects.keys()) this.unapplied.add(key);
      return gateways.objects.keys();
    };
    const reconcile = (key: string, signal: AbortSignal) => this.reconcile(key, signal);
    this.reconciler = new Reconciler(host, { name: "gateways", keys, reconcile, ...(failed && { failed }) });
    gateways.onChange((changes) => {
      for (const { key, before, after } of changes) {
        if (after === undefined) this.unapplied.delete(key);
        else if (before === undefined) this.unapplied.add(key);
      }
      this.follow(changes);
    });
    for (const informer of [services, deployments, serviceAccounts]) {
      informer.onChange((changes: readonly InformerChange<KubeObject>[]) => this.follow(changes));
    }
  }

  private follow(changes: readonly InformerChange<KubeObject>[]): void {
    for (const { key, before, after } of changes) {
      if (!this.options.gateways.objects.has(key)) continue;
      const isSame =
        before === undefined || (after !== undefined && isEqual(withoutStatus(before), withoutStatus(after)));
      if (!isSame) this.unapplied.add(key);
      this.reconciler.touch(key);
    }
  }

  private async reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { gateways, conditions } = this.options;
    const gateway = gateways.objects.get(key);
    // What a deleted Gateway owned is collected through its owner references.
    if (gateway === undefined || gateway.metadata.deletionTimestamp !== undefined) return;
    switch (gateway.spec.gatewayClassName) {
      case gatewayClass.remote:
        return this.write(gateway, remoteStatus(gateway, conditions(key)), signal);
      case gatewayClass.eastWest:
        return this.carryOut(gateway, key, signal);
      default:
        await this.tellUnknown(gateway, conditions(key), signal);
        for (const { type, object } of this.owned(key)) {
          const isLeftOver = object !== undefined && isOurs(object, gateway);
          if (isLeftOver) await deleteOwned(this.client, type, object, signal);
        }
    }
  }

  /** Only what this control plane itself says or said of a class that nobody serves; the rest is its controller's. */
  private async tellUnknown(gateway: Gateway, said: readonly WantedCondition[], signal: AbortSignal): Promise<void> {
    const isTold = gateway.status?.conditions?.some(({ reason }) => reason === unknownClass) === true;
    if (said.length === 0 && !isTold) return;
    const now = isoSeconds(this.host.clock.now());
    const status = statusPatch(gateway, { conditions: said, fields: {} }, { ownTypes: ["Accepted"], now });
    if (status !== undefined) await patchStatus(this.client, meshKinds.gateways, gateway, status, signal);
  }

  private async carryOut(gateway: Gateway, key: string, signal: AbortSignal): Promise<void> {
    const { settings, services, deployments, conditions } = this.options;
    const isComplete = this.owned(key).every(({ object }) => object !== undefined);
    // A Gateway that turned bad leaves what runs: peers go on reaching this cluster while it is mended.
    const isKept = isComplete && !isServable(checkGateway(gateway));
    if ((this.unapplied.has(key) || !isComplete) && !isKept) {
      this.unapplied.delete(key);
      try {
        await applyGateway(this.client, gateway, settings, (manifest) => this.existing(manifest, signal), signal);
      } catch (error) {
        this.unapplied.add(key);
        await this.write(gateway, notApplied(gateway, error, conditions(key)), signal);
        throw error;
      }
    }
    const found = { service: services.objects.get(key), deployment: deployments.objects.get(key) };
    await this.write(gateway, eastWestStatus(checkGateway(gateway), found, conditions(key)), signal);
  }

  private async write(gateway: Gateway, wanted: WantedStatus, signal: AbortSignal): Promise<void> {
    const status = mergedStatus(gateway, wanted, ownTypes, isoSeconds(this.host.clock.now()));
    if (status !== undefined) await patchStatus(this.client, meshKinds.gateways, gateway, status, signal);
  }

  private owned(key: string) {
    const { services, deployments, serviceAccounts } = this.options;
    return [
      { type: builtin.services, object: services.objects.get(key) },
      { type: builtin.deployments, object: deployments.objects.get(key) },
      { type: builtin.serviceAccounts, object: serviceAccounts.objects.get(key) },
    ];
  }

  private async existing(manifest: Manifest, signal: AbortSignal): Promise<KubeObject | undefined> {
    const { name, namespace } = manifest.object.metadata;
    const own = this.owned(objectKey(manifest.object)).find(({ type }) => type.kind === manifest.type.kind);
    if (own?.object !== undefined) return own.object;
    // The caches hold only what is ours; a name that somebody else has must not be overwritten.
    return this.client.get<KubeObject>(manifest.type, { name, namespace }, { signal }).catch((error: unknown) => {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    });
  }
}

function notApplied(gateway: Gateway, error: unknown, said: readonly WantedCondition[]): WantedStatus {
  const message = errorText(error);
  const status = eastWestStatus(checkGateway(gateway), { service: undefined, deployment: undefined }, said);
  const programmed = { type: "Programmed", status: "False", reason: "Invalid", message } as const;
  const conditions = status.conditions.map((one) => (one.type === "Programmed" ? programmed : one));
  return { ...status, conditions };
}

/** What must change for the object to be applied again. */
function withoutStatus(object: KubeObject): unknown {
  const { metadata, ...fields } = object;
  const { resourceVersion: _revision, managedFields: _managers, generation: _generation, ...kept } = metadata;
  return { ...fields, status: undefined, metadata: kept };
}
