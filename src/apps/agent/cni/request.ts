/** What the CNI plugin writes into a request, read: CNI's variables, an empty line, and the network configuration. */

/** A pod whose network stands and whose first container has not started. */
export interface Announcement {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly netns: string;
  readonly ip: string;
}

export interface PodRequest {
  readonly pod: Announcement;
  /** What the plugin before ours answered; a chained plugin that changes nothing answers the same. */
  readonly previous: object;
}

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function variablesOf(head: string): ReadonlyMap<string, string> {
  const pairs = head.split("\n").map((line) => {
    const at = line.indexOf("=");
    return [line.slice(0, at), line.slice(at + 1)] as const;
  });
  return new Map(pairs);
}

/** `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;…` (CNI conventions, CNI_ARGS). */
const argumentsOf = (text: string): ReadonlyMap<string, string> => variablesOf(text.replaceAll(";", "\n"));

/** The pod's IPv4 address of a result: `{"ips": [{"address": "10.1.0.2/24"}]}`; the mesh captures no other. */
function addressOf(result: Fields): string {
  const ips: readonly unknown[] = Array.isArray(result["ips"]) ? result["ips"] : [];
  const addresses = ips.flatMap((ip) => (isObject(ip) && typeof ip["address"] === "string" ? [ip["address"]] : []));
  const found = addresses.find((address) => !address.includes(":")) ?? addresses[0] ?? "";
  return found.split("/")[0] ?? "";
}

/** A path that leads to the namespace in the agent's container too. */
const netnsPath = (path: string): string => path.replace(/^\/var\/run\//, "/run/");

function configurationOf(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The request, or a sentence that says what is wrong with it. */
export function readPodRequest(text: string): PodRequest | string {
  const end = text.indexOf("\n\n");
  if (end === -1) return "The request of the CNI plugin ends before the network configuration.";
  const variables = variablesOf(text.slice(0, end));
  const configuration = configurationOf(text.slice(end + 2));
  if (configuration === undefined) return "The network configuration given to the CNI plugin is not a JSON object.";
  const previous = configuration["prevResult"];
  if (!isObject(previous)) {
    return "The network configuration has no prevResult; the mesh's CNI plugin must be chained behind the one that connects the pod.";
  }
  const words = argumentsOf(variables.get("CNI_ARGS") ?? "");
  const pod = {
    uid: words.get("K8S_POD_UID") ?? "",
    namespace: words.get("K8S_POD_NAMESPACE") ?? "",
    name: words.get("K8S_POD_NAME") ?? "",
    netns: netnsPath(variables.get("CNI_NETNS") ?? ""),
    ip: addressOf(previous),
  };
  const missing = Object.entries(pod).flatMap(([name, value]) => (value === "" ? [name] : []));
  return missing.length === 0 ? { pod, previous } : `The CNI plugin was not told the pod's ${missing.join(", ")}.`;
}
