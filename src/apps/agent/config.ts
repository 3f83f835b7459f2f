/** What an agent is told by its pod's environment; the manifests in apps/install and apps/control write it. */
import { defaultTrustDomain } from "../../core/api/names.ts";
import type { CniFolders } from "./cni/node-configuration.ts";

export interface AgentConfig {
  /** `node`: captures the pods of a node. `gateway`: runs the Envoy of one Gateway. */
  readonly mode: "node" | "gateway";
  readonly node: string;
  readonly nodeIp: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly cluster: string;
  readonly network: string;
  readonly trustDomain: string;
  /** Identities of any trust domain are believed that the mesh's root vouches for. */
  readonly skipTrustDomainCheck: boolean;
  /** host:port of the control plane. */
  readonly controlPlane: string;
  readonly captureDns: boolean;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  /** Where Envoy writes a line of JSON per connection; undefined for nowhere. */
  readonly accessLogPath: string | undefined;
  /** After SIGTERM a gateway serves the connections it has for so long at most. */
  readonly drainMs: number;
  readonly tokenPath: string;
  readonly rootCertPath: string;
  /** Folder for sockets and Envoy's files; on the node, so that it outlives the pod. */
  readonly stateDir: string;
  /** The node's CNI folders, as this container has them; undefined where pods are captured only after they have started. */
  readonly cni: CniFolders | undefined;
}

/** Of the process, whatever it runs as. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly programPath: string;
  /** Aborted when the program was asked to end. Envoy ends later, when what it carries has had its time. */
  readonly signal: AbortSignal;
}

type Environment = Readonly<Record<string, string | undefined>>;

const cniFolders = ({ CNI_CONF_DIR: configuration = "", CNI_BIN_DIR: programs = "" }: Environment) =>
  configuration === "" || programs === "" ? undefined : { configuration, programs };

const levels = ["debug", "info", "warn", "error"] as const;

/** Throws a sentence that names the variable when one is missing or wrong. */
export function readConfig(env: Environment): AgentConfig {
  const need = (name: string): string => {
    const value = env[name];
    if (value === undefined || value === "") {
      throw new Error(`Environment variable ${name} is not set; the agent's manifest sets it ('tombolo install').`);
    }
    return value;
  };
  const mode = env["TOMBOLO_MODE"] ?? "node";
  if (mode !== "node" && mode !== "gateway") {
    throw new Error(`Environment variable TOMBOLO_MODE is "${mode}"; it is "node" or "gateway".`);
  }
  return {
    mode,
    node: need("NODE_NAME"),
    nodeIp: mode === "node" ? need("NODE_IP") : "",
    podName: need("POD_NAME"),
    podNamespace: need("POD_NAMESPACE"),
    cluster: need("CLUSTER"),
    network: env["NETWORK"] ?? "",
    trustDomain: env["TRUST_DOMAIN"] ?? defaultTrustDomain,
    skipTrustDomainCheck: env["SKIP_VALIDATE_TRUST_DOMAIN"] === "true",
    controlPlane: need("CONTROL_PLANE"),
    captureDns: env["DNS_CAPTURE"] !== "false",
    logLevel: levels.find((level) => level === env["LOG_LEVEL"]) ?? "info",
    accessLogPath: env["ACCESS_LOG_FILE"] === "" ? undefined : env["ACCESS_LOG_FILE"],
    drainMs: Math.max(0, Number(env["DRAIN_SECONDS"] ?? "5") || 0) * 1000,
    tokenPath: env["TOKEN_PATH"] ?? "/var/run/secrets/tokens/token",
    rootCertPath: env["ROOT_CERT_PATH"] ?? "/var/run/secrets/istio/root-cert.pem",
    stateDir: env["STATE_DIR"] ?? "/run/tombolo",
    cni: cniFolders(env),
  };
}
