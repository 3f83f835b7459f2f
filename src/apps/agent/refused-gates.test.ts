/** What stands on a pod whose rules Envoy refused, and when it goes. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { annotation } from "../../core/api/names.ts";
import { builtin } from "../../core/api/resources.ts";
import type { LocalPod } from "../../core/envoy/view.ts";
import { parseRefusedGate } from "../../core/mesh/refusals.ts";
import { virtualHost } from "../../io/host/virtual-host.ts";
import { KubeError } from "../../io/kube/client.ts";
import { MemoryKubeClient } from "../../io/kube/memory-client.ts";
import { RefusedGates } from "./refused-gates.ts";

const pod: LocalPod = {
  uid: "u1",
  namespace: "shop",
  name: "web",
  serviceAccount: "web",
  identity: "spiffe://cluster.local/ns/shop/sa/web",
  ip: "10.0.0.1",
  netnsPath: "/run/netns/web",
  isDraining: false,
};

let host = virtualHost();
let client = new MemoryKubeClient();
let stop = new AbortController();
beforeEach(async () => {
  host = virtualHost();
  client = new MemoryKubeClient();
  stop = new AbortController();
  const metadata = { name: "web", namespace: "shop", annotations: { "example.com/other": "1" } };
  await client.create(builtin.pods, { apiVersion: "v1", kind: "Pod", metadata, spec: { containers: [] } });
});
afterEach(() => stop.abort(new Error("the test ended")));

const annotations = () => client.all(builtin.pods)[0]?.metadata.annotations ?? {};
const gates = (saidOn?: string) =>
  new RefusedGates(host, client, {
    podsByUid: new Map([[pod.uid, pod]]),
    policiesOf: () => ["istio-system/all", "shop/web"],
    saidOn: () => saidOn,
    signal: stop.signal,
  });

test("a refusal stands on the pod with its policies and Envoy's words until the gate is accepted", async () => {
  const refused = gates();
  refused.closed("p|u1", "no such thing");
  await host.advance(1_000);
  expect(parseRefusedGate(annotations()[annotation.refusedPolicies] ?? "")).toEqual({
    policies: ["istio-system/all", "shop/web"],
    message: "no such thing",
  });
  const writes = client.calls.length;
  refused.closed("p|u1", "no such thing");
  await host.advance(60_000);
  expect(client.calls).toHaveLength(writes);
  refused.accepted("p|u1");
  await host.advance(1_000);
  expect(annotations()).toEqual({ "example.com/other": "1" });
});

test("gates that were never refused cost no write; what an earlier agent left is taken back", async () => {
  const before = client.calls.length;
  gates().accepted("p|u1");
  gates().closed("p|unknown", "no");
  await host.advance(1_000);
  expect(client.calls).toHaveLength(before);
  gates("{}").accepted("p|u1");
  await host.advance(1_000);
  expect(client.calls).toHaveLength(before + 1);
});

test("while the API is away the newest word waits, and is written once", async () => {
  let isAway = true;
  client.fault = ({ verb }) => (verb === "patch" && isAway ? new KubeError(503, "ServiceUnavailable", "") : undefined);
  const refused = gates();
  refused.closed("p|u1", "first");
  await host.advance(5_000);
  refused.closed("p|u1", "second");
  await host.advance(120_000);
  expect(client.calls.filter(({ verb }) => verb === "patch").length).toBeLessThan(20);
  isAway = false;
  await host.advance(60_000);
  expect(annotations()[annotation.refusedPolicies]).toContain("second");
});
