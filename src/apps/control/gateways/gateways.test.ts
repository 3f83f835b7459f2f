/** What an east-west Gateway becomes, and what it is told when it asks for what it cannot have. */
import { expect, test } from "vitest";
import { stringify } from "yaml";
import type { Service } from "../../../core/api/kube.ts";
import type { Gateway, GatewayListener } from "../../../core/api/mesh-kinds.ts";
import { fullText } from "../../../core/mesh/problem.ts";
import { KubeError } from "../../../io/kube/client.ts";
import { MemoryKubeClient } from "../../../io/kube/memory-client.ts";
import { builtin } from "../../../core/api/resources.ts";
import { parseSettings } from "../settings.ts";
import { ForeignObject, applyGateway } from "./apply.ts";
import { checkGateway } from "./check.ts";
import { gatewayManifests } from "./manifest.ts";
import { eastWestStatus, mergedStatus } from "./status.ts";

const read = parseSettings('{"cluster":"one","network":"net1","trustDomain":"one.local","agentImage":"hub/agent:9"}');
if (!read.ok) throw new Error(read.problems.join());
const { settings } = read;

const passthrough = { mode: "Passthrough" };
const gateway = (listeners: GatewayListener[] = seedListeners, more: Partial<Gateway["spec"]> = {}): Gateway => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: {
    name: "istio-eastwest",
    namespace: "istio-gateways",
    uid: "u1",
    generation: 2,
    labels: { "istio.io/expose-istiod": "15012", "topology.istio.io/network": "net1", team: "net" },
  },
  spec: { gatewayClassName: "istio-eastwest", listeners, ...more },
});
const seedListeners: GatewayListener[] = [
  { name: "cross-network", port: 15008, protocol: "HBONE", tls: passthrough },
  { name: "xds-tls", port: 15012, protocol: "TLS", tls: passthrough },
];

test("the objects of the Gateway of the guides", async () => {
  const documents = gatewayManifests(gateway(), settings).map(({ object }) => stringify(object));
  await expect(documents.join("---\n")).toMatchFileSnapshot("../../../../test/golden/control/east-west-gateway.yaml");
});

test("the number of replicas is never ours to say", () => {
  const deployment = gatewayManifests(gateway(), settings).find(({ object }) => object.kind === "Deployment");
  expect(deployment?.object["spec"]).not.toHaveProperty("replicas");
});

const messages = (asked: Gateway): Record<string, string | undefined> =>
  Object.fromEntries(
    checkGateway(asked).listeners.map(({ listener, fault }) => [listener.name, fault && fullText(fault)]),
  );

test("listeners that cannot be served say why, and the others are served", () => {
  const asked = gateway([
    ...seedListeners,
    { name: "web", port: 80, protocol: "HTTP" },
    { name: "ends", port: 15443, protocol: "TLS", tls: { mode: "Terminate" } },
    { name: "twice", port: 15008, protocol: "TLS", tls: passthrough },
    { name: "probe", port: 15021, protocol: "TLS", tls: passthrough },
  ]);
  expect(messages(asked)).toEqual({
    "cross-network": undefined,
    "xds-tls": undefined,
    web: "Listener web: an east-west gateway does not serve protocol HTTP. Use HBONE or TLS.",
    ends: "Listener ends: tls.mode is Terminate, but this gateway never decrypts. Set it to Passthrough.",
    twice: "Listener twice: port 15008 is taken by listener cross-network. Choose another port.",
    probe: "Listener probe: port 15021 is taken by the gateway's own readiness probe. Choose another port.",
  });
  const service = gatewayManifests(asked, settings).find(({ object }) => object.kind === "Service");
  expect(service?.object["spec"]).toMatchObject({ ports: [{ port: 15021 }, { port: 15008 }, { port: 15012 }] });
  const status = eastWestStatus(checkGateway(asked), { service: undefined, deployment: undefined }, []);
  expect(status.conditions[0]).toMatchObject({ type: "Accepted", status: "True", reason: "ListenersNotValid" });
});

test("the data listener of the older guides works on its own port", () => {
  const asked = gateway([{ name: "tls", port: 15443, protocol: "TLS", tls: passthrough }]);
  const service = gatewayManifests(asked, settings).find(({ object }) => object.kind === "Service");
  expect(service?.object["spec"]).toMatchObject({ ports: [{ port: 15021 }, { port: 15443, targetPort: 15008 }] });
});

test("an address that cannot be asked for refuses the Gateway with a way out", () => {
  const asked = gateway(seedListeners, { addresses: [{ type: "Hostname", value: "gw.example" }] });
  const [accepted] = eastWestStatus(checkGateway(asked), { service: undefined, deployment: undefined }, []).conditions;
  expect(accepted).toMatchObject({ status: "False", reason: "UnsupportedAddress" });
  const good = gateway(seedListeners, { addresses: [{ value: "192.0.2.7" }] });
  const service = gatewayManifests(good, settings).find(({ object }) => object.kind === "Service");
  expect(service?.object["spec"]).toMatchObject({ loadBalancerIP: "192.0.2.7" });
});

test("what the mesh model refuses is refused here too", () => {
  const said = [{ type: "Accepted", status: "False", reason: "NetworkMismatch", message: "wrong network" } as const];
  const status = eastWestStatus(checkGateway(gateway()), { service: undefined, deployment: undefined }, said);
  expect(status.conditions[0]).toEqual(said[0]);
});

test("a status that is as wanted is not written again, whatever the order of its fields", () => {
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "istio-eastwest", namespace: "istio-gateways" },
    spec: {},
    status: { loadBalancer: { ingress: [{ hostname: "lb.example" }] } },
  } satisfies Service;
  const wanted = eastWestStatus(checkGateway(gateway()), { service, deployment: undefined }, []);
  const first = mergedStatus(gateway(), wanted, ["Accepted", "Programmed"], "2026-01-01T00:00:00Z");
  expect(first?.addresses).toEqual([{ type: "Hostname", value: "lb.example" }]);
  const shuffled = JSON.parse(
    JSON.stringify(first, (_key, value: unknown) => sortedFields(value)),
  ) as Gateway["status"];
  const again = { ...gateway(), ...(shuffled && { status: shuffled }) };
  expect(mergedStatus(again, wanted, ["Accepted", "Programmed"], "2026-02-02T00:00:00Z")).toBeUndefined();
});

const sortedFields = (value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? 1 : -1)))
    : value;

test("an object of the same name that is somebody else's is left alone and named", async () => {
  const client = new MemoryKubeClient();
  const metadata = { name: "istio-eastwest", namespace: "istio-gateways" };
  await client.create(builtin.services, { apiVersion: "v1", kind: "Service", metadata, spec: {} });
  const existing = ({ type, object }: ReturnType<typeof gatewayManifests>[number]) =>
    client.get(type, object.metadata).catch((error: unknown) => {
      if (error instanceof KubeError && error.code === 404) return undefined;
      throw error;
    });
  const { signal } = new AbortController();
  const applied = applyGateway(client, gateway(), settings, existing, signal);
  await expect(applied).rejects.toThrow(/Service istio-gateways\/istio-eastwest exists already/);
  await expect(applied).rejects.toBeInstanceOf(ForeignObject);
  expect(client.all(builtin.services)[0]?.spec).toEqual({});
});
