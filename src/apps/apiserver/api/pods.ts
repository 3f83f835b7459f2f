/** Admission of pods: default service account, its token volume, tolerations, first status; and what may change later. */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { ApiContext } from "./context.ts";
import { forbidden } from "./errors.ts";
import type { Fields } from "./json.ts";
import { fieldsOf, isFields, listOf, textOf } from "./json.ts";

const podType = { group: "", plural: "pods", kind: "Pod" };
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";
/** An hour and seven seconds: what upstream asks for, so that a token that is seen can be told from one asked for. */
const tokenSeconds = 3607;
const evictAfterSeconds = 300;
const nameAlphabet = "bcdfghjklmnpqrstvwxz2456789";

export function admitPod(context: ApiContext, object: AnyObject): void {
  const spec = fieldsOf(object["spec"]);
  object["spec"] = spec;
  object["status"] = { phase: "Pending", qosClass: qosClassOf(spec) };
  const account = textOf(spec["serviceAccountName"]) || textOf(spec["serviceAccount"]) || "default";
  spec["serviceAccountName"] = account;
  spec["serviceAccount"] = account;
  const namespace = object.metadata.namespace ?? "";
  const serviceAccount = context.store.get("/serviceaccounts", `${namespace}/${account}`);
  if (serviceAccount === undefined) {
    const missing = `serviceaccount ${JSON.stringify(account)} not found`;
    throw forbidden(
      podType,
      object.metadata.name,
      `error looking up service account ${namespace}/${account}: ${missing}`,
    );
  }
  const mounts = spec["automountServiceAccountToken"] ?? serviceAccount["automountServiceAccountToken"] ?? true;
  if (mounts === true) mountToken(context, spec);
  addTolerations(spec);
  spec["priority"] ??= 0;
  spec["preemptionPolicy"] ??= "PreemptLowerPriority";
}

function mountToken(context: ApiContext, spec: Fields): void {
  const containers = [...listOf(spec["initContainers"]), ...listOf(spec["containers"])].filter(isFields);
  const lacking = containers.filter(
    (container) => !listOf(container["volumeMounts"]).some((mount) => fieldsOf(mount)["mountPath"] === tokenPath),
  );
  if (lacking.length === 0) return;
  const isTokenVolume = (volume: unknown) => String(fieldsOf(volume)["name"]).startsWith("kube-api-access-");
  const volumes = listOf(spec["volumes"]);
  const present = fieldsOf(volumes.find(isTokenVolume))["name"];
  const suffix = Array.from({ length: 5 }, () => nameAlphabet[context.host.random.below(nameAlphabet.length)]).join("");
  const name = textOf(present) ?? `kube-api-access-${suffix}`;
  for (const container of lacking) {
    container["volumeMounts"] = [...listOf(container["volumeMounts"]), { name, readOnly: true, mountPath: tokenPath }];
  }
  if (present === undefined) spec["volumes"] = [...volumes, tokenVolume(name)];
}

const tokenVolume = (name: string): Fields => ({
  name,
  projected: {
    sources: [
      { serviceAccountToken: { expirationSeconds: tokenSeconds, path: "token" } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      {
        downwardAPI: {
          items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
        },
      },
    ],
    defaultMode: 0o644,
  },
});

function addTolerations(spec: Fields): void {
  const tolerations = [...listOf(spec["tolerations"])];
  for (const key of ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]) {
    const isCovered = tolerations.filter(isFields).some((toleration) => {
      const isSameKey = toleration["key"] === key || (toleration["key"] ?? "") === "";
      return isSameKey && ["NoExecute", "", undefined].includes(textOf(toleration["effect"]));
    });
    if (isCovered) continue;
    tolerations.push({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: evictAfterSeconds });
  }
  spec["tolerations"] = tolerations;
}

function qosClassOf(spec: Fields): string {
  const containers = [...listOf(spec["containers"]), ...listOf(spec["initContainers"])].filter(isFields);
  const resources = containers.map((container) => fieldsOf(container["resources"]));
  const sizes = (side: "limits" | "requests") =>
    resources.map((resource) => {
      const { cpu, memory } = fieldsOf(resource[side]);
      return { cpu, memory };
    });
  const [limits, requests] = [sizes("limits"), sizes("requests")];
  if ([...limits, ...requests].every(({ cpu, memory }) => cpu === undefined && memory === undefined))
    return "BestEffort";
  const isGuaranteed = limits.every(
    ({ cpu, memory }, index) =>
      cpu !== undefined &&
      memory !== undefined &&
      [undefined, cpu].includes(requests[index]?.cpu) &&
      [undefined, memory].includes(requests[index]?.memory),
  );
  return isGuaranteed ? "Guaranteed" : "Burstable";
}

/** Ephemeral containers change only through their subresource, and only by addition. */
export function keepPodFields(
  _context: ApiContext,
  object: AnyObject,
  live: AnyObject,
  subresource: string | undefined,
): void {
  const old = fieldsOf(live["spec"]);
  const spec = { ...fieldsOf(object["spec"]) };
  object["spec"] = spec;
  if (subresource === "ephemeralcontainers") {
    const kept = listOf(spec["ephemeralContainers"]).map((container) => fieldsOf(container)["name"]);
    const gone = listOf(old["ephemeralContainers"]).filter((container) => !kept.includes(fieldsOf(container)["name"]));
    if (gone.length > 0) {
      const names = gone.map((container) => String(fieldsOf(container)["name"])).join(", ");
      throw forbidden(
        podType,
        object.metadata.name,
        `existing ephemeral containers ${JSON.stringify(names)} may not be removed`,
      );
    }
    const added = spec["ephemeralContainers"];
    object["spec"] = { ...old, ...(added === undefined ? {} : { ephemeralContainers: added }) };
    return;
  }
  // What admission added belongs to the server: a replace by a body that lacks it is no wish to remove it.
  for (const name of [
    "nodeName",
    "serviceAccountName",
    "serviceAccount",
    "ephemeralContainers",
    "priority",
    "preemptionPolicy",
  ]) {
    if (spec[name] === undefined && old[name] !== undefined) spec[name] = old[name];
  }
}
