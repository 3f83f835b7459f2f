/** The kubeconfig of an API server that a test has started itself, without a sandbox around it. */
import { writeFileSync } from "node:fs";

/** One context, the current one; readable by its owner only. */
export function writeAdminKubeconfig(path: string, server: string, caPem: string, token: string): void {
  const cluster = { server, "certificate-authority-data": Buffer.from(caPem).toString("base64") };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user: { token } }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    "current-context": "c",
  };
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
}
