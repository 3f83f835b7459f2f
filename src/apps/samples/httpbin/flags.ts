/** The flags of the two well-known httpbin servers, so that manifests written for either run unchanged. */

export interface HttpbinSettings {
  readonly host: string;
  readonly port: number;
  /** `go`: values of args and headers are lists; `python`: single values are texts. */
  readonly flavour: "go" | "python";
  /** Tell the real host name at /hostname; without it a fixed one, as the Go server does. */
  readonly useRealHostname: boolean;
  readonly maxBodyBytes: number;
  readonly maxDurationMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `600s`, `1m30s`, `250ms`; undefined when it is not a duration. */
function durationMs(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce(
    (sum, [, amount = "0", unit = "s"]) => sum + Number(amount) * (units[unit] ?? 0),
    0,
  );
}

/** Go accepts `-name value`, `--name value` and `-name=value`; switches stand alone. */
function* pairs(args: readonly string[], switches: ReadonlySet<string>): Generator<readonly [string, string]> {
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? "";
    const [name = "", value] = word.replace(/^--?/, "").split("=", 2);
    if (!word.startsWith("-")) continue;
    if (value !== undefined) yield [name, value];
    else if (switches.has(name)) yield [name, "true"];
    else yield [name, args[++at] ?? ""];
  }
}

function portOf(text: string, flag: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error(`${flag}: "${text}" is not a port.`);
  return port;
}

/** `-host`, `-port`, `-max-duration`, `-max-body-size`, `-use-real-hostname`, as the Go server has them; env as fallback. */
function goSettings(args: readonly string[], env: Environment): HttpbinSettings {
  const given = new Map(pairs(args, new Set(["use-real-hostname"])));
  const text = (flag: string, variable: string, fallback: string) => given.get(flag) ?? env[variable] ?? fallback;
  return {
    flavour: "go",
    host: text("host", "HOST", "0.0.0.0"),
    port: portOf(text("port", "PORT", "8080"), "-port"),
    useRealHostname: ["true", "1"].includes(text("use-real-hostname", "USE_REAL_HOSTNAME", "false")),
    maxBodyBytes: Number(text("max-body-size", "MAX_BODY_SIZE", String(1024 * 1024))),
    maxDurationMs: durationMs(text("max-duration", "MAX_DURATION", "10s")) ?? 10_000,
  };
}

/** `gunicorn -b 0.0.0.0:80 httpbin:app …`, as the Python server's image starts. */
function pythonSettings(args: readonly string[]): HttpbinSettings {
  const given = new Map(pairs(args, new Set()));
  const [host = "0.0.0.0", port = "80"] = (given.get("b") ?? given.get("bind") ?? "0.0.0.0:80").split(":");
  return {
    flavour: "python",
    host: host === "" ? "0.0.0.0" : host,
    port: portOf(port, "-b"),
    useRealHostname: true,
    maxBodyBytes: 16 * 1024 * 1024,
    maxDurationMs: 10_000,
  };
}

/** `--flavour=python` comes first when the image is the Python one. */
export function readSettings(args: readonly string[], env: Environment): HttpbinSettings {
  return args[0] === "--flavour=python" ? pythonSettings(args.slice(1)) : goSettings(args, env);
}
