/** Bodies as kubectl encodes them, made here with the same tables. */
import { describe, expect, it } from "vitest";
import type { Fields } from "../api/json.ts";
import { fieldsOf, isFields, listOf } from "../api/json.ts";
import { builtinKinds } from "../schema/builtin.ts";
import { decodeBody } from "./decode.ts";
import type { ProtoField } from "./tables.ts";
import { protoMessages } from "./tables.ts";

function varint(value: number): Buffer {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}
const sized = (number: number, bytes: Uint8Array) =>
  Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
const number = (field: number, value: number) => Buffer.concat([varint(field * 8), varint(value)]);

function value(at: number, type: string, given: unknown): Buffer {
  switch (type) {
    case "text":
      return sized(at, Buffer.from(String(given)));
    case "int":
    case "bool":
      return number(at, Number(given));
    case "bytes":
      return sized(at, Buffer.from(String(given), "base64"));
    case "time":
      return sized(at, number(1, Date.parse(String(given)) / 1000));
    case "quantity":
      return sized(at, sized(1, Buffer.from(String(given))));
    case "intOrString":
      return sized(
        at,
        typeof given === "number"
          ? Buffer.concat([number(1, 0), number(2, given), sized(3, Buffer.alloc(0))])
          : Buffer.concat([number(1, 1), number(2, 0), sized(3, Buffer.from(String(given)))]),
      );
    default:
      return sized(at, message(type, fieldsOf(given)));
  }
}

/** Writes zeros for text, numbers and flags that the tables do not hold to be meaningful, as Go does. */
function message(name: string, fields: Fields): Buffer {
  const parts: Buffer[] = [];
  for (const [at, field] of protoMessages().get(name) ?? []) {
    if (field.name === "~") parts.push(sized(at, message(field.type, fields)));
    else if (fields[field.name] !== undefined) parts.push(...occurrences(at, field, fields[field.name]));
    else if (field.form === "one" && field.type === "text") parts.push(sized(at, Buffer.alloc(0)));
  }
  return Buffer.concat(parts);
}

function occurrences(at: number, field: ProtoField, given: unknown): Buffer[] {
  if (field.form === "list") return listOf(given).map((item) => value(at, field.type, item));
  if (field.form === "map" && isFields(given)) {
    return Object.entries(given).map(([key, item]) =>
      sized(at, Buffer.concat([sized(1, Buffer.from(key)), value(2, field.type, item)])),
    );
  }
  return [value(at, field.type, given)];
}

const body = (apiVersion: string, kind: string, fields: Fields): Buffer => {
  const types = Buffer.concat([sized(1, Buffer.from(apiVersion)), sized(2, Buffer.from(kind))]);
  const content = Buffer.concat([sized(1, types), sized(2, message(kind, fields)), sized(3, Buffer.alloc(0))]);
  return Buffer.concat([Buffer.from("k8s\0", "latin1"), content]);
};

describe("protobuf bodies", () => {
  it("read a namespace in which what is not set is sent as empty", () => {
    // name foo, empty texts, generation 0, an unset creationTimestamp, one label; then empty spec and status.
    const metadata = Buffer.concat([
      sized(1, Buffer.from("foo")),
      ...[2, 3, 4, 5, 6].map((field) => sized(field, Buffer.alloc(0))),
      number(7, 0),
      sized(8, Buffer.alloc(0)),
      sized(11, Buffer.concat([sized(1, Buffer.from("env")), sized(2, Buffer.from("stages"))])),
    ]);
    const raw = Buffer.concat([sized(1, metadata), sized(2, Buffer.alloc(0)), sized(3, sized(1, Buffer.alloc(0)))]);
    const types = Buffer.concat([sized(1, Buffer.from("v1")), sized(2, Buffer.from("Namespace"))]);
    const bytes = Buffer.concat([Buffer.from("k8s\0", "latin1"), sized(1, types), sized(2, raw)]);
    expect(decodeBody(bytes)).toEqual({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "foo", labels: { env: "stages" } },
      spec: {},
      status: {},
    });
  });

  it("read a deployment with all that is spliced, mapped and either number or text", () => {
    const fields = {
      metadata: {
        name: "d",
        creationTimestamp: "2026-01-02T03:04:05Z",
        ownerReferences: [{ kind: "A", controller: false }],
      },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: "d" } },
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: 0 } },
        template: {
          metadata: { labels: { app: "d" } },
          spec: {
            terminationGracePeriodSeconds: 0,
            securityContext: { runAsNonRoot: false, supplementalGroups: [1, 2] },
            volumes: [
              { name: "e", emptyDir: {} },
              { name: "c", configMap: { name: "cm", items: [{ key: "k", path: "p" }] } },
              {
                name: "t",
                projected: { sources: [{ serviceAccountToken: { path: "t", audience: "a", expirationSeconds: 600 } }] },
              },
            ],
            containers: [
              {
                name: "c",
                image: "i",
                args: ["-v", ""],
                env: [{ name: "A", valueFrom: { secretKeyRef: { name: "s", key: "k", optional: false } } }],
                resources: { limits: { cpu: "100m" } },
                readinessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 5 },
                lifecycle: { preStop: { exec: { command: ["sleep", "1"] } } },
              },
            ],
          },
        },
      },
    };
    expect(decodeBody(body("apps/v1", "Deployment", fields))).toEqual({
      apiVersion: "apps/v1",
      kind: "Deployment",
      ...fields,
    });
  });

  it("read bytes as base64, negative numbers, and delete options", () => {
    const secret = decodeBody(body("v1", "Secret", { data: { k: "AAEC/w==" }, type: "Opaque" }));
    expect(secret["data"]).toEqual({ k: "AAEC/w==" });
    const options = {
      gracePeriodSeconds: -1,
      preconditions: { uid: "u" },
      propagationPolicy: "Background",
      dryRun: ["All"],
    };
    expect(decodeBody(body("v1", "DeleteOptions", options))).toMatchObject(options);
  });

  it("refuse a kind without a table by its name, and a body that is cut short", () => {
    expect(() => decodeBody(body("v1", "PodTemplate", {}))).toThrow(/cannot read v1 PodTemplate as protobuf/);
    const whole = body("v1", "Secret", { data: { k: "AAEC/w==" } });
    expect(() => decodeBody(whole.subarray(0, whole.length - 4))).toThrow(/ends in the middle/);
    expect(() => decodeBody(Buffer.from("{}"))).toThrow(/does not begin with the prefix/);
  });

  it("know every kind that is stored but definitions of kinds, and every message that a table names", () => {
    const messages = protoMessages();
    const stored = builtinKinds().filter((kind) => kind.verbs.includes("get"));
    const lacking = stored.map(({ type }) => type.kind).filter((kind) => !messages.has(kind));
    expect(lacking).toEqual(["CustomResourceDefinition"]);
    const plain = new Set(["text", "int", "bool", "bytes", "time", "quantity", "intOrString", "json"]);
    const named = [...messages.values()].flatMap((fields) => [...fields.values()].map(({ type }) => type));
    expect(named.filter((type) => !plain.has(type) && !messages.has(type))).toEqual([]);
  });

  it("splice what the JSON of an ingress and of a webhook has in one object", () => {
    const path = { path: "/", pathType: "Prefix", backend: { service: { name: "web", port: { number: 80 } } } };
    const spec = { rules: [{ host: "a.example", http: { paths: [path] } }] };
    expect(decodeBody(body("networking.k8s.io/v1", "Ingress", { spec }))).toMatchObject({ spec });
    const webhooks = [
      { name: "w.example.com", rules: [{ operations: ["CREATE"], apiGroups: [""], resources: ["pods"] }] },
    ];
    const configuration = body("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", { webhooks });
    expect(decodeBody(configuration)).toMatchObject({ webhooks });
  });
});
