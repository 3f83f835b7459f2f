/** A workload's certificate with its key, as a node holds it in memory. */
export interface WorkloadCertificate {
  readonly identity: string;
  /** Leaf first, then intermediates. */
  readonly chainPem: string;
  /** PKCS#8; never leaves the node, never logged. */
  readonly keyPem: string;
  /** The roots that came with it. */
  readonly rootPem: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}
