/** Paths, forms of answers, and what is found in bodies. */
import { beforeAll, describe, expect, it } from "vitest";
import { Registry } from "../crd/registry.ts";
import { parseBody } from "./body.ts";
import { duplicateKeys } from "./duplicate-keys.ts";
import { negotiate } from "./negotiate.ts";
import { parsePath } from "./path.ts";

let registry: Registry;
beforeAll(() => {
  registry = new Registry();
});

const place = (path: string) => {
  const found = parsePath(registry, path);
  return found === undefined ? undefined : [found.kind.type.plural, found.namespace, found.name, found.subresource];
};

describe("paths", () => {
  it.each([
    ["/api/v1/namespaces", ["namespaces", undefined, undefined, undefined]],
    ["/api/v1/namespaces/a", ["namespaces", undefined, "a", undefined]],
    ["/api/v1/namespaces/a/status", ["namespaces", undefined, "a", "status"]],
    ["/api/v1/namespaces/a/finalize", ["namespaces", undefined, "a", "finalize"]],
    ["/api/v1/namespaces/a/pods", ["pods", "a", undefined, undefined]],
    ["/api/v1/namespaces/a/pods/b/log", ["pods", "a", "b", "log"]],
    ["/api/v1/pods", ["pods", undefined, undefined, undefined]],
    ["/apis/apps/v1/namespaces/a/deployments/b/scale", ["deployments", "a", "b", "scale"]],
    ["/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aa", ["clusterroles", undefined, "system:a", undefined]],
  ])("%s", (path, expected) => {
    expect(place(path)).toEqual(expected);
  });

  it.each([
    "/api/v1/pods/b",
    "/api/v1/namespaces/a/nodes",
    "/apis/apps/v2/deployments",
    "/api/v1/namespaces/a/pods/b/none",
    "/x",
    "/apis/apps/v1/%zz",
  ])("%s leads nowhere", (path) => {
    expect(place(path)).toBeUndefined();
  });
});

describe("forms of answers", () => {
  it("gives a table to kubectl, JSON to who asks for protobuf first, YAML on request", () => {
    expect(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json")).toMatchObject({ as: "Table" });
    expect(negotiate("application/vnd.kubernetes.protobuf,application/json")).toEqual({ encoding: "json" });
    const partial =
      "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    expect(negotiate(partial)).toMatchObject({ as: "PartialObjectMetadata" });
    expect(negotiate("application/yaml")).toEqual({ encoding: "yaml" });
    expect(negotiate(undefined)).toEqual({ encoding: "json" });
  });

  it("refuses forms that it does not have", () => {
    expect(() => negotiate("application/vnd.kubernetes.protobuf")).toThrow(/only the following media types/);
  });
});

describe("bodies", () => {
  it("finds keys that come twice, wherever they are", () => {
    const text = '{"a":1,"b":{"c":1,"d":[{"e":"x","e":"}"}],"c":2},"a":"\\"","f":[1,{"a":1}]}';
    expect(duplicateKeys(text)).toEqual(["b.d[0].e", "b.c", "a"]);
    expect(duplicateKeys('{"a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":1}]}')).toEqual([]);
  });

  it("reads YAML, and refuses what it cannot read", () => {
    expect(parseBody(Buffer.from("a: 1\nb: [x]\n"), "application/yaml").value).toEqual({ a: 1, b: ["x"] });
    expect(() => parseBody(Buffer.from("{"), "application/json")).toThrow(/error decoding the body as JSON/);
    expect(() => parseBody(Buffer.from("x"), "text/plain")).toThrow(/unknown format/);
  });
});
