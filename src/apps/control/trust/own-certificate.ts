/** The control plane's own serving certificate, signed by its own authority and renewed long before it runs out. */
import { controlPlaneName } from "../../../core/api/names.ts";
import { spiffeId } from "../../../core/mesh/model.ts";
import type { MeshSettings } from "../../../core/mesh/model.ts";
import type { Host } from "../../../io/host/host.ts";
import { makeKeyAndCsr } from "../../../io/identity/csr.ts";
import type { ServingCertificate } from "../model/tls-door.ts";
import type { CaKeeper } from "./ca-keeper.ts";

const lifetimeMs = 24 * 3_600_000;
const retryMs = 5_000;

/** Names under which agents and peers know a control plane; the second is what proxies of other makes expect. */
const serviceNames = [controlPlaneName, "istiod"];

export function ownDnsNames(namespace: string, clusterDomain: string): readonly string[] {
  return serviceNames.flatMap((name) => [
    name,
    `${name}.${namespace}`,
    `${name}.${namespace}.svc`,
    `${name}.${namespace}.svc.${clusterDomain}`,
  ]);
}

export const ownIdentity = (mesh: MeshSettings, namespace: string): string =>
  spiffeId(mesh.trustDomain, namespace, controlPlaneName);

/** The first certificate; then `replaced` is called with each next one until the signal aborts. */
export async function keepOwnCertificate(
  host: Host,
  ca: CaKeeper,
  options: { readonly mesh: MeshSettings; readonly namespace: string; readonly signal: AbortSignal },
  replaced: (certificate: ServingCertificate) => void,
): Promise<ServingCertificate> {
  const { mesh, namespace, signal } = options;
  const issue = async (): Promise<ServingCertificate & { readonly renewAt: number }> => {
    const authority = ca.authority();
    if ("problem" in authority) throw new Error(authority.problem);
    const identity = ownIdentity(mesh, namespace);
    const { keyPem, csrPem } = await makeKeyAndCsr(identity);
    const dnsNames = ownDnsNames(namespace, mesh.clusterDomain);
    const signed = await authority.sign({ csrPem, identity, lifetimeMs, dnsNames });
    if (!signed.ok) throw new Error(signed.problem);
    const now = host.clock.now();
    const renewAt = now + (signed.notAfterMs - now) / 2;
    return { chainPem: signed.chainPems.join(""), keyPem, rootPem: signed.rootPem, renewAt };
  };
  const first = await issue();
  const renewals = new Renewals(ca);
  void (async () => {
    let { renewAt } = first;
    while (!signal.aborted) {
      await renewals.wait(host, renewAt, signal);
      if (signal.aborted) return;
      try {
        const next = await issue();
        renewAt = next.renewAt;
        replaced(next);
      } catch (error) {
        host.log.error("certificate.renew", { cause: error instanceof Error ? error.message : String(error) });
        renewAt = host.clock.now() + retryMs;
      }
    }
  })();
  return first;
}

/** Waits for the time of renewal, or for a new authority, whichever is first. */
class Renewals {
  private isDue = false;
  private wake: () => void = () => undefined;

  constructor(ca: CaKeeper) {
    let isFirst = true;
    ca.onChange(() => {
      if (!isFirst) {
        this.isDue = true;
        this.wake();
      }
      isFirst = false;
    });
  }

  async wait(host: Host, until: number, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    this.wake = () => stop.abort(new Error("a new authority"));
    if (this.isDue) this.wake();
    const ms = Math.max(0, until - host.clock.now());
    await host.clock.sleep(ms, AbortSignal.any([stop.signal, signal])).catch(() => undefined);
    this.isDue = false;
  }
}
