/** `tombolo multicluster expose`: makes the east-west Gateway of a cluster (spec.md 1.12). */
import { stringify } from "yaml";
import { builtin } from "../../../core/api/resources.ts";
import { meshKinds, type Gateway } from "../../../core/api/mesh-kinds.ts";
import { isReason, type KubeClient } from "../../../io/kube/client.ts";
import { type Command, CommandError, contextFlag, type Shell } from "../command.ts";
import { meshOf } from "../multicluster/cluster.ts";
import { eastWestGateway } from "../multicluster/gateways.ts";

export const defaultGatewayNamespace = "istio-gateways";
const fieldManager = "tombolo-cli";

export const gatewayNamespaceFlag = {
  type: "string",
  short: "n",
  value: "NAME",
  description: `namespace of the gateways (default: ${defaultGatewayNamespace})`,
} as const;

export async function ensureNamespace(shell: Shell, client: KubeClient, name: string): Promise<void> {
  try {
    await client.create(builtin.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    shell.note(`Namespace ${name} created`);
  } catch (error) {
    if (!isReason(error, "AlreadyExists")) throw error;
  }
}

export async function applyGateway(shell: Shell, client: KubeClient, gateway: Gateway): Promise<void> {
  const { name, namespace } = gateway.metadata;
  const patch = { type: "apply", body: gateway, force: true } as const;
  await client.patch(meshKinds.gateways, { name, namespace }, patch, { fieldManager, signal: shell.signal });
  shell.out(`Gateway ${namespace}/${name} applied\n`);
}

const waitMsMax = 120_000;

async function programmed(shell: Shell, client: KubeClient, gateway: Gateway): Promise<void> {
  const { name, namespace } = gateway.metadata;
  const end = shell.host.clock.now() + waitMsMax;
  for (;;) {
    const { status } = await client.get(meshKinds.gateways, { name, namespace }, { signal: shell.signal });
    const condition = status?.conditions?.find((one) => one.type === "Programmed");
    if (condition?.status === "True") return;
    if (shell.host.clock.now() > end) {
      throw new CommandError(
        `Gateway ${namespace}/${name} was not programmed within ${waitMsMax / 1000} s: ${condition?.message ?? "no status yet"}.`,
        `See 'kubectl -n ${namespace} describe gateway ${name}'.`,
      );
    }
    await shell.host.clock.sleep(200, shell.signal);
  }
}

export const expose: Command = {
  path: ["multicluster", "expose"],
  summary: "Make the east-west gateway through which peers reach this cluster",
  flags: {
    context: contextFlag,
    namespace: gatewayNamespaceFlag,
    generate: { type: "boolean", description: "print the Gateway as YAML instead of applying it" },
    wait: { type: "boolean", description: "wait until the gateway is programmed and has an address" },
  },
  examples: [
    "tombolo multicluster expose --context cluster1 --namespace istio-gateways",
    "tombolo multicluster expose --generate | kubectl apply -f -",
  ],
  async run(shell, flags) {
    const connection = await shell.connect(flags.text("context"));
    const mesh = await meshOf(connection, shell.signal);
    if (mesh.network === "") {
      throw new CommandError(
        `Context ${mesh.context}: the cluster has no network name.`,
        "Label it: 'kubectl label namespace istio-system topology.istio.io/network=<network>', or install with global.network.",
      );
    }
    const gateway = eastWestGateway(flags.text("namespace") ?? defaultGatewayNamespace, mesh.network);
    if (flags.isSet("generate")) {
      shell.out(stringify(gateway, { singleQuote: false }));
      return 0;
    }
    await ensureNamespace(shell, mesh.client, gateway.metadata.namespace ?? defaultGatewayNamespace);
    await applyGateway(shell, mesh.client, gateway);
    if (flags.isSet("wait")) await programmed(shell, mesh.client, gateway);
    return 0;
  },
};
