/** Gateway and GatewayClass of the Gateway API (gateway.networking.k8s.io/v1): the fields Tombolo reads or answers. */
import {
  age,
  conditions,
  type KindDefinition,
  list,
  oneOf,
  record,
  stringMap,
  text,
  whole,
  type JsonSchema,
} from "../definition.ts";
import { meshKinds, type Gateway, type GatewayClass } from "../mesh-kinds.ts";

const address = (values: JsonSchema): JsonSchema =>
  record({ type: text("IPAddress, Hostname or a domain-prefixed name.", { default: "IPAddress" }), value: values });

const listener = record(
  {
    name: text("Unique within the Gateway.", { minLength: 1, maxLength: 253 }),
    hostname: text("Host names this listener answers; empty means all.", { maxLength: 253 }),
    port: whole(1, 65535),
    protocol: text("HTTP, HTTPS, TLS, TCP, UDP, HBONE or a domain-prefixed name.", { minLength: 1, maxLength: 255 }),
    tls: record({
      mode: oneOf(["Terminate", "Passthrough"], "Whether TLS ends here."),
      certificateRefs: list(record({ group: text(), kind: text(), name: text(), namespace: text() }, ["name"]), {
        maxItems: 64,
      }),
      options: { ...stringMap, maxProperties: 16 },
    }),
    allowedRoutes: record({
      namespaces: record({
        from: oneOf(["All", "Selector", "Same", "None"]),
        selector: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
      }),
      kinds: list(record({ group: text(), kind: text() }, ["kind"]), { maxItems: 8 }),
    }),
  },
  ["name", "port", "protocol"],
);

const listenerStatus = record(
  {
    name: text(),
    attachedRoutes: { type: "integer", format: "int32" },
    supportedKinds: list(record({ group: text(), kind: text() }, ["kind"]), { maxItems: 8 }),
    conditions,
  },
  ["name", "attachedRoutes", "conditions"],
);

export const gateway: KindDefinition<Gateway> = {
  resource: meshKinds.gateways,
  singular: "gateway",
  shortNames: ["gtw"],
  categories: ["gateway-api"],
  versions: ["v1"],
  description: "A place where traffic enters: listeners of a class, at addresses.",
  isSpecRequired: true,
  spec: record(
    {
      gatewayClassName: text("Name of the GatewayClass.", { minLength: 1, maxLength: 253 }),
      listeners: list(listener, {
        minItems: 1,
        maxItems: 64,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
      }),
      addresses: list(address(text(undefined, { maxLength: 253 })), { maxItems: 16 }),
      infrastructure: record({
        labels: { ...stringMap, maxProperties: 8 },
        annotations: { ...stringMap, maxProperties: 8 },
        parametersRef: record({ group: text(), kind: text(), name: text() }, ["group", "kind", "name"]),
      }),
    },
    ["gatewayClassName", "listeners"],
  ),
  status: record({
    addresses: list(address(text(undefined, { minLength: 1, maxLength: 253 })), { maxItems: 16 }),
    conditions,
    listeners: list(listenerStatus, {
      maxItems: 64,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
    }),
  }),
  columns: [
    { name: "Class", type: "string", jsonPath: ".spec.gatewayClassName" },
    { name: "Address", type: "string", jsonPath: ".status.addresses[*].value" },
    { name: "Programmed", type: "string", jsonPath: '.status.conditions[?(@.type=="Programmed")].status' },
    age,
  ],
};

export const gatewayClass: KindDefinition<GatewayClass> = {
  resource: meshKinds.gatewayClasses,
  singular: "gatewayclass",
  shortNames: ["gc"],
  categories: ["gateway-api"],
  versions: ["v1"],
  description: "A class of Gateways and the controller that serves them.",
  isSpecRequired: true,
  spec: record(
    {
      controllerName: text("Domain-prefixed name of the controller.", { minLength: 1, maxLength: 253 }),
      description: text(undefined, { maxLength: 64 }),
      parametersRef: record({ group: text(), kind: text(), name: text(), namespace: text() }, [
        "group",
        "kind",
        "name",
      ]),
    },
    ["controllerName"],
  ),
  status: record({ conditions, supportedFeatures: list(record({ name: text() }, ["name"]), { maxItems: 64 }) }),
  columns: [
    { name: "Controller", type: "string", jsonPath: ".spec.controllerName" },
    { name: "Accepted", type: "string", jsonPath: '.status.conditions[?(@.type=="Accepted")].status' },
    age,
    { name: "Description", type: "string", jsonPath: ".spec.description", priority: 1 },
  ],
};
