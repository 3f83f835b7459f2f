/**
 * Kubeconfig files: found, merged as kubectl merges them (the first file that names a thing wins), and turned into
 * endpoints. Reads files once, when loaded; token files and credential programs are asked as requests need them.
 */
import { existsSync, readFileSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import { parse } from "yaml";
import { errorText } from "../../core/api/error-text.ts";
import type { Host } from "../host/host.ts";
import { execCredential, tokenFileCredential } from "./credentials.ts";
import { fixedCredential } from "./endpoint.ts";
import type { CredentialSource, KubeEndpoint } from "./endpoint.ts";
import { inClusterEndpoint, isInCluster } from "./in-cluster.ts";

export interface KubeconfigOptions {
  /** `--kubeconfig`: only this file. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

export interface KubeconfigContext {
  readonly name: string;
  readonly cluster: string;
  readonly user: string;
  readonly namespace: string;
}

export class KubeconfigError extends Error {
  override readonly name = "KubeconfigError";
}

type Fields = Readonly<Record<string, unknown>>;
/** An entry and the folder of the file it came from: paths inside are relative to that. */
interface Entry {
  readonly fields: Fields;
  readonly folder: string;
}

const fieldsOf = (value: unknown): Fields =>
  // Any object is a record of unknown fields.
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : []);
const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** Reads `$KUBECONFIG` (several files) or `~/.kube/config`. Files that do not exist are skipped, as kubectl does. */
export function loadKubeconfig(host: Host, options: KubeconfigOptions): Kubeconfig {
  const named = options.file ?? textOf(options.env["KUBECONFIG"]);
  const paths =
    options.file === undefined && named !== undefined
      ? named.split(delimiter).filter((path) => path !== "")
      : [named ?? join(options.home, ".kube", "config")];
  if (options.file !== undefined && !existsSync(options.file)) {
    throw new KubeconfigError(`The kubeconfig file ${options.file} does not exist.`);
  }
  return new Kubeconfig(host, options.env, paths);
}

export class Kubeconfig {
  readonly paths: readonly string[];
  private readonly host: Host;
  private readonly env: KubeconfigOptions["env"];
  private readonly clusters = new Map<string, Entry>();
  private readonly users = new Map<string, Entry>();
  private readonly contextEntries = new Map<string, Entry>();
  private current: string | undefined;

  constructor(host: Host, env: KubeconfigOptions["env"], paths: readonly string[]) {
    this.host = host;
    this.env = env;
    this.paths = paths;
    for (const path of paths) if (existsSync(path)) this.merge(path);
  }

  get currentContext(): string | undefined {
    return this.current;
  }

  /** In the order of the files. */
  get contexts(): readonly KubeconfigContext[] {
    return [...this.contextEntries].map(([name, { fields }]) => ({
      name,
      cluster: textOf(fields["cluster"]) ?? "",
      user: textOf(fields["user"]) ?? "",
      namespace: textOf(fields["namespace"]) ?? "default",
    }));
  }

  /** The endpoint of a context, or of the current one. */
  endpoint(context = this.current): KubeEndpoint {
    if (context === undefined) throw new KubeconfigError(`${this.noContext()} Choose one with --context.`);
    const chosen = this.contexts.find(({ name }) => name === context);
    if (chosen === undefined) throw new KubeconfigError(`There is no context ${context}. ${this.known()}`);
    const cluster = this.clusters.get(chosen.cluster);
    if (cluster === undefined) {
      throw new KubeconfigError(
        `Context ${context} names the cluster ${chosen.cluster || '""'}, which is not in ${this.paths.join(", ")}.`,
      );
    }
    const server = textOf(cluster.fields["server"]);
    if (server === undefined || !URL.canParse(server)) {
      throw new KubeconfigError(`Cluster ${chosen.cluster} of the kubeconfig has no valid server address.`);
    }
    const user = this.users.get(chosen.user);
    if (user === undefined && chosen.user !== "") {
      throw new KubeconfigError(
        `Context ${context} names the user ${chosen.user}, which is not in ${this.paths.join(", ")}.`,
      );
    }
    const impersonated = textOf(user?.fields["as"]);
    return {
      server: server.replace(/\/+$/, ""),
      certificateAuthority: this.pem(cluster, "certificate-authority", `cluster ${chosen.cluster}`),
      serverName: textOf(cluster.fields["tls-server-name"]),
      isVerified: cluster.fields["insecure-skip-tls-verify"] !== true,
      credentials: this.credentials(user, chosen.user, cluster),
      ...(impersonated !== undefined && {
        impersonate: { user: impersonated, groups: stringsOf(user?.fields["as-groups"]) },
      }),
      namespace: chosen.namespace,
      context,
    };
  }

  private known(): string {
    const names = [...this.contextEntries.keys()];
    if (names.length === 0) return this.noContext();
    return `Known contexts: ${names.join(", ")} (from ${this.paths.join(", ")}).`;
  }

  private noContext(): string {
    const names = [...this.contextEntries.keys()];
    if (names.length > 0) return `The kubeconfig has no current context; it knows ${names.join(", ")}.`;
    return `No context was found in ${this.paths.join(", ")}; start a cluster first, or set KUBECONFIG.`;
  }

  private merge(path: string): void {
    let root: Fields;
    try {
      root = fieldsOf(parse(readFileSync(path, "utf8")));
    } catch (error) {
      const cause = errorText(error);
      throw new KubeconfigError(`The kubeconfig file ${path} cannot be read: ${cause}`);
    }
    const folder = dirname(resolve(path));
    const take = (into: Map<string, Entry>, list: unknown, key: string): void => {
      for (const item of listOf(list)) {
        const name = textOf(item["name"]);
        if (name !== undefined && !into.has(name)) into.set(name, { fields: fieldsOf(item[key]), folder });
      }
    };
    take(this.clusters, root["clusters"], "cluster");
    take(this.users, root["users"], "user");
    take(this.contextEntries, root["contexts"], "context");
    this.current ??= textOf(root["current-context"]);
  }

  /** `<key>-data` as base64, else the file `<key>`. */
  private pem(entry: Entry, key: string, owner: string): string | undefined {
    const data = textOf(entry.fields[`${key}-data`]);
    if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
    const path = textOf(entry.fields[key]);
    if (path === undefined) return undefined;
    const absolute = isAbsolute(path) ? path : join(entry.folder, path);
    try {
      return readFileSync(absolute, "utf8");
    } catch (error) {
      const cause = errorText(error);
      throw new KubeconfigError(`The ${key} of ${owner} in the kubeconfig cannot be read: ${cause}.`);
    }
  }

  private credentials(user: Entry | undefined, name: string, cluster: Entry): CredentialSource {
    if (user === undefined) return fixedCredential({});
    const { fields, folder } = user;
    const certificate = this.pem(user, "client-certificate", `user ${name}`);
    const key = this.pem(user, "client-key", `user ${name}`);
    if ((certificate === undefined) !== (key === undefined)) {
      throw new KubeconfigError(`User ${name} of the kubeconfig needs both client-certificate and client-key.`);
    }
    if (fields["exec"] !== undefined) return this.exec(fieldsOf(fields["exec"]), folder, name, cluster);
    if (fields["auth-provider"] !== undefined) {
      throw new KubeconfigError(
        `User ${name} of the kubeconfig uses auth-provider, which Kubernetes removed; use an exec credential program.`,
      );
    }
    const token = textOf(fields["token"]);
    const tokenFile = textOf(fields["tokenFile"]);
    if (tokenFile !== undefined) {
      const source = tokenFileCredential(this.host, isAbsolute(tokenFile) ? tokenFile : join(folder, tokenFile));
      return {
        current: async (signal) => ({ ...(await source.current(signal)), certificate, key }),
        refused: () => source.refused(),
      };
    }
    const username = textOf(fields["username"]);
    const basic = username === undefined ? undefined : { username, password: textOf(fields["password"]) ?? "" };
    return fixedCredential({ token, basic, certificate, key });
  }

  private exec(fields: Fields, folder: string, user: string, cluster: Entry): CredentialSource {
    const command = textOf(fields["command"]);
    const apiVersion = textOf(fields["apiVersion"]);
    if (command === undefined || apiVersion === undefined) {
      throw new KubeconfigError(`The exec part of kubeconfig user ${user} needs apiVersion and command.`);
    }
    const mode = textOf(fields["interactiveMode"]) ?? "IfAvailable";
    const isInteractive = mode !== "Never" && process.stdin.isTTY;
    if (mode === "Always" && !isInteractive) {
      throw new KubeconfigError(`The credential program of user ${user} needs a terminal, and there is none.`);
    }
    const isRelative = command.includes("/") && !isAbsolute(command);
    const plugin = {
      apiVersion,
      command: isRelative ? join(folder, command) : command,
      args: stringsOf(fields["args"]),
      env: listOf(fields["env"]).map((one) => ({ name: textOf(one["name"]) ?? "", value: textOf(one["value"]) ?? "" })),
      installHint: textOf(fields["installHint"]),
      isInteractive,
      cluster: fields["provideClusterInfo"] === true ? cluster.fields : undefined,
      user,
    };
    return execCredential(this.host, plugin, this.env);
  }
}

const stringsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];

/** For programs that run on a user's machine or in a pod: a named context, a kubeconfig, else the pod's own cluster. */
export async function defaultEndpoint(
  host: Host,
  options: KubeconfigOptions & { readonly context?: string | undefined },
): Promise<KubeEndpoint> {
  const hasChoice = options.context !== undefined || options.file !== undefined;
  const isNamed = hasChoice || options.env["KUBECONFIG"] !== undefined;
  if (!isNamed && isInCluster(options.env)) return inClusterEndpoint(host, options.env);
  return loadKubeconfig(host, options).endpoint(options.context);
}
