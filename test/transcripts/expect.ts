/**
 * Compares what was seen with what a transcript says. Runs of spaces count as one. `<age>`, `<time>`, `<ip>`, `<pod>`,
 * `<hash>`, `<word>` and `<any>` stand for what differs from run to run; `<pod:one>` must be the same wherever it is named
 * so. A line `...` stands for any lines, also none. Pure.
 */

const forms: Readonly<Record<string, string>> = {
  age: String.raw`(?:\d+[smhdy])+`,
  time: String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z`,
  ip: String.raw`(?:\d{1,3}\.){3}\d{1,3}`,
  pod: String.raw`[a-z0-9](?:[-a-z0-9]*[a-z0-9])?`,
  hash: String.raw`[a-z0-9]+`,
  word: String.raw`\S+`,
  any: ".*",
};

export type Bindings = ReadonlyMap<string, string>;

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
const tidy = (line: string): string => line.replaceAll(/[ \t]+/g, " ").trim();
const groupOf = (name: string): string => `n_${name.replaceAll("-", "_")}`;

interface Pattern {
  readonly source: string;
  readonly names: readonly string[];
}

/** Names bound by an earlier step stand for their text; the first use here binds, later ones must agree. */
function patternOf(expected: string, bindings: Bindings): Pattern {
  const names: string[] = [];
  const place = (form: string, name: string | undefined): string => {
    const shape = forms[form] ?? "";
    if (name === undefined) return `(?:${shape})`;
    const bound = bindings.get(`${form}:${name}`);
    if (bound !== undefined) return escaped(bound);
    if (names.includes(`${form}:${name}`)) return String.raw`\k<${groupOf(name)}>`;
    names.push(`${form}:${name}`);
    return `(?<${groupOf(name)}>${shape})`;
  };
  const placeholders = new RegExp(`<(${Object.keys(forms).join("|")})(?::([a-z0-9-]+))?>`, "g");
  const linePattern = (line: string): string => {
    let source = "";
    let from = 0;
    for (const found of line.matchAll(placeholders)) {
      source += escaped(line.slice(from, found.index)) + place(found[1] ?? "", found[2]);
      from = found.index + found[0].length;
    }
    return `${source}${escaped(line.slice(from))}\n`;
  };
  const lines = linesOf(expected);
  const source = lines.map((line) => (line === "..." ? "(?:.*\n)*?" : linePattern(line))).join("");
  return { source: `^${source}$`, names };
}

function linesOf(text: string): string[] {
  const lines = text.split("\n").map(tidy);
  while (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Undefined when it is not what was expected, else the bindings with those made here. */
export function match(expected: string, seen: string, bindings: Bindings): Bindings | undefined {
  const { source, names } = patternOf(expected, bindings);
  const text = linesOf(seen)
    .map((line) => `${line}\n`)
    .join("");
  const found = new RegExp(source).exec(text);
  if (found === null) return undefined;
  const made = names.map((name) => [name, found.groups?.[groupOf(name.split(":")[1] ?? "")] ?? ""] as const);
  return new Map([...bindings, ...made]);
}
