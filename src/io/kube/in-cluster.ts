/** The API server of the cluster this program runs in, as Kubernetes tells every pod. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { bracketed } from "../../core/api/ip.ts";
import type { Host } from "../host/host.ts";
import { tokenFileCredential } from "./credentials.ts";
import type { KubeEndpoint } from "./endpoint.ts";

const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

type Environment = Readonly<Record<string, string | undefined>>;

export const isInCluster = (env: Environment, folder = serviceAccountFolder): boolean =>
  env["KUBERNETES_SERVICE_HOST"] !== undefined && existsSync(`${folder}/token`);

export async function inClusterEndpoint(
  host: Host,
  env: Environment,
  folder = serviceAccountFolder,
): Promise<KubeEndpoint> {
  const address = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"] ?? "443";
  if (address === undefined) {
    throw new Error("This program does not run in a pod (KUBERNETES_SERVICE_HOST is not set); give it a kubeconfig.");
  }
  const namespace = await readFile(`${folder}/namespace`, "utf8").catch(() => "default");
  return {
    server: `https://${bracketed(address)}:${port}`,
    certificateAuthority: await readFile(`${folder}/ca.crt`, "utf8"),
    isVerified: true,
    credentials: tokenFileCredential(host, `${folder}/token`),
    namespace: namespace.trim(),
    context: "in-cluster",
  };
}
