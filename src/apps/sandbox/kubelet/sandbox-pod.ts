/**
 * What the containers of one pod share on the machine: network, namespaces, volumes, and files such as resolv.conf. Made
 * before the first container, removed after the last.
 */
import type { Container, Pod } from "../../../core/api/pod.ts";
import { joinPath, makeDirectory, removePath, writeAtomically } from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import { nodePath, run } from "../../../io/host/processes.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import type { Images } from "../images/catalogue.ts";
import { dnsServiceAddress, machinePath, netnsPath } from "../network/addresses.ts";
import type { ClusterPlan, NodePlan } from "../network/addresses.ts";
import { unmountBelow } from "../network/leftovers.ts";
import { makePodNetwork, removePodNetwork } from "../network/links.ts";
import type { Prepared } from "./container.ts";
import { asRoot, privilegeArguments, privilegesOf } from "./privileges.ts";
import type { Privileges } from "./privileges.ts";
import { rootScript } from "./root.ts";
import type { MountPlan } from "./root.ts";
import { startPause } from "./runtime.ts";
import type { PodNamespaces } from "./runtime.ts";
import { commandLine, containerEnvironment } from "./values.ts";
import type { Lookup, PodPlace } from "./values.ts";
import { PodVolumes } from "./volumes.ts";

/** What every pod of a node needs of its surroundings. */
export interface NodeMeans {
  readonly plan: ClusterPlan;
  readonly node: NodePlan;
  readonly images: Images;
  readonly client: KubeClient;
  /** Pods' directories are in it. */
  readonly directory: string;
  readonly rootMode: "overlay" | "bind";
  readonly machineMounts: readonly string[];
  /** PATH of this machine, for containers. */
  readonly path: string;
  /** Objects of the pod's namespace. */
  lookup(namespace: string): Lookup;
}

export class SandboxPod {
  readonly place: PodPlace;
  readonly volumes: PodVolumes;
  readonly netns: string;
  private readonly host: Host;
  private readonly means: NodeMeans;
  private readonly uid: string;
  private readonly directory: string;
  private readonly isHostNetwork: boolean;
  private namespaces: PodNamespaces | undefined;
  private renewing: Promise<PodNamespaces> | undefined;

  /** Hears of a container that has to run as root, see `canStart`. */
  private readonly onUnreadable: (uid: number, files: readonly string[]) => void;

  constructor(
    host: Host,
    means: NodeMeans,
    pod: Pod,
    podIp: string,
    onUnreadable: (uid: number, files: readonly string[]) => void,
  ) {
    this.host = host;
    this.onUnreadable = onUnreadable;
    this.means = means;
    this.uid = pod.metadata.uid ?? "";
    this.directory = joinPath(means.directory, this.uid);
    this.isHostNetwork = pod.spec.hostNetwork === true;
    this.place = { podIp, hostIp: means.node.address };
    const lookup = means.lookup(pod.metadata.namespace ?? "default");
    const volumes = joinPath(this.directory, "volumes");
    this.volumes = new PodVolumes(host, means.client, volumes, lookup, (path) => machinePath(means.node.netns, path));
    this.netns = means.node.netns;
  }

  get logDirectory(): string {
    return joinPath(this.directory, "logs");
  }

  get paths(): PodNamespaces["paths"] {
    if (this.namespaces === undefined) throw new Error("The pod's namespaces are not there.");
    return this.namespaces.paths;
  }

  /** Name of the namespace that the pod's traffic leaves from. */
  networkName = "";

  async makeNetwork(pod: Pod): Promise<void> {
    const { plan, node } = this.means;
    await makeDirectory(this.directory, 0o711);
    if (this.isHostNetwork) this.networkName = node.netns;
    else this.networkName = (await makePodNetwork(plan, node, { uid: this.uid, address: this.place.podIp })).netns;
    const hostname = this.hostnameFor(pod);
    this.namespaces = await this.makeNamespaces(pod);
    await writeAtomically(joinPath(this.directory, "resolv.conf"), resolvConf(pod));
    await writeAtomically(joinPath(this.directory, "hosts"), hostsFile(pod, this.place.podIp));
    await writeAtomically(joinPath(this.directory, "hostname"), `${hostname}\n`);
  }

  private hostnameFor(pod: Pod): string {
    return this.isHostNetwork ? this.means.node.name : hostnameOf(pod);
  }

  private makeNamespaces(pod: Pod): Promise<PodNamespaces> {
    return startPause({
      netns: netnsPath(this.networkName),
      hostname: this.hostnameFor(pod),
      hostPid: pod.spec.hostPID === true,
      // By this a program that reads /proc can tell which pod a namespace belongs to.
      env: { PATH: this.means.path, TOMBOLO_POD_UID: this.uid },
    });
  }

  /**
   * Makes the namespaces anew when their pause process was killed, which ended every container in them; the network, with
   * the pod's address, has outlived it. True for the one call that did so.
   */
  async renewNamespaces(pod: Pod): Promise<boolean> {
    if (this.renewing !== undefined) {
      await this.renewing;
      return false;
    }
    if (this.namespaces?.isOver() !== true) return false;
    this.renewing = this.makeNamespaces(pod);
    try {
      this.namespaces = await this.renewing;
    } finally {
      this.renewing = undefined;
    }
    return true;
  }

  /** A fresh root, the command and the environment of one run of a container. */
  async prepare(pod: Pod, container: Container, attempt: number): Promise<Prepared> {
    const { means } = this;
    const recipe = await means.images.resolve(container.image);
    const lookup = means.lookup(pod.metadata.namespace ?? "default");
    const base = { ...baseEnvironment(pod, means), ...recipe.env };
    const asked = privilegesOf(pod, container);
    const rights = privilegeArguments((await this.canStart(asked, recipe.entrypoint)) ? asked : asRoot(asked));
    const env = containerEnvironment(pod, container, this.place, base, lookup);
    const argv = commandLine(container, recipe, env);
    const directory = joinPath(this.directory, "containers", `${container.name}-${attempt}`);
    await removePath(joinPath(this.directory, "containers", `${container.name}-${attempt - 1}`));
    for (const part of ["root", "upper", "work"]) await makeDirectory(joinPath(directory, part));
    const workingDir = container.workingDir ?? recipe.workingDir;
    const script = rootScript({
      mode: means.rootMode,
      directory,
      machineMounts: means.machineMounts,
      mounts: [...this.ownFiles(), ...this.volumes.mountsFor(pod, container)],
      workingDir,
      isReadOnly: asked.isRootReadOnly,
    });
    return { script, argv, rights, env: Object.fromEntries(env), workingDir };
  }

  /**
   * Images are readable by everybody; programs of this machine may lie in somebody's home. Where the user cannot read them
   * the container runs as root, and an Event says so.
   */
  private async canStart(privileges: Privileges, entrypoint: readonly string[]): Promise<boolean> {
    if (privileges.uid === 0) return true;
    const files = entrypoint.filter((word) => word.startsWith("/"));
    const test = ["sh", "-c", 'for file do [ -r "$file" ] || exit 1; done', "sh", ...files];
    const [command = "", ...args] = [...privilegeArguments(privileges), ...test];
    if ((await run(command, args)).code === 0) return true;
    this.onUnreadable(privileges.uid, files);
    return false;
  }

  private ownFiles(): readonly MountPlan[] {
    return ["resolv.conf", "hosts", "hostname"].map((name) => ({
      source: joinPath(this.directory, name),
      target: `/etc/${name}`,
      isFile: true,
      isReadOnly: false,
    }));
  }

  /** Ends what is left of the pod's processes and removes network and files. */
  async remove(): Promise<void> {
    await this.namespaces?.end();
    this.namespaces = undefined;
    const { plan, node } = this.means;
    if (!this.isHostNetwork) await removePodNetwork(plan, node, this.uid);
    await unmountBelow(this.directory);
    await removePath(this.directory);
    this.host.log.debug("pod.removed", { uid: this.uid });
  }

  /** The pod is over but its object stays: logs are kept for `kubectl logs`. */
  async release(): Promise<void> {
    await this.namespaces?.end();
    this.namespaces = undefined;
    const { plan, node } = this.means;
    if (!this.isHostNetwork) await removePodNetwork(plan, node, this.uid);
    await removePath(joinPath(this.directory, "containers"));
  }
}

const hostnameOf = (pod: Pod): string => (pod.spec.hostname ?? pod.metadata.name).slice(0, 63);

function baseEnvironment(pod: Pod, means: NodeMeans): Record<string, string> {
  const ownNode = nodePath().replace(/\/[^/]*$/, "");
  const standard = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  return {
    PATH: [...new Set([...means.path.split(":"), ...standard.split(":"), ownNode])].filter(Boolean).join(":"),
    HOME: "/root",
    HOSTNAME: pod.spec.hostNetwork === true ? means.node.name : hostnameOf(pod),
    KUBERNETES_SERVICE_HOST: "10.96.0.1",
    KUBERNETES_SERVICE_PORT: "443",
    KUBERNETES_SERVICE_PORT_HTTPS: "443",
    KUBERNETES_PORT: "tcp://10.96.0.1:443",
    KUBERNETES_PORT_443_TCP: "tcp://10.96.0.1:443",
    KUBERNETES_PORT_443_TCP_ADDR: "10.96.0.1",
    KUBERNETES_PORT_443_TCP_PORT: "443",
    KUBERNETES_PORT_443_TCP_PROTO: "tcp",
  };
}

/** Pods on the host network reach the machine's own resolver through the cluster's, too: nodes have no other way out. */
function resolvConf(pod: Pod): string {
  const { dnsPolicy = "ClusterFirst", dnsConfig = {}, hostNetwork = false } = pod.spec;
  const isCluster = dnsPolicy === "ClusterFirstWithHostNet" || (dnsPolicy === "ClusterFirst" && !hostNetwork);
  const zone = "cluster.local";
  const given = dnsPolicy === "None" ? [] : [dnsServiceAddress];
  const own = isCluster ? [`${pod.metadata.namespace ?? "default"}.svc.${zone}`, `svc.${zone}`, zone] : [];
  const options = [
    ...(isCluster ? ["ndots:5"] : []),
    ...(dnsConfig.options ?? []).map(({ name, value }) => (value === undefined ? name : `${name}:${value}`)),
  ];
  const searches = [...own, ...(dnsConfig.searches ?? [])];
  return [
    ...(searches.length > 0 ? [`search ${searches.join(" ")}`] : []),
    ...[...given, ...(dnsConfig.nameservers ?? [])].slice(0, 3).map((address) => `nameserver ${address}`),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
    "",
  ].join("\n");
}

function hostsFile(pod: Pod, podIp: string): string {
  const name = hostnameOf(pod);
  const { subdomain } = pod.spec;
  const long = subdomain === undefined ? [] : [`${name}.${subdomain}.${pod.metadata.namespace}.svc.cluster.local`];
  return [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    `${podIp}\t${[...long, name].join("\t")}`,
    "",
  ].join("\n");
}
