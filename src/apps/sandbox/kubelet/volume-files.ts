/** Which files a volume made of objects holds. Pure; tokens come from the caller. */
import type { ConfigMap, Secret } from "../../../core/api/kube.ts";
import type { Pod, Volume } from "../../../core/api/pod.ts";
import { fieldValue, MissingReference } from "./values.ts";
import type { Lookup, PodPlace } from "./values.ts";

export interface VolumeFile {
  readonly data: Uint8Array;
  readonly mode: number;
}

export type VolumeFiles = Map<string, VolumeFile>;

export interface TokenWish {
  readonly audience: string | undefined;
  readonly expirationSeconds: number;
}

export const tokenKey = (wish: TokenWish): string => `${wish.audience ?? ""}|${wish.expirationSeconds}`;

type Items = readonly { readonly key: string; readonly path: string; readonly mode?: number }[] | undefined;
type ProjectedSource = NonNullable<Volume["projected"]>["sources"][number];

const defaultMode = 0o644;
const defaultTokenSeconds = 3607;

const tokenWish = (source: NonNullable<ProjectedSource["serviceAccountToken"]>): TokenWish => ({
  audience: source.audience,
  expirationSeconds: source.expirationSeconds ?? defaultTokenSeconds,
});

export const tokenWishes = (volume: Volume): readonly TokenWish[] =>
  (volume.projected?.sources ?? []).flatMap(({ serviceAccountToken }) =>
    serviceAccountToken === undefined ? [] : [tokenWish(serviceAccountToken)],
  );

/** True for volumes whose files are made of other objects. */
export const isMadeOfObjects = (volume: Volume): boolean =>
  (volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected) !== undefined;

export function filesOf(
  pod: Pod,
  place: PodPlace,
  volume: Volume,
  lookup: Lookup,
  tokens: ReadonlyMap<string, string>,
): VolumeFiles {
  const files: VolumeFiles = new Map();
  if (volume.configMap !== undefined) addConfigMap(files, volume.configMap, lookup);
  if (volume.secret !== undefined) addSecret(files, { ...volume.secret, name: volume.secret.secretName }, lookup);
  if (volume.downwardAPI !== undefined) addFields(files, pod, place, volume.downwardAPI.items);
  const { sources = [], defaultMode: mode } = volume.projected ?? {};
  for (const source of sources) {
    const common = mode === undefined ? {} : { defaultMode: mode };
    if (source.configMap !== undefined) addConfigMap(files, { ...common, ...source.configMap }, lookup);
    if (source.secret !== undefined) addSecret(files, { ...common, ...source.secret }, lookup);
    if (source.downwardAPI !== undefined) addFields(files, pod, place, source.downwardAPI.items);
    if (source.serviceAccountToken !== undefined) {
      const token = tokens.get(tokenKey(tokenWish(source.serviceAccountToken)));
      if (token === undefined) throw new MissingReference("the service account token is not there yet");
      files.set(source.serviceAccountToken.path, { data: Buffer.from(token, "utf8"), mode: defaultMode });
    }
  }
  return files;
}

interface ObjectSource {
  readonly name: string;
  readonly optional?: boolean;
  readonly items?: Items;
  readonly defaultMode?: number;
}

function addConfigMap(files: VolumeFiles, source: ObjectSource, lookup: Lookup): void {
  const found: ConfigMap | undefined = lookup.configMap(source.name);
  if (found === undefined && source.optional !== true)
    throw new MissingReference(`configmap "${source.name}" not found`);
  const data = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries(found?.data ?? {})) data.set(key, Buffer.from(value, "utf8"));
  for (const [key, value] of Object.entries(found?.binaryData ?? {})) data.set(key, Buffer.from(value, "base64"));
  addItems(files, source, data, "configmap");
}

function addSecret(files: VolumeFiles, source: ObjectSource, lookup: Lookup): void {
  const found: Secret | undefined = lookup.secret(source.name);
  if (found === undefined && source.optional !== true) throw new MissingReference(`secret "${source.name}" not found`);
  const entries = Object.entries(found?.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64")] as const);
  addItems(files, source, new Map(entries), "secret");
}

function addItems(files: VolumeFiles, source: ObjectSource, data: ReadonlyMap<string, Uint8Array>, kind: string): void {
  const mode = source.defaultMode ?? defaultMode;
  if (source.items === undefined) {
    for (const [key, value] of data) files.set(key, { data: value, mode });
    return;
  }
  for (const item of source.items) {
    const value = data.get(item.key);
    if (value === undefined) {
      if (source.optional === true) continue;
      throw new MissingReference(`${kind} "${source.name}" has no key "${item.key}"`);
    }
    files.set(item.path, { data: value, mode: item.mode ?? mode });
  }
}

function addFields(
  files: VolumeFiles,
  pod: Pod,
  place: PodPlace,
  items: readonly { readonly path: string; readonly fieldRef?: { readonly fieldPath: string } }[] = [],
): void {
  for (const { path, fieldRef } of items) {
    const value = fieldRef === undefined ? "" : (fieldValue(pod, place, fieldRef.fieldPath) ?? "");
    files.set(path, { data: Buffer.from(value, "utf8"), mode: defaultMode });
  }
}
