/** Finds out once how containers can get their own root on this machine: by overlays, else by bind mounts. */
import { joinPath, makeDirectory, readNow, removePath } from "../../../io/host/files.ts";
import { run } from "../../../io/host/processes.ts";
import { machineMountsOf, quote } from "./root.ts";

export interface RootMode {
  readonly mode: "overlay" | "bind";
  readonly machineMounts: readonly string[];
}

/** Overlays fail where the machine's root, or the state directory, is an overlay itself. */
export async function rootModeOf(directory: string): Promise<RootMode> {
  const trial = joinPath(directory, "overlay-trial");
  for (const part of ["root", "upper", "work"]) await makeDirectory(joinPath(trial, part));
  const layers = `lowerdir=/,upperdir=${trial}/upper,workdir=${trial}/work`;
  const mount = `mount -t overlay overlay -o ${quote(layers)} ${quote(`${trial}/root`)}`;
  const result = await run("unshare", ["--mount", "sh", "-c", `${mount} && : > ${quote(`${trial}/root/.trial`)}`]);
  await removePath(trial);
  const machineMounts = machineMountsOf(readNow("/proc/self/mountinfo") ?? "");
  return { mode: result.code === 0 ? "overlay" : "bind", machineMounts };
}
