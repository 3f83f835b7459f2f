/** Who calls the control plane: service-account tokens, judged by the API server, and whom a node agent may speak for. */
import { createHash } from "node:crypto";
import type grpc from "@grpc/grpc-js";
import type { AnyObject } from "../../../core/api/kube.ts";
import { agentName, systemNamespace, tokenAudience } from "../../../core/api/names.ts";
import { spiffeId } from "../../../core/mesh/model.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { Host } from "../../../io/host/host.ts";
import type { Caller } from "../../../io/identity/ca-service.ts";
import { parseIdentity } from "../../../io/identity/x509.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import type { Informer } from "../../../io/kube/informer.ts";

/** A token that was found good is not asked about again for so long. */
const acceptedMs = 60_000;
const rememberedMax = 4_096;
/** Service accounts in istio-system that may ask for the identities of pods on their node. */
const nodeAgents: ReadonlySet<string> = new Set([agentName, "ztunnel"]);

interface Review {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly audiences?: readonly string[];
    readonly error?: string;
    readonly user?: { readonly username?: string; readonly extra?: Readonly<Record<string, readonly string[]>> };
  };
}

export class Callers {
  private readonly host: Host;
  private readonly client: KubeClient;
  private readonly pods: ReadonlyMap<string, Pod>;
  private readonly trustDomain: string;
  private readonly remembered = new Map<string, { readonly caller: Caller; readonly until: number }>();
  /** `<node> <ns>/<service account>` → number of pods. */
  private readonly podsByNodeAndAccount = new Map<string, number>();

  constructor(host: Host, client: KubeClient, pods: Informer<Pod>, trustDomain: string) {
    this.host = host;
    this.client = client;
    this.pods = pods.objects;
    this.trustDomain = trustDomain;
    pods.onChange((changes) => {
      for (const { before, after } of changes) {
        this.count(before, -1);
        this.count(after, 1);
      }
    });
  }

  /** Throws with a sentence for the caller when the token is missing or not good. */
  async authenticate(metadata: grpc.Metadata): Promise<Caller> {
    const [header] = metadata.get("authorization");
    const token = typeof header === "string" && header.startsWith("Bearer ") ? header.slice("Bearer ".length) : "";
    if (token === "") throw new Error("No service-account token came with the call; send it as a Bearer token.");
    const key = createHash("sha256").update(token).digest("hex");
    const known = this.remembered.get(key);
    if (known !== undefined && this.host.clock.elapsed() < known.until) return known.caller;
    const caller = await this.review(token);
    if (this.remembered.size >= rememberedMax) this.remembered.clear();
    this.remembered.set(key, { caller, until: this.host.clock.elapsed() + acceptedMs });
    return caller;
  }

  /** Only for identities that have a pod on the caller's own node. */
  mayImpersonate(caller: Caller, identity: string): boolean {
    const own = parseIdentity(caller.identity);
    const wanted = parseIdentity(identity);
    if (own === undefined || wanted === undefined || caller.node === undefined) return false;
    const isAgent = own.namespace === systemNamespace && nodeAgents.has(own.serviceAccount);
    if (!isAgent || wanted.trustDomain !== this.trustDomain) return false;
    const account = `${wanted.namespace}/${wanted.serviceAccount}`;
    return (this.podsByNodeAndAccount.get(`${caller.node} ${account}`) ?? 0) > 0;
  }

  private async review(token: string): Promise<Caller> {
    const request: AnyObject = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      metadata: { name: "" },
      spec: { token, audiences: [tokenAudience] },
    };
    // The API server answers a TokenReview with the same kind; every field that is used may be absent.
    const { status } = (await this.client.create(builtin.tokenReviews, request)) as Review;
    if (status?.authenticated !== true) {
      throw new Error(`The service-account token is not accepted: ${status?.error ?? "it is not valid"}.`);
    }
    const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(status.user?.username ?? "") ?? [];
    if (namespace === undefined || name === undefined) throw new Error("The token is not that of a service account.");
    // Absent, it means that no audience was looked at: any token for the API server would do.
    if (status.audiences?.includes(tokenAudience) !== true) {
      throw new Error(`The service-account token is not meant for audience ${tokenAudience}.`);
    }
    const identity = spiffeId(this.trustDomain, namespace, name);
    const node = this.nodeOf(namespace, status.user?.extra ?? {});
    return node === undefined ? { identity } : { identity, node };
  }

  /** As the token says; tokens of older clusters name only the pod. */
  private nodeOf(namespace: string, extra: Readonly<Record<string, readonly string[]>>): string | undefined {
    const named = extra["authentication.kubernetes.io/node-name"]?.[0];
    if (named !== undefined) return named;
    const podName = extra["authentication.kubernetes.io/pod-name"]?.[0];
    const pod = podName === undefined ? undefined : this.pods.get(`${namespace}/${podName}`);
    const uid = extra["authentication.kubernetes.io/pod-uid"]?.[0];
    return uid === undefined || pod?.metadata.uid === uid ? pod?.spec.nodeName : undefined;
  }

  private count(pod: Pod | undefined, by: 1 | -1): void {
    const node = pod?.spec.nodeName;
    if (pod === undefined || node === undefined) return;
    const key = `${node} ${pod.metadata.namespace ?? ""}/${pod.spec.serviceAccountName ?? "default"}`;
    const count = (this.podsByNodeAndAccount.get(key) ?? 0) + by;
    if (count > 0) this.podsByNodeAndAccount.set(key, count);
    else this.podsByNodeAndAccount.delete(key);
  }
}
