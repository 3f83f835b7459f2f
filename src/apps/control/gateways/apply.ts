/** Puts an east-west Gateway's objects on the cluster, and takes them away when the Gateway changes its class. */
import type { KubeObject, ResourceType } from "../../../core/api/kube.ts";
import { objectKey } from "../../../core/api/kube.ts";
import type { Gateway } from "../../../core/api/mesh-kinds.ts";
import { label } from "../../../core/api/names.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { ControlSettings } from "../settings.ts";
import type { Manifest } from "./manifest.ts";
import { gatewayManifests } from "./manifest.ts";

const fieldManager = "tombolo";

/** An object of the same name that is somebody else's is left alone, and named. */
export class ForeignObject extends Error {}

export async function applyGateway(
  client: KubeClient,
  gateway: Gateway,
  settings: ControlSettings,
  existing: (manifest: Manifest) => Promise<KubeObject | undefined>,
  signal: AbortSignal,
): Promise<void> {
  for (const manifest of gatewayManifests(gateway, settings)) {
    const { type, object } = manifest;
    const found = await existing(manifest);
    if (found !== undefined && !isOurs(found, gateway)) {
      throw new ForeignObject(
        `${type.kind} ${objectKey(found)} exists already and does not belong to Gateway ${objectKey(gateway)}. ` +
          "Delete it or rename the Gateway.",
      );
    }
    const { name, namespace } = object.metadata;
    const patch = { type: "apply", body: object, force: true } as const;
    await client.patch<KubeObject>(type, { name, namespace }, patch, { fieldManager, signal });
  }
}

/** Made for this Gateway; an older Gateway of the same name counts, since its objects are taken over. */
export const isOurs = (object: KubeObject, gateway: Gateway): boolean =>
  object.metadata.labels?.[label.gatewayManaged] !== undefined &&
  object.metadata.labels[label.gatewayName] === gateway.metadata.name;

export async function deleteOwned(
  client: KubeClient,
  type: ResourceType<KubeObject>,
  object: KubeObject,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace, uid } = object.metadata;
  try {
    await client.delete(type, { name, namespace }, { uid, propagationPolicy: "Background", signal });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
  }
}
