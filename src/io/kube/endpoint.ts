/** Where one Kubernetes API server is and how a program proves itself to it; made by `kubeconfig.ts` and `in-cluster.ts`. */

/** What a request carries. Keys and tokens are never logged. */
export interface Credential {
  readonly token?: string | undefined;
  readonly basic?: { readonly username: string; readonly password: string } | undefined;
  /** PEM; both or none. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export interface CredentialSource {
  current(signal?: AbortSignal): Promise<Credential>;
  /** The server answered 401: what is remembered must be fetched anew. */
  refused(): void;
}

export interface Impersonation {
  readonly user: string;
  readonly groups: readonly string[];
}

export interface KubeEndpoint {
  /** `https://host:port`, perhaps with a path; `http://` for a local proxy. */
  readonly server: string;
  /** PEM bundle; absent means the system's roots. */
  readonly certificateAuthority?: string | undefined;
  /** Name to expect in the server's certificate when it is not the host of `server`. */
  readonly serverName?: string | undefined;
  /** False when the kubeconfig says `insecure-skip-tls-verify`. */
  readonly isVerified: boolean;
  readonly credentials: CredentialSource;
  readonly impersonate?: Impersonation | undefined;
  /** Default namespace of the context. */
  readonly namespace: string;
  /** Name of the context, or `in-cluster`; for messages. */
  readonly context: string;
}

/** A credential that never changes. */
export const fixedCredential = (credential: Credential): CredentialSource => ({
  current: () => Promise.resolve(credential),
  refused: () => undefined,
});
