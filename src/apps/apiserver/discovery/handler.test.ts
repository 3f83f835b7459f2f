import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { Registry } from "../crd/registry.ts";
import { discoveryResponse, type RequestHeaders } from "./handler.ts";

const aggregated = (version: string): RequestHeaders => ({
  accept: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList,application/json`,
});

const ask = (registry: Registry, path: string, headers: RequestHeaders = {}) => {
  const response = discoveryResponse(registry, path, headers);
  if (response === undefined) throw new Error(`${path} was not answered`);
  const text = response.body.toString();
  return { ...response, json: (text === "" ? {} : JSON.parse(text)) as Record<string, unknown> };
};

const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList", shortNames: ["wd"] },
    versions: [
      { name: "v1beta1", served: true, storage: false, schema: { openAPIV3Schema: { type: "object" } } },
      { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } },
      { name: "v1alpha1", served: false, storage: false, schema: { openAPIV3Schema: { type: "object" } } },
    ],
  },
};

test("a client that knows the ETag gets 304 until a kind comes", () => {
  const registry = new Registry();
  const first = ask(registry, "/apis", aggregated("v2"));
  expect(first.status).toBe(200);
  expect(first.headers["Content-Type"]).toBe("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  expect(first.headers["Vary"]).toBe("Accept");
  const known = { ...aggregated("v2"), "if-none-match": first.headers["ETag"] };
  expect(ask(registry, "/apis", known)).toMatchObject({ status: 304, headers: { ETag: first.headers["ETag"] } });
  registry.put(definition, "2026-01-01T00:00:00Z");
  const second = ask(registry, "/apis", known);
  expect(second.status).toBe(200);
  expect(second.headers["ETag"]).not.toBe(first.headers["ETag"]);
  expect(second.json["items"]).toContainEqual({
    metadata: { name: "example.com", creationTimestamp: null },
    versions: [
      expect.objectContaining({ version: "v1", freshness: "Current" }) as unknown,
      expect.objectContaining({ version: "v1beta1" }) as unknown,
    ],
  });
});

test("clients of every age find their form of discovery", () => {
  const registry = new Registry();
  expect(ask(registry, "/api", aggregated("v2")).json).toMatchObject({ apiVersion: "apidiscovery.k8s.io/v2" });
  expect(ask(registry, "/api", aggregated("v2beta1")).json).toMatchObject({
    apiVersion: "apidiscovery.k8s.io/v2beta1",
  });
  expect(ask(registry, "/api", { accept: "application/json" }).json).toMatchObject({ kind: "APIVersions" });
  expect(ask(registry, "/apis").json).toMatchObject({ kind: "APIGroupList" });
  expect(ask(registry, "/apis/apps").json).toMatchObject({ kind: "APIGroup", name: "apps" });
  const list = ask(registry, "/apis/apps/v1").json;
  expect(list["resources"]).toContainEqual({
    name: "deployments/scale",
    singularName: "",
    namespaced: true,
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
    verbs: ["get", "patch", "update"],
  });
});

test("pods say what their streams are", () => {
  const { json } = ask(new Registry(), "/api", aggregated("v2"));
  expect(JSON.stringify(json)).toContain(
    '{"subresource":"exec","responseKind":{"group":"","version":"v1","kind":"PodExecOptions"},"verbs":["create","get"]}',
  );
});

test("paths of others are left to them", () => {
  const registry = new Registry();
  for (const path of ["/", "/api/v1/pods", "/apis/apps/v1/deployments", "/apis/nope", "/apis/apps/v9", "/healthz"]) {
    expect(discoveryResponse(registry, path, {}), path).toBeUndefined();
  }
});

test("every kind that can be patched says that the server validates and can run dry", () => {
  const registry = new Registry();
  registry.put(definition, "2026-01-01T00:00:00Z");
  const index = ask(registry, "/openapi/v3").json["paths"] as Record<string, { serverRelativeURL: string }>;
  interface Operation {
    readonly parameters: readonly { readonly name: string }[];
    readonly "x-kubernetes-group-version-kind": { readonly kind: string };
  }
  const patched = Object.values(index).flatMap(({ serverRelativeURL }) => {
    const paths = ask(registry, serverRelativeURL).json["paths"] as Record<string, { patch?: Operation }>;
    return Object.values(paths).flatMap(({ patch }) => (patch === undefined ? [] : [patch]));
  });
  const names = patched.map((operation) => operation["x-kubernetes-group-version-kind"].kind);
  expect(names).toEqual(expect.arrayContaining(["Pod", "Deployment", "Widget", "CustomResourceDefinition"]));
  for (const operation of patched) {
    const parameters = operation.parameters.map(({ name }) => name);
    expect(parameters).toEqual(expect.arrayContaining(["dryRun", "fieldValidation"]));
  }
});

test("every reference of a document leads to a schema in it, and shared types appear once", () => {
  const registry = new Registry();
  const index = ask(registry, "/openapi/v3").json["paths"] as Record<string, unknown>;
  for (const path of Object.keys(index)) {
    const { json, body } = ask(registry, `/openapi/v3/${path}`);
    const schemas = Object.keys((json["components"] as { schemas: object }).schemas);
    const wanted = [...body.toString().matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name);
    expect(wanted.filter((name) => name === undefined || !schemas.includes(name))).toEqual([]);
    expect(body.toString()).not.toContain("x-tombolo");
  }
  const apps = ask(registry, "/openapi/v3/apis/apps/v1").json["components"] as { schemas: Record<string, unknown> };
  expect(Object.keys(apps.schemas).filter((name) => name.includes("PodSpec"))).toEqual(["tombolo.apps.v1.PodSpec"]);
});

test("lists keep their merge keys in the document, for three-way merges in the client", () => {
  const { json } = ask(new Registry(), "/openapi/v3/api/v1");
  const { schemas } = json["components"] as { schemas: Record<string, { properties: Record<string, unknown> }> };
  expect(schemas["tombolo.core.v1.PodSpec"]?.properties["containers"]).toMatchObject({
    type: "array",
    items: { $ref: "#/components/schemas/tombolo.core.v1.Container" },
    "x-kubernetes-list-map-keys": ["name"],
    "x-kubernetes-patch-merge-key": "name",
    "x-kubernetes-patch-strategy": "merge",
  });
});

test("a large document is compressed for those who take it", () => {
  const registry = new Registry();
  const properties = Object.fromEntries(
    Array.from({ length: 3_000 }, (_, index) => [
      `field${index}`,
      { type: "string", description: "one of many fields" },
    ]),
  );
  const version = {
    name: "v1",
    served: true,
    storage: true,
    schema: { openAPIV3Schema: { type: "object", properties } },
  };
  registry.put({ ...definition, spec: { ...definition.spec, versions: [version] } }, "2026-01-01T00:00:00Z");
  const plain = ask(registry, "/openapi/v3/apis/example.com/v1");
  const packed = discoveryResponse(registry, "/openapi/v3/apis/example.com/v1", { "accept-encoding": "gzip" });
  expect(packed?.headers["Content-Encoding"]).toBe("gzip");
  expect(packed === undefined ? undefined : gunzipSync(packed.body)).toEqual(plain.body);
  expect(plain.headers["Content-Encoding"]).toBeUndefined();
});

test("OpenAPI v2 is there without a type: kubectl asks for it before it sends a list of objects", () => {
  const registry = new Registry();
  const type = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
  const asProtobuf = discoveryResponse(registry, "/openapi/v2", { accept: type });
  expect(asProtobuf).toMatchObject({ status: 200, headers: { "Content-Type": type.replace("@", ".") } });
  // Field 1, three bytes: the version of the format.
  expect(asProtobuf?.body.subarray(0, 5).toString("latin1")).toBe("\n\u00032.0");
  expect(ask(registry, "/openapi/v2").json).toMatchObject({ swagger: "2.0", paths: {}, definitions: {} });
});
