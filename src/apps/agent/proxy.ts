/** One Envoy with its ADS server, bootstrap and admin: what the node's agent and a gateway's agent have in common. */
import { rmSync } from "node:fs";
import { bootstrap } from "../../core/envoy/bootstrap.ts";
import type { ResourceSet } from "../../core/envoy/resource-set.ts";
import { joinPath, makeDirectory, parentPath, writeAtomically } from "../../io/host/files.ts";
import type { Host } from "../../io/host/host.ts";
import { type EnvoySource, serveEnvoy } from "../../io/xds/envoy-source.ts";
import { EnvoySchema } from "../../io/xds/schema.ts";
import type { AgentConfig } from "./config.ts";
import { EnvoyAdmin } from "./envoy/admin.ts";
import { evictIdle } from "./envoy/idle-clusters.ts";
import { findEnvoy, runEnvoy } from "./envoy/process.ts";

const concurrency = 2;
/** Unix socket paths end at 107 bytes. */
const socketPathMax = 107;

export interface Proxy {
  readonly source: EnvoySource;
  readonly admin: EnvoyAdmin;
  /** Envoy has taken, or refused, everything that it was given. */
  isCurrent(): boolean;
  /** Resolves when Envoy has ended after the signal. */
  readonly running: Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The schema lies beside the programs in an image, and in a checkout's cache. */
function loadSchema(env: Environment, programPath: string): EnvoySchema {
  const checkout = joinPath(parentPath(parentPath(programPath)), ".cache", "envoy.fds");
  return EnvoySchema.load(env["TOMBOLO_ENVOY_SCHEMA"] ?? checkout);
}

function socketPath(folder: string, name: string): string {
  const path = joinPath(folder, name);
  if (Buffer.byteLength(path) > socketPathMax) throw new Error(`${path} is too long for a unix socket; set STATE_DIR.`);
  rmSync(path, { force: true });
  return path;
}

export interface ProxyOptions {
  readonly config: AgentConfig;
  /** Folder of this Envoy's sockets and bootstrap. */
  readonly folder: string;
  readonly resources: ResourceSet;
  readonly env: Environment;
  readonly programPath: string;
  readonly signal: AbortSignal;
}

export async function startProxy(host: Host, options: ProxyOptions): Promise<Proxy> {
  const { config, folder, resources, signal } = options;
  await makeDirectory(folder, 0o700);
  const xdsSocketPath = socketPath(folder, "xds.sock");
  const adminPath = socketPath(folder, "admin.sock");
  const server = await serveEnvoy(host, loadSchema(options.env, options.programPath), {
    socketPath: xdsSocketPath,
    resources,
    rejected: ({ typeUrl, names, message }) =>
      host.log.warn("envoy.rejected", { type: typeUrl.split(".").at(-1), names: names.slice(0, 5).join(" "), message }),
  });
  const bootstrapPath = joinPath(folder, "envoy.json");
  const nodeId = `${config.mode}~${config.podNamespace}/${config.podName}~${config.cluster}`;
  const json = bootstrap({ nodeId, cluster: config.cluster, xdsSocketPath, admin: adminPath });
  await writeAtomically(bootstrapPath, JSON.stringify(json), 0o600);
  const binary = findEnvoy(options.env, options.programPath);
  const envoy = { binary, configPath: bootstrapPath, concurrency, logLevel: "warning" };
  const running = runEnvoy(host, envoy, signal).finally(() => server.close());
  const admin = new EnvoyAdmin(adminPath);
  void evictIdle(host, { source: server.source, admin, signal });
  const isCurrent = () => server.streams.streamCount > 0 && server.streams.isAnswered;
  return { source: server.source, admin, isCurrent, running };
}
