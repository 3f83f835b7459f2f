/**
 * Transcripts are Markdown: what a guide's reader types and sees. Prose is comment. A block ```sh is typed into one shell
 * session, in order; a block ```text right after it is what the reader sees. Pure.
 *
 * Words after `sh`: `fails` (a non-zero exit is right, messages count as output), `within=30s` (type it again until it shows
 * what it should), `skip` (not typed). A comment `<!-- run: … -->` is typed, but not shown to readers; `<!-- given: TEXT = TEXT -->`
 * replaces a word of later commands, such as an address that cannot be reached from a test machine.
 */

export interface Step {
  /** 1-based line of the command. */
  readonly line: number;
  readonly script: string;
  /** Undefined: any output will do. */
  readonly expected: string | undefined;
  readonly isFailing: boolean;
  readonly msMax: number;
}

export interface Transcript {
  readonly title: string;
  readonly steps: readonly Step[];
  readonly given: ReadonlyMap<string, string>;
}

interface Block {
  readonly line: number;
  readonly words: readonly string[];
  readonly text: string;
}

const kinds = ["sh", "text"];

function* blocksOf(markdown: string): Generator<Block> {
  const lines = markdown.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const opening = /^( *)```(.*)$/.exec(lines[at] ?? "");
    if (opening === null) {
      const hidden = /^<!-- (run|given): (.*) -->$/.exec(lines[at] ?? "");
      if (hidden !== null) yield { line: at + 1, words: [hidden[1] ?? ""], text: hidden[2] ?? "" };
      continue;
    }
    const [, indent = "", words = ""] = opening;
    const first = at + 1;
    while (++at < lines.length && (lines[at] ?? "").trim() !== "```");
    if (at >= lines.length) throw new Error(`line ${first}: the block is not closed.`);
    const inside = lines.slice(first, at).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
    yield { line: first + 1, words: words.trim().split(/\s+/), text: inside.join("\n") };
  }
}

const msMaxOf = (words: readonly string[]): number => {
  const word = words.find((one) => one.startsWith("within="));
  const seconds = word === undefined ? undefined : /^within=(\d+)s$/.exec(word)?.[1];
  if (word !== undefined && seconds === undefined) throw new Error(`"${word}": write it as within=30s.`);
  return Number(seconds ?? "0") * 1000;
};

export function parseTranscript(markdown: string): Transcript {
  const steps: Step[] = [];
  const given = new Map<string, string>();
  let canExpect = false;
  for (const { line, words, text } of blocksOf(markdown)) {
    const [kind = "", ...more] = words;
    const unknown = kinds.includes(kind) && more.find((one) => !/^(fails|skip|within=.*)$/.test(one));
    if (unknown) throw new Error(`line ${line - 1}: "${unknown}" is none of fails, skip, within=30s.`);
    if (kind === "given") {
      const [from = "", to = ""] = text.split(" = ");
      given.set(from.trim(), to.trim());
    } else if (kind === "run") steps.push({ line, script: text, expected: undefined, isFailing: false, msMax: 0 });
    else if (kind === "sh" && !more.includes("skip")) {
      const isFailing = more.includes("fails");
      steps.push({ line, script: text, expected: undefined, isFailing, msMax: msMaxOf(more) });
    } else if (kind === "text" && canExpect) {
      const last = steps.pop();
      if (last !== undefined) steps.push({ ...last, expected: text });
    }
    canExpect = kind === "sh" && !more.includes("skip");
  }
  return { title: /^# (.*)$/m.exec(markdown)?.[1] ?? "", steps, given };
}
