/** Pages of a node's agent: its pods and certificates, why a call goes where it goes, and probes of the data path. */
import type { Server } from "node:http";
import { clusterDomain } from "../../../core/api/names.ts";
import { podWorkloadUid } from "../../../core/envoy/endpoints.ts";
import type { NodeView } from "../../../core/envoy/view.ts";
import { isIp } from "../../../core/api/ip.ts";
import type { ExplainAnswer } from "../../../core/explain/answers.ts";
import { explainCall, type NameAnswer } from "../../../core/explain/call.ts";
import { compareWithEnvoy, heldEndpoints } from "../../../core/explain/envoy-state.ts";
import { upstreamsOf } from "../../../io/dns/forwarder.ts";
import { lookUp } from "../../../io/dns/look-up.ts";
import { readNow } from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import { readCertificate, splitPem } from "../../../io/identity/x509.ts";
import type { WorkloadCertificate } from "../../../io/identity/certificate.ts";
import type { CertificateStore } from "../../../io/identity/certificate-store.ts";
import type { NodeCertificates } from "../certificates.ts";
import type { AgentConfig } from "../config.ts";
import type { Proxy } from "../proxy.ts";
import { modelPages, portOf } from "./model-pages.ts";
import { probeAll } from "./probing.ts";
import { type DebugPage, PageProblem, parameter, serveDebug } from "./server.ts";

export interface NodeDebugOptions {
  readonly config: AgentConfig;
  readonly view: NodeView;
  readonly certificates: NodeCertificates;
  readonly proxy: Proxy;
  readonly isSynced: () => boolean;
}

type PodName = { readonly namespace: string; readonly name: string };

function podOf(query: URLSearchParams): PodName {
  const [namespace = "", name = ""] = parameter(query, "pod").split("/");
  if (namespace !== "" && name !== "") return { namespace, name };
  throw new PageProblem(400, "The parameter pod is not <namespace>/<name>.");
}

const isCaptured = ({ podsByUid }: NodeView, pod: PodName): boolean =>
  [...podsByUid.values()].some(({ namespace, name }) => namespace === pod.namespace && name === pod.name);

function nameAnswer({ config, view }: NodeDebugOptions, pod: PodName, host: string): Promise<NameAnswer> {
  if (isIp(host)) return Promise.resolve({ by: "itself", addresses: [host] });
  const isAsked = config.captureDns && isCaptured(view, pod);
  return lookUp(host, {
    lookup: isAsked ? view.replica : undefined,
    client: { network: view.network, namespace: pod.namespace, clusterDomain },
    upstreams: upstreamsOf(readNow("/etc/resolv.conf") ?? ""),
  });
}

async function explain(options: NodeDebugOptions, query: URLSearchParams): Promise<ExplainAnswer> {
  const { view, config } = options;
  const { admin } = options.proxy;
  const [pod, host, port] = [podOf(query), parameter(query, "host"), portOf(query)];
  const call = explainCall(view, { pod, host, port, answer: await nameAnswer(options, pod, host) });
  if (call === undefined) {
    const name = `${pod.namespace}/${pod.name}`;
    throw new PageProblem(
      404,
      `Node ${config.node} knows no Pod ${name} with an address; see 'kubectl get pods -o wide'.`,
    );
  }
  if (call.route !== "endpoints" || call.envoyCluster === undefined) return { call, envoy: undefined };
  const page: unknown = JSON.parse(await admin.get("/clusters?format=json"));
  return { call, envoy: compareWithEnvoy(call.candidates, heldEndpoints(page, call.envoyCluster)) };
}

function podsPage(view: NodeView): readonly unknown[] {
  return [...view.podsByUid.values()].map(({ uid, namespace, name, identity, ip, isDraining }) => ({
    uid,
    namespace,
    name,
    identity,
    ip,
    isDraining,
    isKnown: view.replica.workload(podWorkloadUid(view.cluster, { namespace, name })) !== undefined,
  }));
}

export type HeldCertificates = Pick<CertificateStore, "identities" | "problem" | "get">;

/** Nothing of the key. */
function shownOf({ chainPem, rootPem, notBeforeMs, notAfterMs }: WorkloadCertificate, nowMs: number) {
  const [leaf, ...chain] = splitPem(chainPem).flatMap((pem) => readCertificate(pem) ?? []);
  return {
    serial: leaf?.serialNumber,
    issuer: leaf?.issuer,
    isValid: notBeforeMs <= nowMs && nowMs < notAfterMs,
    notBefore: isoSeconds(notBeforeMs),
    notAfter: isoSeconds(notAfterMs),
    chain: chain.map(({ subject, validTo }) => ({ subject, validTo })),
    roots: splitPem(rootPem).flatMap((pem) => readCertificate(pem)?.subject ?? []),
  };
}

/** `get certificates` reads it; an identity that has no certificate is not valid. */
export const certificatesPage = (store: HeldCertificates, nowMs: number): readonly unknown[] =>
  store.identities().map((identity) => {
    const problem = store.problem(identity);
    const held = store.get(identity);
    const shown = held === undefined ? { isValid: false } : shownOf(held, nowMs);
    return { identity, ...shown, ...(problem === undefined ? {} : { problem }) };
  });

export function serveNodeDebug(host: Host, options: NodeDebugOptions): Promise<Server> {
  const { config, view, certificates, proxy, isSynced } = options;
  const status = async () => ({
    mode: config.mode,
    node: config.node,
    cluster: config.cluster,
    network: config.network,
    trustDomain: config.trustDomain,
    isSynced: isSynced(),
    isEnvoyReady: await proxy.admin.isReady(),
    isEnvoyCurrent: proxy.isCurrent(),
    services: [...view.replica.services()].length,
    workloads: [...view.replica.workloads()].length,
    policies: [...view.replica.policies()].length,
    pods: view.podsByUid.size,
  });
  const pages: Record<string, DebugPage> = {
    ...modelPages({ ...view, status }),
    "/debug/pods": () => podsPage(view),
    "/debug/certificates": () => certificatesPage(certificates.store, host.clock.now()),
    "/debug/explain": (query) => explain(options, query),
    "/debug/probe": (query) => probeAll(host, view, query.get("cluster")),
  };
  return serveDebug(pages);
}
