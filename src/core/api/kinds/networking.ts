/** ServiceEntry and WorkloadEntry (networking.istio.io; fields and limits as spec.md 3.4 lists them). */
import {
  age,
  conditions,
  type JsonSchema,
  type KindDefinition,
  list,
  oneOf,
  record,
  stringMap,
  text,
  whole,
} from "../definition.ts";
import { meshKinds, type ServiceEntry, type WorkloadEntry } from "../mesh-kinds.ts";

const endpointFields: Readonly<Record<string, JsonSchema>> = {
  address: text("IP address or DNS name; empty means behind the network's gateway.", { maxLength: 256 }),
  ports: { type: "object", additionalProperties: whole(1, 65535), maxProperties: 128 },
  labels: { ...stringMap, maxProperties: 256 },
  network: text("Network the workload is on.", { maxLength: 2048 }),
  locality: text("region/zone/subzone.", { maxLength: 2048 }),
  weight: { type: "integer", minimum: 0, maximum: 4294967295 },
  serviceAccount: text(undefined, { maxLength: 253 }),
};

const versions = ["v1", "v1beta1", "v1alpha3"];

export const serviceEntry: KindDefinition<ServiceEntry> = {
  resource: meshKinds.serviceEntries,
  singular: "serviceentry",
  shortNames: ["se"],
  categories: ["istio-io", "networking-istio-io"],
  versions,
  description: "A service of the mesh that has no Kubernetes Service here.",
  isSpecRequired: true,
  spec: record(
    {
      hosts: list(text(undefined, { maxLength: 253 }), { minItems: 1, maxItems: 256 }),
      addresses: list(text(undefined, { maxLength: 64 }), { maxItems: 256 }),
      ports: list(
        record(
          {
            number: whole(1, 65535),
            name: text(undefined, { maxLength: 256 }),
            protocol: text(undefined, { maxLength: 256 }),
            targetPort: whole(1, 65535),
          },
          ["number", "name"],
        ),
        { maxItems: 256, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] },
      ),
      location: oneOf(["MESH_EXTERNAL", "MESH_INTERNAL"]),
      resolution: oneOf(["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"]),
      endpoints: list(record(endpointFields), { maxItems: 4096 }),
      workloadSelector: record({ labels: { ...stringMap, maxProperties: 256 } }),
      exportTo: list(text()),
      subjectAltNames: list(text()),
    },
    ["hosts"],
    {
      "x-kubernetes-validations": [
        {
          rule: "!(has(self.workloadSelector) && has(self.endpoints))",
          message: "only one of workloadSelector or endpoints can be set",
        },
      ],
    },
  ),
  status: record({
    addresses: list(record({ value: text(), host: text() }, ["value"]), { maxItems: 32 }),
    conditions,
    observedGeneration: { type: "integer", format: "int64" },
  }),
  columns: [
    { name: "Hosts", type: "string", jsonPath: ".spec.hosts", description: "Names of the service." },
    { name: "Location", type: "string", jsonPath: ".spec.location", description: "Inside or outside the mesh." },
    { name: "Resolution", type: "string", jsonPath: ".spec.resolution", description: "How endpoints are found." },
    age,
  ],
};

export const workloadEntry: KindDefinition<WorkloadEntry> = {
  resource: meshKinds.workloadEntries,
  singular: "workloadentry",
  shortNames: ["we"],
  categories: ["istio-io", "networking-istio-io"],
  versions,
  description: "A workload that is not a pod of this cluster.",
  isSpecRequired: true,
  spec: record(endpointFields),
  status: record({ conditions, observedGeneration: { type: "integer", format: "int64" } }),
  columns: [age, { name: "Address", type: "string", jsonPath: ".spec.address", description: "Where it is reached." }],
};
