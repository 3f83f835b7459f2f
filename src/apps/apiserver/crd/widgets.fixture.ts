/** A CustomResourceDefinition and its objects for tests: `widgets.example.com`. */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Kind, Schema } from "../kind.ts";
import { Registry } from "./registry.ts";

export const now = "2026-01-31T10:20:30Z";

interface VersionFields {
  readonly name?: string;
  readonly storage?: boolean;
  readonly columns?: readonly object[];
}

export const definitionOf = (spec: Schema, more: VersionFields = {}, names: object = {}): AnyObject => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: {
      plural: "widgets",
      singular: "widget",
      kind: "Widget",
      listKind: "WidgetList",
      shortNames: ["wd"],
      ...names,
    },
    versions: [
      {
        name: more.name ?? "v1",
        served: true,
        storage: more.storage ?? true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec,
              status: {
                type: "object",
                default: { phase: "Unknown" },
                properties: { phase: { type: "string" }, replicas: { type: "integer" } },
              },
            },
          },
        },
        subresources: {
          status: {},
          scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
        },
        ...(more.columns === undefined ? {} : { additionalPrinterColumns: more.columns }),
      },
    ],
  },
});

export const kindOf = (definition: AnyObject): Kind => {
  const registry = new Registry();
  registry.put(definition, now);
  const kind = registry.find("example.com", "v1", "widgets");
  if (kind === undefined) throw new Error("the kind is not served");
  return kind;
};

export const widget = (spec: unknown, status?: unknown): AnyObject => ({
  apiVersion: "example.com/v1",
  kind: "Widget",
  metadata: { name: "demo", namespace: "default" },
  spec,
  ...(status === undefined ? {} : { status }),
});

export const texts = (kind: Kind, object: AnyObject, old?: AnyObject): readonly string[] =>
  kind.validate(object, old).map(({ field, message }) => `${field}: ${message}`);
