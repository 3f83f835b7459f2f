/** Credentials that change: a token file that is rewritten, and a program (`exec` of a kubeconfig) that prints one. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { errorText } from "../../core/api/error-text.ts";
import type { Host } from "../host/host.ts";
import { msOfIso } from "../host/iso-time.ts";
import { KubeError } from "./client.ts";
import type { Credential, CredentialSource } from "./endpoint.ts";

const tokenFileMs = 60_000;
const execTimeoutMs = 60_000;
/** A credential that runs out this soon is not used any more. */
const expirySkewMs = 10_000;
const maxOutputBytes = 1024 * 1024;

/** Reads the file again every minute: the kubelet renews projected tokens. */
export function tokenFileCredential(host: Host, path: string): CredentialSource {
  let token: string | undefined;
  let readAt = 0;
  return {
    async current(): Promise<Credential> {
      if (token !== undefined && host.clock.elapsed() - readAt < tokenFileMs) return { token };
      try {
        token = (await readFile(path, "utf8")).trim();
      } catch (error) {
        const cause = errorText(error);
        throw new KubeError(0, "BadCredential", `The token file ${path} cannot be read: ${cause}.`);
      }
      readAt = host.clock.elapsed();
      return { token };
    },
    refused: () => {
      token = undefined;
    },
  };
}

/** The `exec` part of a kubeconfig user, with `command` resolved against the kubeconfig's folder. */
export interface ExecPlugin {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly installHint: string | undefined;
  readonly isInteractive: boolean;
  /** Told to the program when it asks for it (`provideClusterInfo`). */
  readonly cluster: Readonly<Record<string, unknown>> | undefined;
  readonly user: string;
}

/** Runs the program when there is no credential or the last one runs out; concurrent callers share one run. */
export function execCredential(
  host: Host,
  plugin: ExecPlugin,
  environment: Readonly<Record<string, string | undefined>>,
): CredentialSource {
  let kept: { credential: Credential; expiresAt: number } | undefined;
  let running: Promise<Credential> | undefined;
  const renew = async (): Promise<Credential> => {
    try {
      kept = parseExecCredential(plugin, await runPlugin(host, plugin, environment));
      return kept.credential;
    } finally {
      running = undefined;
    }
  };
  return {
    current: async () => {
      if (kept !== undefined && host.clock.now() < kept.expiresAt - expirySkewMs) return kept.credential;
      running ??= renew();
      return running;
    },
    refused: () => {
      kept = undefined;
    },
  };
}

const failure = (plugin: ExecPlugin, what: string): KubeError => {
  const hint = plugin.installHint === undefined ? "" : ` ${plugin.installHint.trim()}`;
  const message = `The credential program ${plugin.command} of kubeconfig user ${plugin.user} ${what}.${hint}`;
  return new KubeError(0, "BadCredential", message);
};

function runPlugin(
  host: Host,
  plugin: ExecPlugin,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const info = {
    apiVersion: plugin.apiVersion,
    kind: "ExecCredential",
    spec: { interactive: plugin.isInteractive, ...(plugin.cluster && { cluster: plugin.cluster }) },
  };
  const env = {
    ...environment,
    ...Object.fromEntries(plugin.env.map(({ name, value }) => [name, value])),
    KUBERNETES_EXEC_INFO: JSON.stringify(info),
  };
  return new Promise((resolve, reject) => {
    const child = spawn(plugin.command, plugin.args, {
      env,
      stdio: [plugin.isInteractive ? "inherit" : "ignore", "pipe", "inherit"],
    });
    const cancel = host.clock.after(execTimeoutMs, () => child.kill("SIGKILL"));
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.length > maxOutputBytes) child.kill("SIGKILL");
    });
    child.on("error", (error) => {
      cancel();
      reject(failure(plugin, `cannot be started: ${error.message}`));
    });
    child.on("close", (code, signal) => {
      cancel();
      if (code === 0) resolve(output);
      else reject(failure(plugin, signal === null ? `ended with status ${code}` : `was ended by ${signal}`));
    });
  });
}

/** Exported for its test. */
function parseExecCredential(plugin: ExecPlugin, output: string): { credential: Credential; expiresAt: number } {
  let printed: { kind?: unknown; apiVersion?: unknown; status?: Record<string, unknown> };
  try {
    // Each field that is used is checked below.
    printed = JSON.parse(output) as typeof printed;
  } catch {
    throw failure(plugin, "did not print an ExecCredential as JSON");
  }
  if (printed.kind !== "ExecCredential" || printed.apiVersion !== plugin.apiVersion) {
    throw failure(
      plugin,
      `printed ${String(printed.apiVersion)} ${String(printed.kind)} where ${plugin.apiVersion} ` +
        "ExecCredential was expected",
    );
  }
  const text = (field: string): string | undefined => {
    const value = printed.status?.[field];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const token = text("token");
  const certificate = text("clientCertificateData");
  const key = text("clientKeyData");
  if (token === undefined && (certificate === undefined || key === undefined)) {
    throw failure(plugin, "printed neither a token nor a client certificate with its key");
  }
  const expires = text("expirationTimestamp");
  const expiresAt = expires === undefined ? Number.POSITIVE_INFINITY : msOfIso(expires);
  if (expiresAt === undefined) throw failure(plugin, `printed an expirationTimestamp that is not a time: ${expires}`);
  return { credential: { token, certificate, key }, expiresAt };
}
