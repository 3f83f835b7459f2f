/** What the bench does in its sandbox: kubectl, and programs in pods. */
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
}
