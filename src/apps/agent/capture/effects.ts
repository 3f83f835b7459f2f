/** The real effects of capture: nft and ip inside the pod's network namespace, the mark on the pod through the API. */
import { errorText } from "../../../core/api/error-text.ts";
import { annotation } from "../../../core/api/names.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { LocalPod } from "../../../core/envoy/view.ts";
import type { Host } from "../../../io/host/host.ts";
import { run, runOrThrow } from "../../../io/host/processes.ts";
import { fileExists, writeNow } from "../../../io/host/files.ts";
import { withNamespaces } from "../../../io/host/netns.ts";
import { isReason, type KubeClient } from "../../../io/kube/client.ts";
import type { CaptureEffects } from "./captor.ts";
import { noNodeRules, nodeRules, noPodRoutes, noPodRules, noPodRulesOfIpv6 } from "./rules.ts";
import { podRoutes, podRules, podRulesOfIpv6 } from "./rules.ts";

export interface EffectOptions {
  readonly host: Host;
  readonly client: KubeClient;
  /** Address of the node at which the agent answers DNS; undefined: DNS is left alone. */
  readonly dnsAddress: string | undefined;
  netnsOf(uid: string): string | undefined;
  /** Names of the listeners that Envoy has active. */
  activeListeners(signal: AbortSignal): Promise<ReadonlySet<string>>;
  /** Names of the listeners that a pod must have before it is captured. */
  listenersOf(pod: LocalPod): readonly string[];
}

const listeningMsMax = 10_000;
const listeningPollMs = 10;

const nft = (rules: string, net?: string): Promise<string> =>
  runOrThrow("nft", ["-f", "-"], { input: rules, ...(net === undefined ? {} : { inside: { net } }) });

/**
 * How often the kernel sends unanswered data again before it gives a connection up: after about 14 s instead of 15
 * minutes. A limit per socket (TCP_USER_TIMEOUT) would also cut connections whose reader is merely slow.
 */
const retries = { captured: "5", plain: "15" };

/** Best effort: a node that forbids it keeps its own limit. */
function setRetries(host: Host, netnsPath: string, count: string): void {
  try {
    withNamespaces({ net: netnsPath }, () => writeNow("/proc/sys/net/ipv4/tcp_retries2", count));
  } catch (error) {
    host.log.debug("capture.retries", { netns: netnsPath, cause: errorText(error) });
  }
}

/**
 * Never takes the routes away to add them anew: for that moment replies of open connections would leave the pod, and the
 * real client, which knows nothing of them, would reset them.
 */
async function addRoutes(inside: { readonly net: string }): Promise<void> {
  const { stderr } = await run("ip", ["-force", "-batch", "-"], { input: podRoutes(), inside });
  const problems = stderr.split("\n").filter((line) => !/^$|File exists|^Command failed/.test(line));
  if (problems.length > 0) throw new Error(`ip -batch: ${problems.join("; ")}`);
}

/** Present when the kernel has IPv6 at all. */
const ipv6Path = "/proc/net/if_inet6";

export function captureEffects(options: EffectOptions): CaptureEffects {
  const { host, client, dnsAddress } = options;
  const rulesOf = (pod: LocalPod) => podRules({ dnsAddress, isDraining: pod.isDraining });
  return {
    netnsOf: (uid) => options.netnsOf(uid),
    isThere: (pod) => fileExists(pod.netnsPath),
    async unlistened(pod, signal) {
      const names = options.listenersOf(pod);
      const end = host.clock.elapsed() + listeningMsMax;
      for (;;) {
        const active = await options.activeListeners(signal);
        if (!names.some((name) => active.has(name))) return;
        if (host.clock.elapsed() > end) throw new Error(`Envoy still listens: ${names.join(", ")}`);
        await host.clock.sleep(listeningPollMs, signal);
      }
    },
    async listening(pod, signal) {
      const wanted = options.listenersOf(pod);
      const end = host.clock.elapsed() + listeningMsMax;
      for (;;) {
        const active = await options.activeListeners(signal);
        const missing = wanted.filter((name) => !active.has(name));
        if (missing.length === 0) return;
        if (host.clock.elapsed() > end) throw new Error(`Envoy does not listen yet: ${missing.join(", ")}`);
        await host.clock.sleep(listeningPollMs, signal);
      }
    },
    async redirect(pod) {
      const inside = { net: pod.netnsPath };
      await addRoutes(inside);
      setRetries(host, pod.netnsPath, retries.captured);
      await nft(rulesOf(pod), pod.netnsPath);
      if (fileExists(ipv6Path)) await nft(podRulesOfIpv6(), pod.netnsPath);
    },
    async release(pod) {
      if (!fileExists(pod.netnsPath)) return;
      const inside = { net: pod.netnsPath };
      setRetries(host, pod.netnsPath, retries.plain);
      // The pod may end while we let it go; what is gone needs no release.
      for (const input of [noPodRules(), noPodRulesOfIpv6()]) {
        await run("nft", ["-f", "-"], { input, inside }).catch(() => undefined);
      }
      await run("ip", ["-force", "-batch", "-"], { input: noPodRoutes(), inside }).catch(() => undefined);
    },
    nodeAddresses: async (addresses) => {
      await nft(nodeRules(addresses));
    },
    async mark(pod, isCaptured) {
      const body = {
        metadata: { uid: pod.uid, annotations: { [annotation.redirection]: isCaptured ? "enabled" : null } },
      };
      try {
        await client.patch(builtin.pods, { name: pod.name, namespace: pod.namespace }, { type: "merge", body });
      } catch (error) {
        // Gone, or another pod of that name (its uid differs): nothing to mark.
        if (!isReason(error, "NotFound") && !isReason(error, "Conflict") && !isReason(error, "Invalid")) throw error;
      }
    },
  };
}

/** When the mesh leaves the node for good. */
export const clearNode = (): Promise<string> => nft(noNodeRules());
