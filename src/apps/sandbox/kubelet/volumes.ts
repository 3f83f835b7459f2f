/**
 * The volumes of one pod on disk: made before its containers, kept equal to the objects they come from, tokens fetched anew
 * well before they expire. Owns the pod's `volumes` directory.
 */
import { errorText } from "../../../core/api/error-text.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { Container, Pod, Volume } from "../../../core/api/pod.ts";
import {
  fileExists,
  isDirectory,
  joinPath,
  makeDirectory,
  removePath,
  setAccessNow,
  writeAtomically,
} from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import { msOfIso } from "../../../io/host/iso-time.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import type { MountPlan } from "./root.ts";
import { filesOf, isMadeOfObjects, tokenKey, tokenWishes } from "./volume-files.ts";
import type { TokenWish, VolumeFiles } from "./volume-files.ts";
import { MissingReference } from "./values.ts";
import type { Lookup, PodPlace } from "./values.ts";

const refreshMs = 30_000;
/** Part of a token's life after which it is fetched anew. */
const tokenLifePart = 0.8;

interface Token {
  readonly text: string;
  readonly renewAtMs: number;
}

export class PodVolumes {
  private readonly host: Host;
  private readonly client: KubeClient;
  private readonly directory: string;
  private readonly lookup: Lookup;
  private readonly machinePath: (path: string) => string;
  private readonly tokens = new Map<string, Token>();
  private readonly written = new Map<string, VolumeFiles>();
  private writing: Promise<void> = Promise.resolve();

  /** `machinePath` says where a path of the node is on this machine. */
  constructor(
    host: Host,
    client: KubeClient,
    directory: string,
    lookup: Lookup,
    machinePath: (path: string) => string,
  ) {
    this.machinePath = machinePath;
    this.host = host;
    this.client = client;
    this.directory = directory;
    this.lookup = lookup;
  }

  /** Makes every volume. Rejects with `MissingReference` while something is not there. */
  async make(pod: Pod, place: PodPlace): Promise<void> {
    for (const volume of pod.spec.volumes ?? []) {
      const path = joinPath(this.directory, volume.name);
      if (isMadeOfObjects(volume)) await this.write(pod, place, volume);
      else if (volume.hostPath === undefined) await this.makeEmpty(path, fsGroupOf(pod));
      else await checkHostPath(this.machinePath(volume.hostPath.path), volume.hostPath.type);
    }
  }

  private async makeEmpty(path: string, group: number | undefined): Promise<void> {
    await makeDirectory(path, 0o777);
    // Not by the mode of its making, which the process's mask cuts.
    setAccessNow(path, group === undefined ? 0o777 : 0o2777, group);
  }

  /** Keeps files equal to their objects until `signal` aborts. */
  async keep(pod: () => Pod, place: PodPlace, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.host.clock.sleep(refreshMs, signal).catch(() => undefined);
      if (!signal.aborted) await this.refresh(pod(), place);
    }
  }

  /** Volumes that are not made yet are left to `make`. */
  async refresh(pod: Pod, place: PodPlace): Promise<void> {
    for (const volume of (pod.spec.volumes ?? []).filter(isMadeOfObjects)) {
      if (!this.written.has(volume.name)) continue;
      try {
        await this.write(pod, place, volume);
      } catch (error) {
        // What is mounted stays as it was, as with a real kubelet.
        const cause = errorText(error);
        this.host.log.warn("volume.refresh_failed", { pod: pod.metadata.name, volume: volume.name, cause });
      }
    }
  }

  mountsFor(pod: Pod, container: Container): readonly MountPlan[] {
    const volumes = new Map((pod.spec.volumes ?? []).map((volume) => [volume.name, volume]));
    return (container.volumeMounts ?? []).map((mount) => {
      const volume = volumes.get(mount.name);
      if (volume === undefined)
        throw new Error(`container ${container.name} mounts volume "${mount.name}", which the pod has not`);
      const base =
        volume.hostPath === undefined ? joinPath(this.directory, volume.name) : this.machinePath(volume.hostPath.path);
      const source = mount.subPath !== undefined ? joinPath(base, mount.subPath) : base;
      const isFile = fileExists(source) && !isDirectory(source);
      const isReadOnly = mount.readOnly === true || isMadeOfObjects(volume);
      return { source, target: mount.mountPath, isFile, isReadOnly };
    });
  }

  /** One write at a time: a change of an object and the first making may come at the same moment. */
  private write(pod: Pod, place: PodPlace, volume: Volume): Promise<void> {
    const next = this.writing.then(() => this.writeNow(pod, place, volume));
    this.writing = next.catch(() => undefined);
    return next;
  }

  private async writeNow(pod: Pod, place: PodPlace, volume: Volume): Promise<void> {
    for (const wish of tokenWishes(volume)) await this.fetchToken(pod, wish);
    const tokens = new Map([...this.tokens].map(([key, { text }]) => [key, text]));
    const files = filesOf(pod, place, volume, this.lookup, tokens);
    const path = joinPath(this.directory, volume.name);
    const before = this.written.get(volume.name) ?? new Map();
    const group = fsGroupOf(pod);
    await makeDirectory(path);
    for (const [name, { data, mode }] of files) {
      const old = before.get(name);
      if (old !== undefined && Buffer.compare(old.data, data) === 0) continue;
      await writeAtomically(joinPath(path, name), data, mode);
      // The group reads what the owner may read.
      if (group !== undefined) setAccessNow(joinPath(path, name), mode | ((mode & 0o400) >> 3), group);
    }
    for (const name of before.keys()) if (!files.has(name)) await removePath(joinPath(path, name));
    this.written.set(volume.name, files);
  }

  private async fetchToken(pod: Pod, wish: TokenWish): Promise<void> {
    const known = this.tokens.get(tokenKey(wish));
    if (known !== undefined && known.renewAtMs > this.host.clock.now()) return;
    const account = pod.spec.serviceAccountName ?? "default";
    const { namespace, name, uid } = pod.metadata;
    const body = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: { name: account, namespace },
      spec: {
        ...(wish.audience === undefined ? {} : { audiences: [wish.audience] }),
        expirationSeconds: wish.expirationSeconds,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
      },
    };
    const answer = await this.client.post(builtin.serviceAccounts, { name: account, namespace }, "token", body);
    const status = tokenStatus(answer);
    if (status === undefined) throw new MissingReference(`no token came for serviceaccount "${account}"`);
    const nowMs = this.host.clock.now();
    const lifeMs = (msOfIso(status.expirationTimestamp) ?? nowMs + wish.expirationSeconds * 1000) - nowMs;
    this.tokens.set(tokenKey(wish), { text: status.token, renewAtMs: nowMs + lifeMs * tokenLifePart });
  }
}

function fsGroupOf({ spec }: Pod): number | undefined {
  const group = spec.securityContext?.["fsGroup"];
  return typeof group === "number" ? group : undefined;
}

function tokenStatus(answer: unknown): { token: string; expirationTimestamp: string } | undefined {
  if (typeof answer !== "object" || answer === null || !("status" in answer)) return undefined;
  const { status } = answer;
  if (typeof status !== "object" || status === null || !("token" in status)) return undefined;
  const expires = "expirationTimestamp" in status ? status.expirationTimestamp : "";
  return { token: String(status.token), expirationTimestamp: String(expires) };
}

async function checkHostPath(path: string, type = ""): Promise<void> {
  if (type === "DirectoryOrCreate" || (type === "" && !fileExists(path))) await makeDirectory(path);
  else if (type === "FileOrCreate" && !fileExists(path)) await writeAtomically(path, "");
  else if (!fileExists(path)) throw new MissingReference(`hostPath ${path} does not exist on this machine`);
}

/** Names of the objects that a pod's volumes and environment come from, as `<kind>/<name>`. */
export function referencesOf(pod: Pod): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { configMap, secret, projected } of pod.spec.volumes ?? []) {
    if (configMap !== undefined) names.add(`ConfigMap/${configMap.name}`);
    if (secret !== undefined) names.add(`Secret/${secret.secretName}`);
    for (const source of projected?.sources ?? []) {
      if (source.configMap !== undefined) names.add(`ConfigMap/${source.configMap.name}`);
      if (source.secret !== undefined) names.add(`Secret/${source.secret.name}`);
    }
  }
  return names;
}
