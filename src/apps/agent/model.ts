/** Keeps the agent's replica of the model up to date over the model stream; what is malformed is refused, never used. */
import { decodeAddress, decodePolicy } from "../../core/proto/codec.ts";
import { typeUrl } from "../../core/proto/wire.ts";
import type { MeshReplica } from "../../core/mesh/replica.ts";
import type { Host } from "../../io/host/host.ts";
import { DeltaClient, type DeltaUpdate, type ReceivedResource } from "../../io/xds/delta-client.ts";
import type { AgentConfig } from "./config.ts";
import { keptService, keptWorkload } from "./kept-rows.ts";
import type { OpenStream } from "../../io/xds/transport.ts";
import { channelOptions, controlPlaneCredentials, token as readToken } from "./control-plane.ts";

/** Names of services hold one slash and no other mark; uids of workloads hold at least two. */
function remove(replica: MeshReplica, name: string): void {
  if (replica.workload(name) !== undefined) replica.removeWorkload(name);
  else replica.removeService(name);
}

function take({ name, bytes }: ReceivedResource, type: string, replica: MeshReplica): string | undefined {
  if (type === typeUrl.authorization) {
    const policy = decodePolicy(bytes);
    if (!policy.ok) return policy.problem;
    replica.setPolicy(policy.value);
    return undefined;
  }
  const row = decodeAddress(bytes);
  if (!row.ok) return row.problem;
  if (row.value.kind === "workload") replica.setWorkload(keptWorkload(name, row.value.workload));
  else replica.setService(keptService(row.value.service));
  return undefined;
}

/** The good rows of an update are taken; the bad ones are named in the error, which becomes a NACK. */
export function applyUpdate(replica: MeshReplica, update: DeltaUpdate): void {
  const problems: string[] = [];
  replica.batch(() => {
    for (const resource of update.upserts) {
      const problem = take(resource, update.typeUrl, replica);
      if (problem !== undefined) problems.push(problem);
    }
    for (const name of update.removals) {
      if (update.typeUrl === typeUrl.authorization) replica.removePolicy(name);
      else remove(replica, name);
    }
  });
  if (problems.length > 0) throw new Error(problems.slice(0, 5).join(" "));
}

export interface ModelClientOptions {
  /** Told each time the control plane answers again. */
  readonly connected?: () => void;
  /** Over gRPC when absent. */
  readonly open?: OpenStream;
  /** The service-account token; read from its file when absent. */
  readonly token?: () => string;
}

export function modelClient(
  host: Host,
  config: AgentConfig,
  replica: MeshReplica,
  options: ModelClientOptions = {},
): DeltaClient {
  const { connected = () => undefined, open, token = () => readToken(config) } = options;
  return new DeltaClient(host, {
    target: () => config.controlPlane,
    credentials: () => controlPlaneCredentials(config),
    metadata: () => ({ authorization: `Bearer ${token()}` }),
    channelOptions,
    open,
    node: { id: `${config.mode}~${config.podNamespace}/${config.podName}~${config.node}`, cluster: config.cluster },
    // Policies first: no address is served under rules that have not arrived.
    subscriptions: [{ typeUrl: typeUrl.authorization }, { typeUrl: typeUrl.address }],
    received: (update) => applyUpdate(replica, update),
    connection: ({ isConnected, cause }) => {
      host.log.info("model.connection", { isConnected, cause });
      if (isConnected) connected();
    },
  });
}
