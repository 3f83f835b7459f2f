/** Names of the objects that the control plane generates (spec 1.7). */
import { defaultSegment } from "../api/names.ts";

interface GlobalName {
  readonly segment: string;
  readonly namespace: string;
  readonly name: string;
}

/** ServiceEntry of a global service, in istio-system. */
export const entryName = ({ segment, namespace, name }: GlobalName): string =>
  segment === defaultSegment.name ? `autogen.${namespace}.${name}` : `autogen.${segment}.${namespace}.${name}`;

/** WorkloadEntry of a service in a peer cluster. */
export const remoteEntryName = (cluster: string, { namespace, name }: GlobalName): string =>
  `autogen.${cluster}.${namespace}.${name}`;

/** WorkloadEntry of one pod of a peer on the same network. */
export const flatEntryName = (cluster: string, { namespace, name }: GlobalName, endpoint: string): string =>
  `autogenflat.${cluster}.${namespace}.${name}.${endpoint}`;
