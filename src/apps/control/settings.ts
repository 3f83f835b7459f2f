/** What the control plane is told at start: the mesh of its cluster (`mesh.json`) and who it is (environment). */
import { errorText } from "../../core/api/error-text.ts";
import { clusterDomain, defaultTrustDomain, systemNamespace } from "../../core/api/names.ts";
import type { MeshSettings } from "../../core/mesh/model.ts";

export interface ControlSettings {
  readonly mesh: MeshSettings;
  /** Image of gateway pods. */
  readonly agentImage: string;
  readonly imagePullPolicy: string;
  readonly dnsCapture: boolean;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

export interface Self {
  readonly podName: string;
  readonly podIp: string;
  readonly nodeName: string;
  /** The root namespace of the mesh. */
  readonly namespace: string;
}

export const meshFile = "/etc/tombolo/mesh.json";

/** Settings, or every problem of the file at once. */
export type ReadSettings =
  | { readonly ok: true; readonly settings: ControlSettings }
  | { readonly ok: false; readonly problems: readonly string[] };

const levels = ["debug", "info", "warn", "error"] as const;

export function parseSettings(text: string): ReadSettings {
  let fields: Readonly<Record<string, unknown>>;
  try {
    // Each field is checked below.
    fields = JSON.parse(text) as typeof fields;
    if (typeof fields !== "object" || fields === null || Array.isArray(fields)) throw new Error("it is no JSON object");
  } catch (error) {
    const cause = errorText(error);
    return { ok: false, problems: [`The mesh settings cannot be read: ${cause}. Install the mesh again.`] };
  }
  const problems: string[] = [];
  const string = (key: string, fallback?: string): string => {
    const value = fields[key] ?? fallback;
    if (typeof value === "string" && (value !== "" || fallback === "")) return value;
    problems.push(`The mesh setting ${key} is missing or not a text. Set it in the install values.`);
    return "";
  };
  const flag = (key: string, fallback: boolean): boolean => {
    const value = fields[key] ?? fallback;
    if (typeof value === "boolean") return value;
    problems.push(`The mesh setting ${key} is ${JSON.stringify(value)}; give true or false.`);
    return fallback;
  };
  const level = levels.find((one) => one === (fields["logLevel"] ?? "info"));
  if (level === undefined) problems.push(`The mesh setting logLevel is not one of ${levels.join(", ")}.`);
  const settings: ControlSettings = {
    mesh: {
      cluster: string("cluster"),
      network: string("network", ""),
      trustDomain: string("trustDomain", defaultTrustDomain),
      clusterDomain: string("clusterDomain", clusterDomain),
      ipAutoallocate: flag("ipAutoallocate", true),
      skipTrustDomainCheck: flag("skipTrustDomainCheck", false),
    },
    agentImage: string("agentImage", "tombolo/agent:latest"),
    imagePullPolicy: string("imagePullPolicy", "IfNotPresent"),
    dnsCapture: flag("dnsCapture", true),
    logLevel: level ?? "info",
  };
  return problems.length === 0 ? { ok: true, settings } : { ok: false, problems };
}

export const selfOf = (env: Readonly<Record<string, string | undefined>>): Self => ({
  podName: env["POD_NAME"] ?? "tombolod",
  podIp: env["POD_IP"] ?? "127.0.0.1",
  nodeName: env["NODE_NAME"] ?? "",
  namespace: env["POD_NAMESPACE"] ?? systemNamespace,
});
