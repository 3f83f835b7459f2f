/** Bugs planted into a world from outside, by wrapping what its processes are given. */
import type { KubeObject, ResourceType, Service } from "../../src/core/api/kube.ts";
import { envoyType } from "../../src/core/envoy/resource.ts";
import type { ResourceSet } from "../../src/core/envoy/resource-set.ts";
import type { Export } from "../../src/core/mesh/model.ts";
import { decodeExport, encodeExport } from "../../src/core/proto/codec.ts";
import { typeUrl } from "../../src/core/proto/wire.ts";
import type { KubeClient, ListOptions, Ref, WatchOptions } from "../../src/io/kube/client.ts";
import { decodeResponse, encodeResponse } from "../../src/io/xds/discovery.ts";
import type { DiscoveryResponse } from "../../src/io/xds/discovery.ts";
import type { OpenStream } from "../../src/io/xds/transport.ts";
import type { Plant } from "./cluster.ts";

const overriding = (client: KubeClient, methods: Partial<KubeClient>): KubeClient =>
  Object.assign(Object.create(client) as KubeClient, methods);

/** What comes from peers, changed on its way in. */
const rewriting =
  (rewrite: (response: DiscoveryResponse) => DiscoveryResponse) =>
  (open: OpenStream): OpenStream =>
  (dialled, events) =>
    open(dialled, { ...events, received: (bytes) => events.received(encodeResponse(rewrite(decodeResponse(bytes)))) });

export const dropsRemovals: Plant = { peerStreams: rewriting((response) => ({ ...response, removed: [] })) };

const foreign = (row: Export): Export => ({ ...row, identities: ["spiffe://elsewhere.local/ns/shop/sa/web"] });

export const believesStrangers: Plant = {
  peerStreams: rewriting((response) =>
    response.typeUrl !== typeUrl.export
      ? response
      : {
          ...response,
          resources: response.resources.map((resource) => {
            const row = decodeExport(resource.bytes);
            return row.ok ? { ...resource, bytes: encodeExport(foreign(row.value)) } : resource;
          }),
        },
  ),
};

/** A link that breaks says that all is gone. */
export const wipesWhenCut: Plant = {
  peerStreams: (open) => (dialled, events) => {
    const names = new Set<string>();
    return open(dialled, {
      received: (bytes) => {
        const response = decodeResponse(bytes);
        if (response.typeUrl === typeUrl.export) for (const { name } of response.resources) names.add(name);
        events.received(bytes);
      },
      ended: (cause) => {
        const gone = { typeUrl: typeUrl.export, nonce: "", resources: [], removed: [...names] };
        if (names.size > 0) events.received(encodeResponse(gone));
        events.ended(cause);
      },
    });
  },
};

/** Whoever asks finds the lease free. */
export const seesEveryLeaseFree: Plant = {
  kube: (client) =>
    overriding(client, {
      get: async <T extends KubeObject>(type: ResourceType<T>, ref: Ref, options?: { signal?: AbortSignal }) => {
        const object = await client.get(type, ref, options);
        // A Lease has this shape.
        const lease = object as T & { spec?: { holderIdentity?: string } };
        return type.kind === "Lease" ? { ...lease, spec: { ...lease.spec, holderIdentity: "" } } : object;
      },
    }),
};

const published = <T extends KubeObject>(type: ResourceType<T>, object: T): T =>
  type.kind !== "Service" ? object : { ...object, metadata: withScope(object.metadata) };
const withScope = (metadata: Service["metadata"]): Service["metadata"] => ({
  ...metadata,
  labels: { ...metadata.labels, "solo.io/service-scope": "global" },
});

/** Every service looks as if its owner had published it to all. */
export const exportsEverything: Plant = {
  kube: (client) =>
    overriding(client, {
      list: async <T extends KubeObject>(type: ResourceType<T>, options?: ListOptions) => {
        const { items, resourceVersion } = await client.list(type, options);
        return { items: items.map((item) => published(type, item)), resourceVersion };
      },
      watch: async function* <T extends KubeObject>(type: ResourceType<T>, options: WatchOptions) {
        for await (const event of client.watch(type, options)) {
          yield event.type === "BOOKMARK" ? event : { ...event, object: published(type, event.object) };
        }
      },
    }),
};

/** A replica that starts knows nothing of peers. */
export const remembersNothing: Plant = {
  kube: (client) =>
    overriding(client, {
      list: async <T extends KubeObject>(type: ResourceType<T>, options?: ListOptions) => {
        const { items, resourceVersion } = await client.list(type, options);
        const isMemory = type.kind === "ConfigMap" && options?.labelSelector !== undefined;
        return { items: isMemory ? [] : items, resourceVersion };
      },
    }),
};

const changedResources = (change: (resources: ResourceSet) => Partial<ResourceSet>): Plant => ({
  resources: (resources) => ({ ...resources, ...change(resources) }),
});

export const losesGateClusters: Plant = changedResources((resources) => ({
  always: () => resources.always().filter(({ type, name }) => type !== envoyType.cluster || !name.startsWith("gate|")),
}));

/** Envoy is never told of changes to what it asked for. */
export const tellsNoChanges: Plant = changedResources(() => ({ isAffected: () => false }));
