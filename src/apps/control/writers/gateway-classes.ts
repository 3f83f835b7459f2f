/** The GatewayClasses that Tombolo answers to: made when missing, and accepted. */
import type { GatewayClass } from "../../../core/api/mesh-kinds.ts";
import { meshKinds } from "../../../core/api/mesh-kinds.ts";
import { controllerName, gatewayClass, label } from "../../../core/api/names.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { Reconciler } from "./reconciler.ts";
import { patchStatus, statusPatch } from "./status.ts";

const classes: Readonly<Record<string, { readonly controller: string; readonly description: string }>> = {
  [gatewayClass.eastWest]: {
    controller: controllerName.eastWest,
    description: "Gateway through which linked clusters reach this one.",
  },
  [gatewayClass.remote]: {
    controller: controllerName.remote,
    description: "Gateway of a linked cluster; nothing is deployed for it.",
  },
};

export function gatewayClassWriter(
  host: Host,
  client: KubeClient,
  actual: ReadonlyMap<string, GatewayClass>,
  failed?: (writer: string) => void,
): Reconciler {
  const reconcile = async (name: string, signal: AbortSignal): Promise<void> => {
    const wanted = classes[name];
    if (wanted === undefined) return;
    const have = actual.get(name) ?? (await make(client, name, wanted, signal));
    const isOurs = have.spec.controllerName === wanted.controller;
    const condition = {
      type: "Accepted",
      status: isOurs ? ("True" as const) : ("False" as const),
      reason: isOurs ? "Accepted" : "InvalidParameters",
      message: isOurs
        ? "Gateways of this class are served by Tombolo"
        : `spec.controllerName is ${have.spec.controllerName}, not ${wanted.controller}; delete this GatewayClass.`,
    };
    const now = isoSeconds(host.clock.now());
    const status = statusPatch(have, { conditions: [condition], fields: {} }, { ownTypes: ["Accepted"], now });
    if (status !== undefined) await patchStatus(client, meshKinds.gatewayClasses, have, status, signal);
  };
  return new Reconciler(host, {
    name: "gateway classes",
    keys: () => Object.keys(classes),
    reconcile,
    ...(failed && { failed }),
  });
}

const make = (
  client: KubeClient,
  name: string,
  { controller, description }: { readonly controller: string; readonly description: string },
  signal: AbortSignal,
): Promise<GatewayClass> =>
  client.create(
    meshKinds.gatewayClasses,
    {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "GatewayClass",
      metadata: { name, labels: { [label.managedBy]: "tombolo" } },
      spec: { controllerName: controller, description },
    },
    { signal },
  );
