/** Values that a pod's spec refers to: fields of the pod, references between environment variables, formats. Pure. */
import type { Recipe } from "../images/catalogue.ts";
import type { ConfigMap, Secret } from "../../../core/api/kube.ts";
import type { Container, EnvVar, Pod } from "../../../core/api/pod.ts";

/** What only the node knows about a pod. */
export interface PodPlace {
  readonly podIp: string;
  readonly hostIp: string;
}

export interface Lookup {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
}

const mapText = (map: Readonly<Record<string, string>> = {}): string =>
  Object.keys(map)
    .toSorted()
    .map((key) => `${key}=${JSON.stringify(map[key])}`)
    .join("\n");

/** The value of a downward-API field; `undefined` for a field that does not exist. */
export function fieldValue(pod: Pod, place: PodPlace, path: string): string | undefined {
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (keyed !== null) return pod.metadata[keyed[1] === "labels" ? "labels" : "annotations"]?.[keyed[2] ?? ""] ?? "";
  const fields: Readonly<Record<string, string | undefined>> = {
    "metadata.name": pod.metadata.name,
    "metadata.namespace": pod.metadata.namespace,
    "metadata.uid": pod.metadata.uid,
    "metadata.labels": mapText(pod.metadata.labels),
    "metadata.annotations": mapText(pod.metadata.annotations),
    "spec.nodeName": pod.spec.nodeName,
    "spec.serviceAccountName": pod.spec.serviceAccountName ?? "default",
    "status.hostIP": place.hostIp,
    "status.hostIPs": place.hostIp,
    "status.podIP": place.podIp,
    "status.podIPs": place.podIp,
  };
  return fields[path];
}

/** Replaces `$(NAME)` by known variables; `$$(NAME)` is the escape, unknown names stay as they are. */
export const expandReferences = (text: string, known: ReadonlyMap<string, string>): string =>
  text.replaceAll(/\$(\$?)\(([^()]+)\)/g, (whole, escape: string, name: string) =>
    escape === "$" ? `$(${name})` : (known.get(name) ?? whole),
  );

/** Bytes or whole numbers of a Kubernetes quantity such as `500m`, `128Mi`, `2`. */
function quantityValue(quantity: string): number {
  const match = /^([0-9.]+)([a-zA-Z]*)$/.exec(quantity);
  const scale: Readonly<Record<string, number>> = {
    "": 1,
    m: 1e-3,
    k: 1e3,
    M: 1e6,
    G: 1e9,
    Ki: 1024,
    Mi: 1024 ** 2,
    Gi: 1024 ** 3,
  };
  return Number(match?.[1] ?? 0) * (scale[match?.[2] ?? ""] ?? 1);
}

/** Limits and requests as numbers, rounded up; what is not set is the node's. */
function resourceValue(container: Container, resource: string): string {
  const [kind = "limits", name = "cpu"] = resource.split(".", 2);
  const group: unknown = container.resources?.[kind];
  const set = typeof group === "object" && group !== null ? (group as Record<string, unknown>)[name] : undefined;
  if (typeof set === "string" || typeof set === "number") return String(Math.ceil(quantityValue(String(set))));
  return name === "memory" ? String(1024 ** 3) : "1";
}

/** Thrown when something that is referred to is not there; the kubelet shows it and tries again. */
export class MissingReference extends Error {}

/**
 * The environment of a container: the image's, then `envFrom`, then `env` in order, each able to refer to those before it.
 */
export function containerEnvironment(
  pod: Pod,
  container: Container,
  place: PodPlace,
  base: Readonly<Record<string, string>>,
  lookup: Lookup,
): Map<string, string> {
  const known = new Map(Object.entries(base));
  for (const source of container.envFrom ?? []) {
    for (const [key, value] of sourceData(source, lookup)) known.set(`${source.prefix ?? ""}${key}`, value);
  }
  for (const variable of container.env ?? []) {
    const value = variableValue(pod, container, place, variable, known, lookup);
    if (value !== undefined) known.set(variable.name, value);
  }
  return known;
}

type EnvSource = NonNullable<Container["envFrom"]>[number];

function sourceData(source: EnvSource, lookup: Lookup): [string, string][] {
  const { configMapRef, secretRef } = source;
  if (configMapRef !== undefined) {
    const found = lookup.configMap(configMapRef.name);
    if (found === undefined && configMapRef.optional !== true) throw missing("configmap", configMapRef.name);
    return Object.entries(found?.data ?? {});
  }
  if (secretRef === undefined) return [];
  const found = lookup.secret(secretRef.name);
  if (found === undefined && secretRef.optional !== true) throw missing("secret", secretRef.name);
  return Object.entries(found?.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]);
}

const missing = (kind: string, name: string): MissingReference => new MissingReference(`${kind} "${name}" not found`);

function variableValue(
  pod: Pod,
  container: Container,
  place: PodPlace,
  variable: EnvVar,
  known: ReadonlyMap<string, string>,
  lookup: Lookup,
): string | undefined {
  const from = variable.valueFrom;
  if (from === undefined) return expandReferences(variable.value ?? "", known);
  if (from.fieldRef !== undefined) return fieldValue(pod, place, from.fieldRef.fieldPath) ?? "";
  if (from.resourceFieldRef !== undefined) return resourceValue(container, from.resourceFieldRef.resource);
  const reference = from.configMapKeyRef ?? from.secretKeyRef;
  if (reference === undefined) return "";
  const kind = from.configMapKeyRef === undefined ? "secret" : "configmap";
  const value =
    kind === "configmap"
      ? lookup.configMap(reference.name)?.data?.[reference.key]
      : decoded(lookup.secret(reference.name)?.data?.[reference.key]);
  if (value === undefined && reference.optional !== true) {
    throw new MissingReference(`couldn't find key ${reference.key} in ${kind} "${reference.name}"`);
  }
  return value;
}

const decoded = (value: string | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value, "base64").toString("utf8");

/** Entry point and arguments as Kubernetes combines image and spec. */
export function commandLine(
  container: Container,
  image: Pick<Recipe, "entrypoint" | "command" | "programs">,
  known: ReadonlyMap<string, string>,
): readonly string[] {
  const expand = (words: readonly string[]) => words.map((word) => expandReferences(word, known));
  if (container.command !== undefined && container.command.length > 0) {
    const [first = "", ...rest] = expand([...container.command, ...(container.args ?? [])]);
    return [...(image.programs[first.split("/").at(-1) ?? ""] ?? [first]), ...rest];
  }
  const args = container.args !== undefined && container.args.length > 0 ? container.args : image.command;
  return [...image.entrypoint, ...expand(args)];
}
