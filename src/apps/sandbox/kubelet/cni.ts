/**
 * Runs the CNI plugins that are chained behind the sandbox's own pod network, as a container runtime does (CNI specification
 * 1.0). The network configuration list and the plugins lie in folders of the node: /etc/cni/net.d and /opt/cni/bin.
 */
import { configurationName } from "../../../core/api/cni.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { joinPath, listNow, readNow, writeAtomically } from "../../../io/host/files.ts";
import { run } from "../../../io/host/processes.ts";
import { machinePath, nodeRunDirectory } from "../network/addresses.ts";

const configurationFolder = "/etc/cni/net.d";
const programFolder = "/opt/cni/bin";
/** What connects pods: the kubelet itself, so it never runs as a program. */
const ownPlugin = "sandbox";
const addMsMax = 30_000;
const deleteMsMax = 5_000;

interface Plugin {
  readonly type: string;
}

interface NetworkList {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly Plugin[];
}

export interface CniPod {
  readonly pod: Pod;
  /** `/run/netns/<name>`. */
  readonly netns: string;
  readonly ip: string;
}

export class NodeCni {
  readonly #nodeNetns: string;

  constructor(nodeNetns: string) {
    this.#nodeNetns = nodeNetns;
  }

  /** The node's network configuration, made when there is none. */
  async prepare(): Promise<void> {
    const folder = machinePath(this.#nodeNetns, configurationFolder);
    if (configurationName(listNow(folder)) !== undefined) return;
    const list: NetworkList = { cniVersion: "1.0.0", name: "sandbox", plugins: [{ type: ownPlugin }] };
    await writeAtomically(joinPath(folder, "10-sandbox.conflist"), `${JSON.stringify(list)}\n`);
  }

  /** Rejects with what the plugin says when it does not let the pod start. */
  async add(pod: CniPod, signal: AbortSignal): Promise<void> {
    const list = this.#list();
    let result: unknown = { cniVersion: list.cniVersion, ips: [{ address: `${pod.ip}/32` }] };
    for (const plugin of list.plugins.filter(isChained)) {
      result = await this.#run("ADD", list, plugin, pod, { result, msMax: addMsMax, signal });
    }
  }

  /** Best effort, the other way round, as the specification has it. */
  async delete(pod: CniPod): Promise<void> {
    try {
      const list = this.#list();
      const result = { cniVersion: list.cniVersion, ips: [{ address: `${pod.ip}/32` }] };
      for (const plugin of list.plugins.filter(isChained).toReversed()) {
        await this.#run("DEL", list, plugin, pod, { result, msMax: deleteMsMax }).catch(() => undefined);
      }
    } catch {
      // The node lost its configuration, as when it is being removed: there is nobody to tell.
    }
  }

  /** The first file by name, as runtimes do; a configuration that cannot be read stops pods here as there. */
  #list(): NetworkList {
    const folder = machinePath(this.#nodeNetns, configurationFolder);
    const name = configurationName(listNow(folder));
    const text = name === undefined ? undefined : readNow(joinPath(folder, name));
    if (text === undefined) throw new Error(`The node has no network configuration in ${configurationFolder}.`);
    const list: unknown = JSON.parse(text);
    if (typeof list !== "object" || list === null || !("plugins" in list) || !Array.isArray(list.plugins)) {
      throw new Error(`The node's network configuration ${name} has no list of plugins.`);
    }
    // Written by `prepare` and by those who chain their plugins to it.
    return list as unknown as NetworkList;
  }

  async #run(
    command: "ADD" | "DEL",
    list: NetworkList,
    plugin: Plugin,
    { pod, netns }: CniPod,
    { result, msMax, signal }: { result: unknown; msMax: number; signal?: AbortSignal },
  ): Promise<unknown> {
    const { name, namespace = "default", uid = "" } = pod.metadata;
    const { cniVersion } = list;
    const words = [`K8S_POD_NAMESPACE=${namespace}`, `K8S_POD_NAME=${name}`, `K8S_POD_UID=${uid}`];
    const programs = machinePath(this.#nodeNetns, programFolder);
    // What the plugin has as /run/tombolo is the node's.
    const place = joinPath(nodeRunDirectory(this.#nodeNetns), "tombolo");
    const args = ["--mount", "sh", "-c", inNode, "sh", place, programs, plugin.type];
    const { code, stdout, stderr } = await run("unshare", args, {
      input: JSON.stringify({ ...plugin, cniVersion, name: list.name, prevResult: result }),
      env: {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        CNI_COMMAND: command,
        CNI_CONTAINERID: uid,
        CNI_NETNS: netns,
        CNI_IFNAME: "eth0",
        CNI_PATH: programFolder,
        CNI_ARGS: ["IgnoreUnknown=1", ...words, `K8S_POD_INFRA_CONTAINER_ID=${uid}`].join(";"),
      },
      timeoutMs: msMax,
      signal,
    });
    if (code !== 0) throw new Error(`CNI plugin ${plugin.type} failed: ${messageOf(stdout) || stderr.trim()}`);
    return command === "ADD" ? JSON.parse(stdout) : undefined;
  }
}

/** The folder of plugins lies below /run/tombolo itself, so it is held open while that becomes the node's. */
const inNode =
  'mkdir -p "$1" && exec 3<"$2" && mount --make-rprivate / && mount --bind "$1" /run/tombolo && exec "/proc/self/fd/3/$3"';

const isChained = ({ type }: Plugin): boolean => type !== ownPlugin;

/** `msg` of an error result. */
function messageOf(stdout: string): string {
  try {
    const answer: unknown = JSON.parse(stdout);
    return typeof answer === "object" && answer !== null && "msg" in answer ? String(answer.msg) : stdout;
  } catch {
    return stdout;
  }
}
