/**
 * What Tombolo asks of a Kubernetes API server. Two implementations: over HTTPS (`http-client.ts`) for every program that
 * runs on a cluster, and in process (apps/apiserver) for the sandbox's own controllers. Both behave alike.
 */
import type { KubeObject, ResourceType } from "../../core/api/kube.ts";

export interface Ref {
  readonly name: string;
  /** Absent for cluster-scoped kinds. */
  readonly namespace?: string | undefined;
}

export interface ListOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WatchOptions extends ListOptions {
  /** Events after this revision; of an earlier list. */
  readonly resourceVersion: string;
}

export interface List<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

export type WatchEvent<T> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }
  | { readonly type: "BOOKMARK"; readonly object: { readonly metadata: { readonly resourceVersion: string } } };

export interface WriteOptions {
  readonly subresource?: string | undefined;
  readonly fieldManager?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type Patch =
  | { readonly type: "merge" | "strategic"; readonly body: unknown }
  | { readonly type: "json"; readonly body: readonly unknown[] }
  | { readonly type: "apply"; readonly body: unknown; readonly force?: boolean };

export interface DeleteOptions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan" | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Every method rejects with `KubeError`; with the signal's reason when aborted. */
export interface KubeClient {
  get<T extends KubeObject>(type: ResourceType<T>, ref: Ref, options?: { signal?: AbortSignal }): Promise<T>;
  list<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): Promise<List<T>>;
  /** Ends when the server ends it; throws `KubeError` with reason `Expired` when the revision is too old. */
  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;
  /** Replaces; `metadata.resourceVersion`, when set, is a precondition. */
  update<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(type: ResourceType<T>, ref: Ref, patch: Patch, options?: WriteOptions): Promise<T>;
  delete<T extends KubeObject>(type: ResourceType<T>, ref: Ref, options?: DeleteOptions): Promise<void>;
  /** POST to a subresource such as `token` or `eviction`. */
  post<T extends KubeObject>(type: ResourceType<T>, ref: Ref, subresource: string, body: unknown): Promise<unknown>;
}

/** A Kubernetes `Status` of failure. `reason` as the API spells it: NotFound, AlreadyExists, Conflict, Expired, Invalid … */
export class KubeError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: unknown;
  constructor(code: number, reason: string, message: string, details?: unknown) {
    super(message);
    this.name = "KubeError";
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

export const isReason = (error: unknown, reason: string): boolean =>
  error instanceof KubeError && error.reason === reason;
