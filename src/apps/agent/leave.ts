/** How an agent goes from its node. */
import { errorText } from "../../core/api/error-text.ts";
import { agentName, systemNamespace } from "../../core/api/names.ts";
import { builtin } from "../../core/api/resources.ts";
import type { Host } from "../../io/host/host.ts";
import { isReason, type KubeClient } from "../../io/kube/client.ts";
import type { Captor } from "./capture/captor.ts";
import { clearNode } from "./capture/effects.ts";
import type { NodeConfiguration } from "./cni/node-configuration.ts";

const askMsMax = 3_000;

/**
 * An agent that is replaced leaves its pods captured: nothing of theirs may go out in the clear meanwhile. Only when the
 * DaemonSet itself is gone, the mesh leaves the node, and pods get their plain network back.
 */
export async function leave(
  host: Host,
  client: KubeClient,
  captor: Captor,
  cni: NodeConfiguration | undefined,
): Promise<void> {
  const ref = { name: agentName, namespace: systemNamespace };
  const isGone = await client.get(builtin.daemonSets, ref, { signal: AbortSignal.timeout(askMsMax) }).then(
    () => false,
    (error: unknown) => isReason(error, "NotFound"),
  );
  if (!isGone) return;
  host.log.info("agent.leaving", { pods: captor.podsByUid.size });
  await cni?.remove().catch((error: unknown) => host.log.warn("cni.problem", { problem: errorText(error) }));
  await captor.releaseAll();
  await clearNode().catch(() => undefined);
}
