/** Segment (admin.solo.io/v1alpha1; spec.md 1.6): a named group of clusters with a domain of its own. */
import { age, conditions, type KindDefinition, list, record, stringMap, text } from "../definition.ts";
import { meshKinds, type Segment } from "../mesh-kinds.ts";

export const segment: KindDefinition<Segment> = {
  resource: meshKinds.segments,
  singular: "segment",
  shortNames: ["seg"],
  categories: ["solo-io"],
  versions: ["v1alpha1"],
  description: "A named group of clusters with a domain of its own. Only objects in istio-system count.",
  isSpecRequired: true,
  spec: record(
    {
      domain: text("DNS suffix of the segment's global hostnames.", {
        minLength: 1,
        maxLength: 190,
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
      }),
      aliases: list(
        record(
          {
            pattern: text("Host template: {service}, {namespace}, {labels['key']}, {annotations['key']}.", {
              minLength: 1,
              maxLength: 253,
            }),
            selector: record({ matchLabels: stringMap }),
          },
          ["pattern"],
        ),
        { maxItems: 32 },
      ),
    },
    ["domain"],
  ),
  status: record({
    conditions,
    clusters: list(text(), { description: "Clusters in the segment: this one and linked ones, as far as they say." }),
    services: {
      type: "integer",
      format: "int32",
      description: "Global services under the segment's domain that this cluster knows.",
    },
  }),
  columns: [
    { name: "Domain", type: "string", jsonPath: ".spec.domain" },
    { name: "Clusters", type: "string", jsonPath: ".status.clusters" },
    { name: "Services", type: "integer", jsonPath: ".status.services" },
    { name: "Accepted", type: "string", jsonPath: '.status.conditions[?(@.type=="Accepted")].status' },
    age,
  ],
};
