/**
 * Files and directories of the machine. Writes that others read are atomic: a new file, then a rename. What is missing is
 * `undefined`, not an exception.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lchownSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  statSync,
  watch,
  writeFileSync,
} from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";

export const joinPath = join;
export const parentPath = dirname;
/** Absolute, as seen from the working directory. */
export const resolvePath = resolve;
export const homeDirectory = homedir;

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");

export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Writes beside the target and renames over it; the directory is made when missing. */
export async function writeAtomically(path: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
  await makeDirectory(dirname(path));
  const temporary = `${path}.${process.pid}.new`;
  await writeFile(temporary, data, { mode, flush: true });
  await rename(temporary, path);
}

export async function makeDirectory(path: string, mode = 0o755): Promise<void> {
  await mkdir(path, { recursive: true, mode });
}

/** Removes a file or a whole directory; missing is fine. Never crosses into another file system's mount by itself. */
export async function removePath(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 2 });
}

export const fileExists = (path: string): boolean => existsSync(path);
export const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** Where a link leads in the end; the path itself when it leads nowhere yet. */
export function realPathNow(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** For files of /proc and /sys, which never block. */
export function readNow(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** For /proc/sys inside a namespace that this thread has entered. */
export function writeNow(path: string, text: string): void {
  writeFileSync(path, text);
}

export function listNow(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Device and inode: two paths with the same answer are the same file or namespace. */
export function identityNow(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/** A descriptor to append to, for the output of a process; close it with `closeNow`. */
export const openAppendNow = (path: string): number => openSync(path, "a", 0o640);
export const closeNow = (fd: number): void => closeSync(fd);

/** Creates a file that must not exist yet; false when it does. */
export function createNow(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/** Under sudo, files in the user's home belong to the user, not to root. */
export function giveToCaller(path: string): void {
  const uid = Number(process.env["SUDO_UID"]);
  const gid = Number(process.env["SUDO_GID"]);
  if (!Number.isInteger(uid) || !Number.isInteger(gid) || process.getuid?.() !== 0 || !existsSync(path)) return;
  chownSync(path, uid, gid);
}

/** Mode and, when given, group. */
export function setAccessNow(path: string, mode: number, group: number | undefined): void {
  if (group !== undefined) lchownSync(path, -1, group);
  chmodSync(path, mode);
}

/** Size in bytes; 0 when missing. */
export const sizeNow = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/**
 * Calls `heard` after entries of a directory came, changed or went; returns what ends it. The kernel may drop notices under
 * load, so look for yourself now and then, too.
 */
export function watchDirectory(path: string, heard: () => void): () => void {
  const watcher = watch(path, heard);
  watcher.on("error", () => watcher.close());
  return () => watcher.close();
}
