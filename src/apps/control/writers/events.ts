/** Shows what is wrong with objects that cannot carry conditions, as Events beside them. */
import { createHash } from "node:crypto";
import type { AnyObject } from "../../../core/api/kube.ts";
import { controlPlaneName } from "../../../core/api/names.ts";
import { builtin } from "../../../core/api/resources.ts";
import { apiVersionOf } from "../../../core/api/kube.ts";
import type { ResourceType } from "../../../core/api/kube.ts";
import { meshKinds } from "../../../core/api/mesh-kinds.ts";
import { fullText, type Problem } from "../../../core/mesh/problem.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { Reconciler } from "./reconciler.ts";

export interface EventOptions {
  /** By problem key. */
  readonly problems: ReadonlyMap<string, Problem>;
  readonly uidOf: (problem: Problem) => string | undefined;
  /** Name of this process, for the reader of the Event. */
  readonly instance: string;
  readonly failed?: (writer: string) => void;
}

/** A cluster forgets Events after an hour; what is still wrong is said again before that. */
export const eventRefreshMs = 45 * 60_000;

export function eventWriter(host: Host, client: KubeClient, options: EventOptions): Reconciler {
  const { problems, uidOf, instance, failed } = options;
  const reconcile = async (key: string, signal: AbortSignal): Promise<void> => {
    const problem = problems.get(key);
    if (problem === undefined || problem.shownAs !== "event") return;
    await tellByEvent(host, client, problem, { uid: uidOf(problem), instance, signal });
  };
  return new Reconciler(host, { name: "events", keys: () => problems.keys(), reconcile, ...(failed && { failed }) });
}

export interface Telling {
  /** Of the object, when it is known. */
  readonly uid?: string | undefined;
  readonly instance: string;
  readonly signal: AbortSignal;
}

/** Saying the same again, from whatever replica, only renews the Event. */
export async function tellByEvent(
  host: Host,
  client: KubeClient,
  problem: Problem,
  { uid, instance, signal }: Telling,
): Promise<void> {
  const now = isoSeconds(host.clock.now());
  const event = eventOf(problem, uid, { now, instance });
  try {
    await client.create(builtin.events, event, { signal });
  } catch (error) {
    // The namespace is going away.
    if (isReason(error, "NotFound") || isReason(error, "Forbidden")) return;
    if (!isReason(error, "AlreadyExists")) throw error;
    const { name, namespace } = event.metadata;
    const body = { lastTimestamp: now };
    await client.patch(builtin.events, { name, namespace }, { type: "merge", body }, { signal });
  }
}

const known: readonly ResourceType[] = [...Object.values(builtin), ...Object.values(meshKinds)];
const apiVersionByKind = new Map(known.map((type) => [type.kind, apiVersionOf(type)]));

function eventOf(
  problem: Problem,
  uid: string | undefined,
  { now, instance }: { readonly now: string; readonly instance: string },
): AnyObject {
  const { kind, namespace, name, reason } = problem;
  const message = fullText(problem);
  const hash = createHash("sha256")
    .update(JSON.stringify([kind, uid ?? "", reason, message]))
    .digest("hex");
  return {
    apiVersion: "v1",
    kind: "Event",
    // The same problem has the same name, so that it is one Event however often it is said.
    metadata: { name: `${name}.${hash.slice(0, 16)}`, namespace: namespace === "" ? "default" : namespace },
    involvedObject: {
      apiVersion: apiVersionByKind.get(kind) ?? "v1",
      kind,
      name,
      ...(namespace !== "" && { namespace }),
      ...(uid && { uid }),
    },
    type: "Warning",
    reason,
    message,
    source: { component: controlPlaneName, host: instance },
    reportingComponent: controlPlaneName,
    reportingInstance: instance,
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  };
}
