import { describe, expect, test } from "vitest";
import type { AnyObject } from "../../../core/api/kube.ts";
import { checkDefinition } from "./definition.ts";
import { parseJsonPath, readJsonPath } from "./json-path.ts";
import { compareVersions, Registry } from "./registry.ts";
import { definitionOf, kindOf, now, texts, widget } from "./widgets.fixture.ts";

describe("a definition in a group of Kubernetes itself", () => {
  const causesWith = (group: string, annotations: Record<string, string> = {}, old?: AnyObject) => {
    const definition = definitionOf({ type: "object" });
    const object = {
      ...definition,
      metadata: { name: `widgets.${group}`, annotations },
      spec: { ...(definition["spec"] as object), group },
    };
    return checkDefinition(object, old).filter(({ field }) => field.startsWith("metadata.annotations"));
  };
  const approval = (value: string) => ({ "api-approved.kubernetes.io": value });

  test("needs an approval or the word that it has none, once, when it is made", () => {
    expect(causesWith("gateway.networking.k8s.io")).toMatchObject([{ reason: "FieldValueRequired" }]);
    expect(causesWith("x.kubernetes.io", approval("trust me"))).toMatchObject([{ reason: "FieldValueInvalid" }]);
    expect(causesWith("x.k8s.io", approval("https://example.com/pull/1"))).toEqual([]);
    expect(causesWith("x.k8s.io", approval("unapproved, a test"))).toEqual([]);
    expect(causesWith("networking.istio.io")).toEqual([]);
    expect(causesWith("x.k8s.io", undefined, definitionOf({ type: "object" }))).toEqual([]);
  });
});

describe("pruning and defaults of a custom kind", () => {
  const kind = kindOf(
    definitionOf({
      type: "object",
      properties: {
        mode: { type: "string", default: "auto" },
        free: {
          type: "object",
          "x-kubernetes-preserve-unknown-fields": true,
          properties: { known: { type: "object" } },
        },
        pod: { type: "object", "x-kubernetes-embedded-resource": true, properties: { spec: { type: "object" } } },
        labels: { type: "object", additionalProperties: { type: "string" } },
        ports: {
          type: "array",
          items: {
            type: "object",
            properties: { port: { type: "integer" }, name: { type: "string", default: "http" } },
          },
        },
        size: { "x-kubernetes-int-or-string": true },
      },
    }),
  );

  test("unknown fields go, also in lists; what the schema keeps open stays", () => {
    const object = widget({
      extra: 1,
      free: { anything: 1, known: { gone: 1 } },
      pod: { apiVersion: "v1", kind: "Pod", metadata: { name: "x", odd: 1 }, spec: { odd: 1 } },
      labels: { any: "thing" },
      ports: [{ port: 1, odd: 2 }],
    });
    expect([...kind.prune(object)].sort()).toEqual([
      "spec.extra",
      "spec.free.known.gone",
      "spec.pod.metadata.odd",
      "spec.pod.spec.odd",
      "spec.ports[0].odd",
    ]);
    expect(object["spec"]).toMatchObject({ free: { anything: 1, known: {} }, labels: { any: "thing" } });
  });

  test("defaults reach into lists and the status, count a null as absent, and change nothing the second time", () => {
    const object = widget({ mode: null, ports: [{ port: 1 }] });
    kind.fillDefaults(object, undefined);
    expect(object).toMatchObject({ spec: { mode: "auto", ports: [{ name: "http" }] }, status: { phase: "Unknown" } });
    const again = structuredClone(object);
    kind.fillDefaults(again, object);
    expect(again).toEqual(object);
  });

  test("an integer or a string may stand where both are allowed", () => {
    expect(texts(kind, widget({ size: 1 }))).toEqual([]);
    expect(texts(kind, widget({ size: "50%" }))).toEqual([]);
    expect(texts(kind, widget({ size: true }))).toHaveLength(1);
  });
});

describe("validation of a custom kind", () => {
  const kind = kindOf(
    definitionOf({
      type: "object",
      required: ["host"],
      properties: {
        host: { type: "string", maxLength: 5, pattern: "^[a-z]+$" },
        mode: { type: "string", enum: ["A", "B"] },
        port: { type: "integer", minimum: 1, maximum: 10 },
        names: { type: "array", maxItems: 2, items: { type: "string" }, "x-kubernetes-list-type": "set" },
        choice: {
          type: "object",
          oneOf: [{ required: ["a"] }, { required: ["b"] }],
          properties: { a: { type: "string" }, b: { type: "string" } },
        },
      },
    }),
  );

  test.each([
    [{}, "spec.host: Required value"],
    [{ host: 1 }, 'spec.host: Invalid value: "integer": spec.host in body must be of type string: "integer"'],
    [{ host: "abcdef" }, "spec.host: Too long: may not be more than 5 bytes"],
    [{ host: "A" }, `spec.host: Invalid value: "A": spec.host in body should match '^[a-z]+$'`],
    [{ host: "a", mode: "C" }, 'spec.mode: Unsupported value: "C": supported values: "A", "B"'],
    [{ host: "a", port: 0 }, "spec.port: Invalid value: 0: spec.port in body should be greater than or equal to 1"],
    [{ host: "a", names: ["x", "y", "z"] }, "spec.names: Too many: 3: must have at most 2 items"],
    [{ host: "a", names: ["x", "x"] }, 'spec.names[1]: Duplicate value: "x"'],
    [
      { host: "a", choice: { a: "1", b: "2" } },
      'spec.choice: Invalid value: "": "spec.choice" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
  ])("%j is refused", (spec, message) => {
    expect(texts(kind, widget(spec))).toEqual([message]);
  });

  test("what was wrong before does not stand in the way of other changes", () => {
    const old = widget({ host: "ABC", port: 1 });
    expect(texts(kind, widget({ host: "ABC", port: 2 }), old)).toEqual([]);
    expect(texts(kind, widget({ host: "ABCD", port: 2 }), old)).toHaveLength(1);
  });
});

describe("printer columns", () => {
  const columns = [
    { name: "Hosts", type: "string", jsonPath: ".spec.hosts" },
    { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
    { name: "Count", type: "integer", jsonPath: ".spec.count", priority: 1 },
    { name: "Seen", type: "date", jsonPath: ".spec.seen" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ];
  const kind = kindOf(definitionOf({ type: "object", "x-kubernetes-preserve-unknown-fields": true }, { columns }));

  test("a list prints as JSON, a missing value is blank, dates are ages", () => {
    const object = widget({ hosts: ["a.b"], seen: "2026-01-31T10:20:00Z" });
    object.metadata.creationTimestamp = "2026-01-31T10:15:00Z";
    expect(kind.columns.map(({ name, priority }) => [name, priority])).toEqual([
      ["Name", 0],
      ["Hosts", 0],
      ["Ready", 0],
      ["Count", 1],
      ["Seen", 0],
      ["Age", 0],
    ]);
    expect(kind.cells(object, Date.parse(now))).toEqual(["demo", '["a.b"]', null, null, "30s", "5m30s"]);
    object["status"] = {
      conditions: [
        { type: "Other", status: "No" },
        { type: "Ready", status: "True" },
      ],
    };
    expect(kind.cells(object, 0)[2]).toBe("True");
  });

  test.each([
    [".a.b", [1]],
    [".list[0].x", ["p"]],
    [".list[-1].x", ["q"]],
    [".list[*].x", ["p", "q"]],
    ["{.a['b']}", [1]],
    [".a.dotted\\.name", [2]],
    ['.list[?(@.x!="p")].x', ["q"]],
    [".none.such", []],
  ])("%s finds %j", (path, found) => {
    const parsed = parseJsonPath(path);
    const value = { a: { b: 1, "dotted.name": 2 }, list: [{ x: "p" }, { x: "q" }] };
    expect(parsed === undefined ? undefined : readJsonPath(value, parsed)).toEqual(found);
  });
});

describe("the registry", () => {
  test("says that names are accepted, serves the kind, and forgets it", () => {
    const registry = new Registry();
    let changes = 0;
    registry.onChange(() => (changes += 1));
    const definition = definitionOf({ type: "object" });
    const status = registry.put(definition, now);
    expect(status["conditions"]).toMatchObject([
      { type: "NamesAccepted", status: "True", lastTransitionTime: now },
      { type: "Established", status: "True", lastTransitionTime: now },
    ]);
    expect(status).toMatchObject({ acceptedNames: { plural: "widgets" }, storedVersions: ["v1"] });
    expect(registry.findByKind("example.com", "v1", "Widget")?.subresources).toEqual(["scale", "status"]);
    const later = registry.put({ ...definition, status }, "2027-01-01T00:00:00Z");
    expect(later).toEqual(status);
    expect(changes).toBe(1);
    registry.remove("widgets.example.com");
    expect(registry.find("example.com", "v1", "widgets")).toBeUndefined();
    expect(changes).toBe(2);
  });

  test("a second definition cannot take a kind or short name of its group", () => {
    const registry = new Registry();
    registry.put(definitionOf({ type: "object" }), now);
    const second = definitionOf(
      { type: "object" },
      {},
      { plural: "gadgets", singular: "gadget", kind: "Gadget", listKind: "GadgetList" },
    );
    second.metadata.name = "gadgets.example.com";
    const status = registry.put(second, now);
    expect(status["conditions"]).toMatchObject([
      { type: "NamesAccepted", status: "False", reason: "NameConflict", message: '"wd" is already in use' },
      { type: "Established", status: "False" },
    ]);
    expect(registry.find("example.com", "v1", "gadgets")).toBeUndefined();
  });

  test("built-in groups come before custom ones, so that short names mean what they always meant", () => {
    const registry = new Registry();
    registry.put(definitionOf({ type: "object" }), now);
    expect(registry.all().at(-1)?.type.group).toBe("example.com");
  });

  test("versions rank as in Kubernetes", () => {
    const versions = ["v1beta1", "v10", "foo", "v1", "v1alpha2", "v2", "v1beta2"];
    expect(versions.sort(compareVersions)).toEqual(["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha2", "foo"]);
  });
});
