/** What the bench does in its sandbox: kubectl, programs in pods, and memory of what runs there. */
import { environmentOf } from "../field/kit/sandbox-life.ts";
import { run } from "../field/kit/program.ts";

export class Kube {
  readonly env: NodeJS.ProcessEnv;
  constructor(folder: string) {
    this.env = environmentOf(folder);
  }

  async kubectl(cluster: string, args: readonly string[], input?: string): Promise<string> {
    const options = { env: this.env, msMax: 120_000, ...(input === undefined ? {} : { input }) };
    const { code, stdout, stderr } = await run("kubectl", ["--context", cluster, ...args], options);
    if (code !== 0) throw new Error(`kubectl --context ${cluster} ${args.join(" ")} ended with ${code}:\n${stderr}`);
    return stdout;
  }

  apply(cluster: string, objects: readonly object[]): Promise<string> {
    const documents = objects.map((object) => JSON.stringify(object)).join("\n");
    return this.kubectl(cluster, ["apply", "-f", "-"], documents);
  }

  exec(cluster: string, pod: string, command: readonly string[], namespace = "bench"): Promise<string> {
    return this.kubectl(cluster, ["-n", namespace, "exec", pod, "--", ...command]);
  }

  /** Bytes by the first words of the command line, of every process in the pod. */
  async memory(cluster: string, namespace: string, pod: string): Promise<readonly { what: string; rss: number }[]> {
    const script = `for p in /proc/[0-9]*; do echo "$(grep VmRSS $p/status | tr -dc 0-9) $(tr '\\0' ' ' < $p/cmdline)"; done`;
    const text = await this.exec(cluster, pod, ["sh", "-c", script], namespace);
    return text.split("\n").flatMap((line) => {
      const [kib = "", ...words] = line.trim().split(" ");
      return words.length === 0 ? [] : [{ what: words.slice(0, 3).join(" "), rss: Number(kib) * 1024 }];
    });
  }
}
