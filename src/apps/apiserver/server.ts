/**
 * Starts the sandbox's Kubernetes-compatible API server: store, kinds, identities and listeners of one cluster. Real
 * kubectl talks to it over HTTPS; controllers in this process through `client`.
 */
import { join } from "node:path";
import { bracketed } from "../../core/api/ip.ts";
import type { Host } from "../../io/host/host.ts";
import type { KubeClient } from "../../io/kube/client.ts";
import type { ApiContext } from "./api/context.ts";
import { Verbs } from "./api/verbs.ts";
import { Authenticator, admin } from "./auth/authenticator.ts";
import type { Identities } from "./auth/reviews.ts";
import { TokenIssuer } from "./auth/tokens.ts";
import { bootstrap } from "./bootstrap.ts";
import { LocalClient } from "./client.ts";
import { Registry } from "./crd/registry.ts";
import { followDefinitions } from "./definitions.ts";
import { documentsOf } from "./http/documents.ts";
import { Handler } from "./http/handler.ts";
import type { ListenAddress } from "./http/listen.ts";
import { listen } from "./http/listen.ts";
import { logAnswer, upgradeAnswer } from "./http/streams.ts";
import type { KindRegistry } from "./kind.ts";
import type { NodeStreams } from "./node-streams.ts";
import { Store } from "./store/store.ts";

export interface ApiServerOptions {
  /** Of the cluster; for the log. */
  readonly name: string;
  /** Absent: everything in memory, gone with the process. */
  readonly dataDir?: string | undefined;
  /** Skips fdatasync: a crash of the machine may lose writes. */
  readonly ephemeral?: boolean | undefined;
  /** The first is the one in `url`. */
  readonly listen: readonly ListenAddress[];
  /** PEM. The CA is not used to serve; it is what clients of this server trust. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string };
  readonly adminToken: string;
  /** IPv4 range of Services, e.g. `10.96.0.0/16`. */
  readonly serviceCidr: string;
  readonly nodeStreams: NodeStreams;
  /** Address of the API server as pods reach it, for the endpoints of the `kubernetes` Service. */
  readonly advertise?: ListenAddress | undefined;
  /** Waited for before each request is answered; the sandbox makes a server slow by it. */
  readonly pace?: (() => Promise<void>) | undefined;
  /** Issuer of service-account tokens. */
  readonly issuer?: string | undefined;
}

export interface ApiServer {
  readonly client: KubeClient;
  /** A client whose writes are owned by this field manager. */
  clientFor(fieldManager: string): KubeClient;
  readonly url: string;
  readonly addresses: readonly ListenAddress[];
  readonly registry: KindRegistry;
  close(): Promise<void>;
}

const defaultIssuer = "https://kubernetes.default.svc.cluster.local";

export async function startApiServer(host: Host, options: ApiServerOptions): Promise<ApiServer> {
  const { dataDir, serviceCidr, name } = options;
  const startMs = host.clock.now();
  const directory = dataDir === undefined ? undefined : join(dataDir, "objects");
  const store = await Store.open(host, { directory, isSynced: options.ephemeral !== true });
  const registry = new Registry();
  const context: ApiContext = { host, store, registry, serviceCidr };
  const stopFollowing = followDefinitions(context, registry);
  const issuer = await TokenIssuer.open(context, options.issuer ?? defaultIssuer, dataDir);
  const identities: Identities = { context, issuer, authenticator: new Authenticator(options.adminToken, issuer) };
  const verbs = new Verbs(context, identities);
  const clientFor = (fieldManager: string) => new LocalClient(verbs, { user: admin, fieldManager });
  const client = clientFor("tombolo-sandbox");
  await bootstrap(client, { serviceCidr, advertise: options.advertise });
  const log = logAnswer(context, options.nodeStreams);
  const handler = new Handler({ verbs, identities, documents: documentsOf(registry, issuer), log });
  const upgrade = upgradeAnswer(context, options.nodeStreams, handler);
  const listening = await listen(options.listen, options.tls, {
    answer: async (request, response) => {
      await options.pace?.();
      return handler.answer(request, response);
    },
    upgrade: async (...args) => {
      await options.pace?.();
      return upgrade(...args);
    },
  });
  const first = listening.addresses[0];
  if (first === undefined) throw new Error(`The API server of ${name} was given no address to listen on.`);
  const url = `https://${bracketed(first.address)}:${first.port}`;
  host.log.info("apiserver.started", {
    cluster: name,
    url,
    revision: store.revision,
    tookMs: host.clock.now() - startMs,
  });
  const close = async () => {
    stopFollowing();
    await listening.close();
    await store.close();
  };
  return { client, clientFor, url, addresses: listening.addresses, registry, close };
}
