/**
 * The shell script that gives a container its own root: an overlay over the machine's root (or, where overlays do not work,
 * a root of bind mounts), its own /proc, /sys, /run and volumes. Pure: text from a plan.
 */

export interface MountPlan {
  /** On the machine. */
  readonly source: string;
  /** In the container. */
  readonly target: string;
  readonly isFile: boolean;
  readonly isReadOnly: boolean;
}

export interface RootPlan {
  readonly mode: "overlay" | "bind";
  /** Directory of this container: `root`, `upper` and `work` are in it. */
  readonly directory: string;
  /** Mount points of the machine that an overlay of / does not show, such as /home on its own disk. */
  readonly machineMounts: readonly string[];
  readonly mounts: readonly MountPlan[];
  readonly workingDir: string;
  /** Volumes stay as they are. */
  readonly isReadOnly?: boolean;
}

/** For a POSIX shell. */
export const quote = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;

const old = "/.tombolo-machine";

const overlayRoot = (directory: string): string[] => [
  `mount -t overlay overlay -o ${quote(`lowerdir=/,upperdir=${directory}/upper,workdir=${directory}/work`)} ${quote(`${directory}/root`)}`,
  `mkdir -p ${quote(`${directory}/root${old}`)}`,
];

/** Directories that a container may change get a copy or start empty; the rest is the machine's, read-only. */
const bindRoot = (directory: string): string[] => [
  `root=${quote(`${directory}/root`)}`,
  "mount -t tmpfs -o mode=755 tmpfs $root",
  `mkdir -p $root${old}`,
  "for entry in /*; do name=${entry#/}",
  "  case $name in proc|sys|dev|run|tmp|var|etc) mkdir -p $root/$name; continue;; esac",
  '  if [ -L "$entry" ]; then ln -s "$(readlink "$entry")" "$root/$name"',
  '  elif [ -d "$entry" ]; then mkdir -p "$root/$name"; mount --rbind "$entry" "$root/$name"',
  '    mount -o remount,bind,ro "$root/$name" 2>/dev/null || :; fi',
  "done",
  "cp -a /etc/. $root/etc/; chmod 1777 $root/tmp; mkdir -p $root/var/tmp $root/var/log $root/var/lib $root/var/cache",
  "ln -s /run $root/var/run",
];

/** The script ends by running its own arguments; it writes `ok` to descriptor 3 just before. */
export function rootScript(plan: RootPlan): string {
  const { directory, mode } = plan;
  return [
    "set -e",
    ...(mode === "overlay" ? overlayRoot(directory) : bindRoot(directory)),
    `cd ${quote(`${directory}/root`)}`,
    `pivot_root . ${old.slice(1)}`,
    "cd /",
    "mount -t proc proc /proc",
    `mount --rbind ${old}/dev /dev`,
    "mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
    `mount -t sysfs sysfs /sys 2>/dev/null || mount --rbind ${old}/sys /sys`,
    // Sockets and locks of the machine's own services are not the pod's.
    "mount -t tmpfs -o mode=755 tmpfs /run",
    ...(mode === "overlay" ? plan.machineMounts.map((path) => mountLine(machineMount(path))) : []),
    ...plan.mounts.map(mountLine),
    `umount -l ${old}`,
    `rmdir ${old}`,
    `mkdir -p ${quote(plan.workingDir)}`,
    `cd ${quote(plan.workingDir)}`,
    ...(plan.isReadOnly === true ? ["mount -o remount,bind,ro /run", "mount -o remount,bind,ro /"] : []),
    "echo ok >&3",
    "exec 3>&-",
    'exec "$@"',
  ].join("\n");
}

const machineMount = (path: string): MountPlan => ({ source: path, target: path, isFile: false, isReadOnly: false });

function mountLine({ source, target, isFile, isReadOnly }: MountPlan): string {
  const from = quote(`${old}${source}`);
  const to = quote(target);
  const parent = quote(target.slice(0, target.lastIndexOf("/")) || "/");
  // A link such as /etc/resolv.conf is replaced, never followed: it may point at something the machine owns.
  const prepare = isFile
    ? `mkdir -p ${parent}; [ -f ${to} ] && [ ! -L ${to} ] || { rm -f ${to}; : > ${to}; }`
    : `mkdir -p ${to}`;
  const readOnly = isReadOnly ? `; mount -o remount,bind,ro ${to}` : "";
  return `${prepare}; mount ${isFile ? "--bind" : "--rbind"} ${from} ${to}${readOnly}`;
}

/** Mount points of the machine that hold files of its own, from the text of /proc/self/mountinfo. */
export function machineMountsOf(mountinfo: string): readonly string[] {
  const own = new Set([
    "ext4",
    "ext3",
    "xfs",
    "btrfs",
    "zfs",
    "overlay",
    "fuse",
    "9p",
    "virtiofs",
    "nfs",
    "nfs4",
    "f2fs",
  ]);
  const points = mountinfo.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ", 2);
    const point = before.split(" ")[4] ?? "";
    const isHidden = point === "/" || /^\/(proc|sys|dev|run)(\/|$)/.test(point) || point.includes("\\");
    return !isHidden && own.has((after.split(" ")[0] ?? "").split(".")[0] ?? "") ? [point] : [];
  });
  return [...new Set(points)].filter(
    (point) => !points.some((other) => other !== point && point.startsWith(`${other}/`)),
  );
}
