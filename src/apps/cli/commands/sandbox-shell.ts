/**
 * `tombolo sandbox shell`: a shell in which the guides can be typed word for word. It owns nothing and writes nothing: all
 * it does is the environment of the programs that it starts.
 */
import { fileExists, isDirectory, joinPath } from "../../../io/host/files.ts";
import { ended, environment, start } from "../../../io/host/processes.ts";
import { packageDirectory } from "../../sandbox/machine.ts";
import { status } from "../../sandbox/sandbox.ts";
import { type Command, CommandError } from "../command.ts";

/** In the environment of everything that runs inside such a shell. */
const mark = "TOMBOLO_SANDBOX_SHELL";

type Environment = Readonly<Record<string, string>>;

const isProgram = (path: string): boolean => fileExists(path) && !isDirectory(path);

/** The first kubectl on PATH that is not ours, else the one that `npm start` fetched. */
function kubectlOf(path: string, wrapper: string, root: string): string {
  const folders = [...path.split(":"), joinPath(root, ".cache", "bin")].filter((folder) => folder !== "");
  const found = folders
    .filter((folder) => folder !== wrapper)
    .map((folder) => joinPath(folder, "kubectl"))
    .find(isProgram);
  if (found !== undefined) return found;
  throw new CommandError("There is no kubectl on this machine.", "Run 'npm start', which fetches one, or install it.");
}

/** What the shell has and the caller's has not. */
export function shellEnvironment(env: Environment, root: string, kubeconfig: string): Environment {
  const wrapper = joinPath(root, "bin", "sandbox-shell");
  const before = env["PATH"] ?? "";
  const first = `${wrapper}:${joinPath(root, "bin")}`;
  return {
    ...env,
    PATH: `${first}:${before}`,
    KUBECONFIG: kubeconfig,
    TOMBOLO_KUBECTL: kubectlOf(before, wrapper, root),
    TOMBOLO_SAMPLES: joinPath(root, "samples"),
    TOMBOLO_SHELL_PATH: first,
    [mark]: "1",
  };
}

/** Only bash can be told to keep our PATH in front of what its settings do. */
function interactive(env: Environment, root: string): readonly [string, ...string[]] {
  const shell = env["SHELL"] ?? "/bin/sh";
  return shell.endsWith("/bash") ? [shell, "--rcfile", joinPath(root, "bin", "sandbox-shell", "rc.bash")] : [shell];
}

const banner = (clusters: readonly string[]): string =>
  `This shell speaks to ${clusters.join(" and ")} of the sandbox. Sample files that guides fetch from the internet with
kubectl apply -f https://raw.githubusercontent.com/… are read from this checkout. 'exit' leaves it.`;

export const sandboxShell: Command = {
  path: ["sandbox", "shell"],
  summary: "Open a shell in which the guides can be typed word for word",
  details: `Sets KUBECONFIG to the sandbox's file, puts tombolo, istioctl and a kubectl of its own first on PATH, and changes nothing
outside. That kubectl reads the sample files of guides ('-f https://raw.githubusercontent.com/.../in-ambient.yaml',
'-f samples/sleep/sleep.yaml') from this checkout, says so each time, and hands all other words to the machine's kubectl.
With a command after '--' that is run instead of a shell.`,
  positional: "[-- COMMAND [ARG...]]",
  flags: {},
  examples: ["tombolo sandbox shell", "tombolo sandbox shell -- sh guide.sh"],
  async run(shell, flags) {
    const env = environment();
    if (env[mark] !== undefined) throw new CommandError("This is a sandbox shell already; 'exit' leaves it.");
    const summary = await status();
    const kubeconfig = summary?.kubeconfigs.at(-1);
    if (summary === undefined || kubeconfig === undefined)
      throw new CommandError("There is no sandbox yet.", "Start one with: tombolo sandbox up");
    const root = packageDirectory();
    const inside = shellEnvironment(env, root, kubeconfig);
    const [command, ...args] = flags.positionals;
    if (command !== undefined) return await lifeOf(command, args, inside);
    shell.note(banner(summary.clusters.map(({ name }) => name)));
    const [program, ...words] = interactive(env, root);
    return await lifeOf(program, words, inside);
  },
};

async function lifeOf(command: string, args: readonly string[], env: Environment): Promise<number> {
  const child = start(command, args, { env, stdio: "inherit" });
  let problem: Error | undefined;
  child.once("error", (error) => (problem = error));
  const { code } = await ended(child);
  if (problem !== undefined) {
    const cause = problem.message.endsWith("ENOENT") ? "there is no such program on PATH" : problem.message;
    throw new CommandError(`"${command}" could not be started: ${cause}.`);
  }
  return code;
}
