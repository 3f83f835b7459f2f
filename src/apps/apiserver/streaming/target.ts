/** Which container of a pod a request means, and what it asks for. Refuses in the API's words. */
import type { Pod } from "../../../core/api/pod.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { ExecRequest } from "../node-streams.ts";

const defaultContainer = "kubectl.kubernetes.io/default-container";

const refused = (message: string): KubeError => new KubeError(400, "BadRequest", message);

export const containerOf = (pod: Pod, asked: string | null): string => {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec;
  const own = containers.map(({ name }) => name);
  const all = [...own, ...initContainers.map(({ name }) => name), ...ephemeralContainers.map(({ name }) => name)];
  if (asked !== null && asked !== "") {
    if (all.includes(asked)) return asked;
    throw refused(`container ${asked} is not valid for pod ${pod.metadata.name}`);
  }
  const [first = "", ...others] = own;
  if (others.length === 0) return first;
  const preferred = pod.metadata.annotations?.[defaultContainer];
  if (preferred !== undefined && own.includes(preferred)) return preferred;
  throw refused(`a container name must be specified for pod ${pod.metadata.name}, choose one of: [${own.join(" ")}]`);
};

const isOn = (query: URLSearchParams, name: string): boolean => ["true", "1"].includes(query.get(name) ?? "");

export const execRequestOf = (query: URLSearchParams, subresource: "exec" | "attach"): ExecRequest => {
  const tty = isOn(query, "tty");
  const request = {
    command: query.getAll("command"),
    stdin: isOn(query, "stdin"),
    stdout: isOn(query, "stdout"),
    // A terminal has one output.
    stderr: isOn(query, "stderr") && !tty,
    tty,
  };
  if (!request.stdin && !request.stdout && !request.stderr) {
    throw refused("you must specify at least 1 of stdin, stdout, stderr");
  }
  if (subresource === "exec" && request.command.length === 0)
    throw refused("you must specify at least 1 command to exec");
  return request;
};

export const requireNode = (pod: Pod): void => {
  if ((pod.spec.nodeName ?? "") === "") throw refused(`pod ${pod.metadata.name} does not have a host assigned`);
};

/** `{"Width":80,"Height":24}`, as kubectl sends it on every change of its terminal. */
export const resizeOf = (text: string): { readonly columns: number; readonly rows: number } | undefined => {
  const sizes = /^\s*\{.*\}\s*$/s.test(text) ? parsed(text) : undefined;
  if (sizes === undefined) return undefined;
  const { Width: columns, Height: rows } = sizes;
  return typeof columns === "number" && typeof rows === "number" ? { columns, rows } : undefined;
};

const parsed = (text: string): { readonly Width?: unknown; readonly Height?: unknown } | undefined => {
  try {
    // Read as unknown fields only, whose types the caller checks.
    return JSON.parse(text) as { Width?: unknown; Height?: unknown };
  } catch {
    return undefined;
  }
};
