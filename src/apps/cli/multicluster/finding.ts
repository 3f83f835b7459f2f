/** What one check found: good, worth a look, or a problem with the way out of it. */
import type { MeshOfCluster } from "./cluster.ts";

export interface Finding {
  readonly level: "good" | "warning" | "bad";
  /** The line after the colon. */
  readonly text: string;
  /** Lines for --verbose. */
  readonly details: readonly string[];
  /** What to do; with a problem always. Several when there are several problems. */
  readonly fixes: readonly string[];
}

export type Sleep = (ms: number) => Promise<void>;

export interface Check {
  readonly name: string;
  /** Needs links to peers; left out with --precheck. */
  readonly isForLinks: boolean;
  run(mesh: MeshOfCluster, signal: AbortSignal, sleep: Sleep): Promise<Finding>;
}

export const good = (text: string, details: readonly string[] = []): Finding => ({
  level: "good",
  text,
  details,
  fixes: [],
});

export const warning = (text: string, fixes: readonly string[] = [], details: readonly string[] = []): Finding => ({
  level: "warning",
  text,
  details,
  fixes,
});

export const bad = (text: string, fix: string | readonly string[], details: readonly string[] = []): Finding => ({
  level: "bad",
  text,
  details,
  fixes: typeof fix === "string" ? [fix] : fix,
});

const marks: Readonly<Record<Finding["level"], string>> = { good: "✅", warning: "⚠️", bad: "❌" };

/** Lines as `check` prints them. */
export function findingText(name: string, { level, text, details, fixes }: Finding, isVerbose: boolean): string {
  const lines = [
    ...(isVerbose ? [`--- ${name} ---`] : []),
    `${marks[level]} ${name}: ${text}`,
    ...fixes.map((fix) => `   ${fix}`),
    ...(isVerbose ? details.map((line) => `   ${line}`) : []),
  ];
  return `${lines.join("\n")}\n`;
}
