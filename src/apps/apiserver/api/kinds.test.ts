/** What the API server itself does to pods, services and custom kinds. */
import { beforeEach, describe, expect, it } from "vitest";
import type { AnyObject } from "../../../core/api/kube.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { TestCluster } from "../testing/cluster.ts";
import { object, testCluster, types } from "../testing/cluster.ts";
import { at, fieldsOf, listOf } from "./json.ts";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});

const here = (name: string) => ({ name, namespace: "default" });

async function failure(work: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof KubeError)) throw new Error(`expected a refusal, got ${String(error)}`);
  return error;
}

async function pod(name: string, spec: object = {}, metadata: object = {}): Promise<AnyObject> {
  if (cluster.context.store.get("/serviceaccounts", "default/default") === undefined) {
    await cluster.client.create(types.serviceAccounts, object(types.serviceAccounts, "default"));
  }
  const body = object(types.pods, name, { metadata, spec: { containers: [{ name: "c", image: "i" }], ...spec } });
  return cluster.client.create(types.pods, body);
}

describe("pods", () => {
  it("get their service account, its token, tolerations and a first status", async () => {
    const made = await pod("p");
    const spec = fieldsOf(made["spec"]);
    expect(spec).toMatchObject({ serviceAccountName: "default", serviceAccount: "default" });
    const [volume] = listOf(spec["volumes"]).map(fieldsOf);
    expect(volume?.["name"]).toMatch(/^kube-api-access-.{5}$/);
    expect(fieldsOf(listOf(spec["containers"])[0])["volumeMounts"]).toEqual([
      { name: volume?.["name"], readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" },
    ]);
    expect(listOf(spec["tolerations"])).toHaveLength(2);
    expect(made["status"]).toMatchObject({ phase: "Pending", qosClass: "BestEffort" });
  });

  it("are refused without their service account", async () => {
    const error = await failure(pod("p", { serviceAccountName: "none" }));
    expect(error.message).toBe(
      'pods "p" is forbidden: error looking up service account default/none: serviceaccount "none" not found',
    );
  });

  it("are bound once", async () => {
    await pod("p");
    const binding = { target: { kind: "Node", name: "n1" } };
    await cluster.client.post(types.pods, here("p"), "binding", binding);
    expect(at(await cluster.client.get(types.pods, here("p")), "spec", "nodeName")).toBe("n1");
    const again = await failure(cluster.client.post(types.pods, here("p"), "binding", binding));
    expect(again.message).toContain('is already assigned to node "n1"');
  });

  it("take ephemeral containers only through their subresource", async () => {
    await pod("p", { nodeName: "n" });
    const body = { spec: { ephemeralContainers: [{ name: "debug", image: "busybox" }] } };
    const patch = { type: "strategic", body } as const;
    const live = await cluster.client.patch(types.pods, here("p"), patch, { subresource: "ephemeralcontainers" });
    expect(listOf(at(live, "spec", "ephemeralContainers"))).toMatchObject([{ name: "debug" }]);
    const none = { type: "merge", body: { spec: { ephemeralContainers: [] } } } as const;
    const error = await failure(
      cluster.client.patch(types.pods, here("p"), none, { subresource: "ephemeralcontainers" }),
    );
    expect(error.message).toContain("may not be removed");
  });
});

describe("services", () => {
  const service = (name: string, spec: object) =>
    object(types.services, name, { spec: { selector: { app: name }, ports: [{ port: 80 }], ...spec } });

  it("get an address that stays, and node ports when their type has them", async () => {
    const made = await cluster.client.create(types.services, service("s", { type: "NodePort" }));
    const address = at(made, "spec", "clusterIP");
    expect(address).toMatch(/^10\.96\.\d+\.\d+$/);
    const port = fieldsOf(listOf(at(made, "spec", "ports"))[0])["nodePort"];
    expect(port).toBeGreaterThanOrEqual(30_000);
    const live = await cluster.client.update(types.services, service("s", { type: "NodePort" }));
    expect(at(live, "spec", "clusterIP")).toBe(address);
    expect(fieldsOf(listOf(at(live, "spec", "ports"))[0])["nodePort"]).toBe(port);
    const error = await failure(cluster.client.update(types.services, service("s", { clusterIP: "10.96.9.9" })));
    expect(error.message).toContain("may not change once set");
  });

  it("refuse an address that is taken or outside of the range", async () => {
    await cluster.client.create(types.services, service("a", { clusterIP: "10.96.0.10" }));
    const taken = await failure(cluster.client.create(types.services, service("b", { clusterIP: "10.96.0.10" })));
    expect(taken.message).toContain("provided IP is already allocated");
    const outside = await failure(cluster.client.create(types.services, service("c", { clusterIP: "10.1.0.1" })));
    expect(outside.message).toContain("not in the valid range");
  });

  it("have no address when headless or external", async () => {
    const headless = await cluster.client.create(types.services, service("h", { clusterIP: "None" }));
    expect(at(headless, "spec", "clusterIPs")).toEqual(["None"]);
    const external = object(types.services, "e", { spec: { type: "ExternalName", externalName: "example.com" } });
    expect(at(await cluster.client.create(types.services, external), "spec", "clusterIP")).toBeUndefined();
  });
});

describe("custom kinds", () => {
  const definition = object(types.customResourceDefinitions, "widgets.example.com", {
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { kind: "Widget", plural: "widgets" },
      versions: ["v1", "v2"].map((name) => ({
        name,
        served: true,
        storage: name === "v1",
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: { type: "object", properties: { size: { type: "integer", default: 3 } } },
              status: { type: "object", properties: { phase: { type: "string" } } },
            },
          },
        },
      })),
    },
  });

  it("are served at once, in every version, with their defaults", async () => {
    await cluster.client.create(types.customResourceDefinitions, definition);
    const made = await cluster.client.create(
      types.widgets,
      object(types.widgets, "w", { spec: {}, status: { phase: "x" } }),
    );
    expect(made["spec"]).toEqual({ size: 3 });
    expect(made["status"]).toBeUndefined();
    const other = await cluster.client.get({ ...types.widgets, version: "v2" }, here("w"));
    expect(other.apiVersion).toBe("example.com/v2");
  });

  it("refuse strategic merge patch", async () => {
    await cluster.client.create(types.customResourceDefinitions, definition);
    await cluster.client.create(types.widgets, object(types.widgets, "w"));
    const error = await failure(cluster.client.patch(types.widgets, here("w"), { type: "strategic", body: {} }));
    expect(error.code).toBe(415);
  });

  it("take their objects with them", async () => {
    await cluster.client.create(types.customResourceDefinitions, definition);
    await cluster.client.create(types.widgets, object(types.widgets, "w", { metadata: { finalizers: ["a.b/c"] } }));
    await cluster.client.delete(types.customResourceDefinitions, { name: "widgets.example.com" });
    await cluster.host.settle();
    expect((await cluster.client.get(types.widgets, here("w"))).metadata.deletionTimestamp).toBeDefined();
    expect((await failure(cluster.client.create(types.widgets, object(types.widgets, "x")))).code).toBe(405);
    await cluster.client.patch(types.widgets, here("w"), { type: "merge", body: { metadata: { finalizers: null } } });
    await cluster.host.settle();
    expect((await failure(cluster.client.list(types.widgets))).code).toBe(404);
    expect(
      (await failure(cluster.client.get(types.customResourceDefinitions, { name: "widgets.example.com" }))).code,
    ).toBe(404);
  });
});

describe("evictions", () => {
  const running = async (name: string, isReady: boolean) => {
    await pod(name, { nodeName: "n1" }, { labels: { app: "web" } });
    const conditions = [{ type: "Ready", status: isReady ? "True" : "False" }];
    const body = { status: { phase: "Running", conditions } };
    await cluster.client.patch(types.pods, here(name), { type: "merge", body }, { subresource: "status" });
  };
  const evict = (name: string) => cluster.client.post(types.pods, here(name), "eviction", {});
  const budget = (spec: object) => cluster.client.create(types.budgets, object(types.budgets, "b", { spec }));

  it("stop where a budget says so, with its cause", async () => {
    await budget({ minAvailable: 2, selector: { matchLabels: { app: "web" } } });
    for (const name of ["a", "b"]) await running(name, true);
    const error = await failure(evict("a"));
    expect(error).toMatchObject({
      code: 429,
      reason: "TooManyRequests",
      details: { causes: [{ message: "The disruption budget b needs 2 healthy pods and has 2 currently" }] },
    });
    await running("c", true);
    await evict("a");
    expect(await cluster.client.get(types.pods, here("a"))).toHaveProperty("metadata.deletionTimestamp");
  });

  it("go on for pods that are not ready, and where no budget selects", async () => {
    await budget({ maxUnavailable: "50%", selector: { matchLabels: { app: "web" } } });
    for (const name of ["a", "b"]) await running(name, true);
    await running("sick", false);
    await evict("sick");
    await pod("alone", { nodeName: "n1" });
    await evict("alone");
  });
});

describe("kinds on which nothing acts", () => {
  it("say so to whoever writes them", async () => {
    const warnings: string[] = [];
    const options = { fieldManager: "test", dryRun: false, fieldValidation: "Strict" as const };
    const body = object(types.ingresses, "web", {
      spec: { defaultBackend: { service: { name: "web", port: { number: 80 } } } },
    });
    const warn = (text: string) => warnings.push(text);
    const asker = { username: "admin", groups: ["system:masters"] };
    await cluster.verbs.create(cluster.kind(types.ingresses), "default", body, { ...options, warn, asker });
    expect(warnings).toEqual([expect.stringContaining("nothing in this sandbox serves it")]);
  });
});
