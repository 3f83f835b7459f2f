/** Server-side apply: who owns what, who conflicts with whom, and what goes when it is no longer applied (A30-A36). */
import { beforeEach, describe, expect, it } from "vitest";
import type { AnyObject } from "../../../core/api/kube.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { TestCluster } from "../testing/cluster.ts";
import { deployment, object, testCluster, types } from "../testing/cluster.ts";
import { at, fieldsOf, listOf } from "./json.ts";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});

const ref = { name: "d", namespace: "default" };
const apply = (manager: string, body: AnyObject, force = false) =>
  cluster.as(manager).patch(types.deployments, ref, { type: "apply", body, force });
const container = (live: AnyObject) => fieldsOf(listOf(at(live, "spec", "template", "spec", "containers"))[0]);

const managersOf = (live: AnyObject): Record<string, unknown> =>
  Object.fromEntries(
    listOf(live.metadata.managedFields).map((entry) => {
      const { manager, operation, subresource, fieldsV1 } = fieldsOf(entry);
      const suffix = typeof subresource === "string" ? `/${subresource}` : "";
      return [`${String(manager)} ${String(operation)}${suffix}`, fieldsV1];
    }),
  );

async function failure(work: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof KubeError)) throw new Error(`expected a refusal, got ${String(error)}`);
  return error;
}

describe("server-side apply", () => {
  it("creates what is missing and owns only what was applied", async () => {
    const live = await apply("alice", deployment("d"));
    expect(at(live, "spec", "replicas")).toBe(1);
    expect(managersOf(live)).toEqual({
      "alice Apply": {
        "f:spec": {
          "f:selector": {},
          "f:template": {
            "f:metadata": { "f:labels": { "f:app": {} } },
            "f:spec": {
              "f:containers": {
                'k:{"name":"c"}': {
                  ".": {},
                  "f:name": {},
                  "f:image": {},
                  "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
                },
              },
            },
          },
        },
      },
    });
  });

  it("does not write when the same is applied again", async () => {
    const first = await apply("alice", deployment("d"));
    await cluster.host.advance(5_000);
    const second = await apply("alice", deployment("d"));
    expect(second).toEqual(first);
  });

  it("refuses to change another's field, in the words that kubectl shows", async () => {
    await apply("alice", deployment("d"));
    const error = await failure(apply("bob", deployment("d", "nginx")));
    expect(error.code).toBe(409);
    expect(error.message).toBe(
      'Apply failed with 1 conflict: conflict with "alice": .spec.template.spec.containers[name="c"].image',
    );
    expect(error.details).toEqual({
      causes: [
        {
          reason: "FieldManagerConflict",
          message: 'conflict with "alice"',
          field: '.spec.template.spec.containers[name="c"].image',
        },
      ],
    });
  });

  it("names the version of managers that update", async () => {
    await cluster.as("kubectl-create").create(types.deployments, deployment("d"));
    const error = await failure(apply("bob", deployment("d", "nginx", { replicas: 4 })));
    expect(error.message).toBe(
      'Apply failed with 2 conflicts: conflict with "kubectl-create" using apps/v1:\n' +
        '- .spec.replicas\n- .spec.template.spec.containers[name="c"].image',
    );
  });

  it("takes the field away from others when forced", async () => {
    await apply("alice", deployment("d"));
    const live = await apply("bob", deployment("d", "nginx"), true);
    expect(container(live)["image"]).toBe("nginx");
    expect(JSON.stringify(managersOf(live)["alice Apply"])).not.toContain("f:image");
    expect(JSON.stringify(managersOf(live)["bob Apply"])).toContain("f:image");
  });

  it("shares a field when two apply the same value, and keeps it until both let go", async () => {
    await apply("alice", deployment("d", "httpd", { replicas: 3 }));
    await apply("bob", deployment("d", "httpd", { replicas: 3 }));
    const kept = await apply("alice", deployment("d"));
    expect(at(kept, "spec", "replicas")).toBe(3);
    const gone = await apply("bob", deployment("d"));
    expect(at(gone, "spec", "replicas")).toBe(1);
  });

  it("removes a list item that nobody else owns, and leaves the others", async () => {
    const withTwo = deployment("d");
    const spec = fieldsOf(at(withTwo, "spec", "template", "spec"));
    spec["containers"] = [...listOf(spec["containers"]), { name: "side", image: "busybox" }];
    const two = await apply("alice", withTwo);
    expect(listOf(at(two, "spec", "template", "spec", "containers"))).toHaveLength(2);
    const one = await apply("alice", deployment("d"));
    expect(listOf(at(one, "spec", "template", "spec", "containers")).map((item) => fieldsOf(item)["name"])).toEqual([
      "c",
    ]);
  });

  it("removes a label that only this manager set, with the map when it becomes empty", async () => {
    const labelled = deployment("d");
    labelled.metadata.labels = { a: "b" };
    await apply("alice", labelled);
    await cluster.client.patch(types.deployments, ref, { type: "merge", body: { metadata: { labels: { x: "y" } } } });
    const live = await apply("alice", deployment("d"));
    expect(live.metadata.labels).toEqual({ x: "y" });
  });

  it("refuses a field that the kind does not have", async () => {
    const error = await failure(apply("alice", deployment("d", "httpd", { replica: 3 })));
    expect(error.message).toContain('field not declared in schema: "spec.replica"');
  });

  it("keeps status and the rest apart", async () => {
    await apply("alice", deployment("d"));
    const status = { observedGeneration: 1, replicas: 1 };
    const live = await cluster
      .as("controller")
      .patch(
        types.deployments,
        ref,
        { type: "merge", body: { status, spec: { replicas: 9 } } },
        { subresource: "status" },
      );
    expect(at(live, "spec", "replicas")).toBe(1);
    expect(managersOf(live)["controller Update/status"]).toEqual({
      "f:status": { "f:observedGeneration": {}, "f:replicas": {} },
    });
  });
});

describe("ownership by updates", () => {
  it("moves a field to who changed it last", async () => {
    await cluster.as("creator").create(types.configMaps, object(types.configMaps, "d", { data: { a: "1", b: "2" } }));
    const live = await cluster
      .as("editor")
      .patch(types.configMaps, ref, { type: "merge", body: { data: { a: "3", b: null } } });
    expect(managersOf(live)).toEqual({
      "creator Update": { "f:data": {} },
      "editor Update": { "f:data": { "f:a": {} } },
    });
  });

  it("begins anew when a write empties managedFields", async () => {
    await cluster.as("creator").create(types.configMaps, object(types.configMaps, "d", { data: { a: "1" } }));
    const live = await cluster.as("editor").patch(types.configMaps, ref, {
      type: "json",
      body: [{ op: "replace", path: "/metadata/managedFields", value: [{}] }],
    });
    expect(live.metadata.managedFields).toBeUndefined();
  });

  it("takes managedFields from a JSON patch, as kubectl's migration writes them", async () => {
    const made = await cluster.as("kubectl-client-side-apply").create(types.deployments, deployment("d"));
    const [entry] = listOf(made.metadata.managedFields);
    const migrated = { ...fieldsOf(entry), manager: "kubectl", operation: "Apply" };
    const live = await cluster.client.patch(types.deployments, ref, {
      type: "json",
      body: [{ op: "replace", path: "/metadata/managedFields", value: [migrated] }],
    });
    expect(Object.keys(managersOf(live))).toEqual(["kubectl Apply"]);
    await expect(apply("kubectl", deployment("d", "nginx"))).resolves.toBeDefined();
  });
});
