/** What the user reads when a command fails: sentences and an exit code, never a stack trace. */
import { errorText } from "../../core/api/error-text.ts";
import { KubeError } from "../../io/kube/client.ts";
import { CommandError, UsageError } from "./command.ts";

export const exitCode = { failure: 1, usage: 2, interrupted: 130 } as const;

export interface Explanation {
  readonly text: string;
  readonly code: number;
}

/** The way out of what a server or the way to it refused. */
function fixOf(error: KubeError): string | undefined {
  if (error.reason === "Unreachable") {
    return "If this is a cluster of the sandbox, see 'tombolo sandbox status'; 'tombolo sandbox up' starts it again.";
  }
  if (error.code === 401) return "The cluster does not know the credentials of this kubeconfig context (any more).";
  if (error.code === 403) return "Use a kubeconfig context whose user may do this.";
  return undefined;
}

export function explain(error: unknown): Explanation {
  if (error instanceof UsageError) return { text: error.message, code: exitCode.usage };
  const [sentence, fix] = sentencesOf(error);
  return { text: fix === undefined ? sentence : `${sentence}\n${fix}`, code: exitCode.failure };
}

/** The sentence, and the way out when there is one. */
export function sentencesOf(error: unknown): readonly [sentence: string, fix: string | undefined] {
  if (error instanceof CommandError) return [error.message, error.fix];
  if (!(error instanceof KubeError)) return [errorText(error), undefined];
  return [error.code === 0 ? error.message : `The API server says: ${error.message}`, fixOf(error)];
}
