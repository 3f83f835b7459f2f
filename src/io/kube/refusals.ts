/**
 * A client that notices which rights its ServiceAccount lacks: what RBAC refuses is said once with verb, resource and
 * the way out, then rarely, until the same is answered. Owns the list of what is refused now.
 */
import type { KubeObject, ResourceType } from "../../core/api/kube.ts";
import type { Host } from "../host/host.ts";
import { isReason } from "./client.ts";
import type { KubeClient, Ref, WatchEvent, WatchOptions } from "./client.ts";

export interface Refusal {
  readonly verb: string;
  /** As RBAC rules spell it: `<plural>[/<subresource>]`. */
  readonly resource: string;
  readonly group: string;
  /** Of the request that was refused; absent when it was about the whole cluster. */
  readonly namespace: string | undefined;
  /** A full sentence. */
  readonly message: string;
  /** A full sentence: the way out. */
  readonly remedy: string;
}

export interface RefusalOptions {
  /** Whose rules these are: the ClusterRole of the program. */
  readonly role: string;
  /** Hears of a right that is missing, and with `isRefused` false that it is there again. */
  readonly changed?: (key: string, refusal: Refusal, isRefused: boolean) => void;
}

/** A right that stays missing is said again after this. */
const repeatMs = 10 * 60_000;

/** Other things are forbidden too, such as creating in a namespace that goes away; only RBAC says it like this. */
const rbacWords = / cannot \w+ resource /;

type Asked = Pick<Refusal, "verb" | "resource" | "group" | "namespace">;

export function noticeRefusals(host: Host, client: KubeClient, options: RefusalOptions): KubeClient {
  return new Noticing(host, client, options);
}

class Noticing implements KubeClient {
  readonly #host: Host;
  readonly #client: KubeClient;
  readonly #options: RefusalOptions;
  /** By verb and resource: as many as the program asks for, at most. */
  readonly #refused = new Map<string, { readonly refusal: Refusal; saidAt: number }>();

  constructor(host: Host, client: KubeClient, options: RefusalOptions) {
    this.#host = host;
    this.#client = client;
    this.#options = options;
  }

  get: KubeClient["get"] = (type, ref, options) =>
    this.#noticed(asked("get", type, ref), this.#client.get(type, ref, options));

  list: KubeClient["list"] = (type, options) =>
    this.#noticed(asked("list", type, options), this.#client.list(type, options));

  async *watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const what = asked("watch", type, options);
    try {
      for await (const event of this.#client.watch(type, options)) {
        this.#allowed(what);
        yield event;
      }
      this.#allowed(what);
    } catch (error) {
      this.#failed(what, error);
      throw error;
    }
  }

  create: KubeClient["create"] = (type, object, options) =>
    this.#noticed(
      asked("create", type, object.metadata, options?.subresource),
      this.#client.create(type, object, options),
    );

  update: KubeClient["update"] = (type, object, options) =>
    this.#noticed(
      asked("update", type, object.metadata, options?.subresource),
      this.#client.update(type, object, options),
    );

  patch: KubeClient["patch"] = (type, ref, patch, options) =>
    this.#noticed(asked("patch", type, ref, options?.subresource), this.#client.patch(type, ref, patch, options));

  delete: KubeClient["delete"] = (type, ref, options) =>
    this.#noticed(asked("delete", type, ref), this.#client.delete(type, ref, options));

  post: KubeClient["post"] = (type, ref, subresource, body) =>
    this.#noticed(asked("create", type, ref, subresource), this.#client.post(type, ref, subresource, body));

  async #noticed<T>(what: Asked, answer: Promise<T>): Promise<T> {
    try {
      const value = await answer;
      this.#allowed(what);
      return value;
    } catch (error) {
      this.#failed(what, error);
      throw error;
    }
  }

  #allowed(what: Asked): void {
    const key = keyOf(what);
    const known = this.#refused.get(key);
    // A right in one namespace says nothing about another.
    if (known === undefined || known.refusal.namespace !== what.namespace) return;
    this.#refused.delete(key);
    const { verb, resource, group } = what;
    this.#host.log.info("kube.allowed", { verb, resource, group, role: this.#options.role });
    this.#options.changed?.(key, known.refusal, false);
  }

  #failed(what: Asked, error: unknown): void {
    if (!isReason(error, "Forbidden") || !(error instanceof Error) || !rbacWords.test(error.message)) return;
    const key = keyOf(what);
    const now = this.#host.clock.elapsed();
    const known = this.#refused.get(key);
    if (known !== undefined && now - known.saidAt < repeatMs) return;
    const refusal = refusalOf(what, this.#options.role);
    this.#refused.set(key, { refusal, saidAt: now });
    const { verb, resource, group, message, remedy } = refusal;
    this.#host.log.warn("kube.forbidden", { verb, resource, group, message, remedy });
    this.#options.changed?.(key, refusal, true);
  }
}

const asked = (
  verb: string,
  { group, plural }: Pick<ResourceType, "group" | "plural">,
  where: Partial<Pick<Ref, "namespace">> | undefined,
  subresource?: string,
): Asked => ({
  verb,
  group,
  resource: subresource === undefined ? plural : `${plural}/${subresource}`,
  namespace: where?.namespace,
});

const keyOf = ({ verb, resource, group }: Asked): string => `${verb} ${resource}.${group}`;

function refusalOf(what: Asked, role: string): Refusal {
  const { verb, resource, group, namespace } = what;
  const full = group === "" ? resource : `${resource} of ${group}`;
  const where = namespace === undefined ? "" : ` in namespace ${namespace}`;
  return {
    ...what,
    message: `The ServiceAccount of ${role} may not ${verb} ${full}${where}.`,
    remedy:
      `Run 'tombolo install' again, which writes ClusterRole ${role} as it should be, ` +
      `or add verb "${verb}" for resource "${resource}" of API group "${group}" to it.`,
  };
}
