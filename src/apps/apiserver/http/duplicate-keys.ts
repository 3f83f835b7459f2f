/** Finds keys that a JSON text gives twice, which JSON.parse passes over in silence (A15). Pure. */

const problemsMax = 20;

/** `a.b[0].c` for each key that comes twice. The text must be valid JSON. */
export function duplicateKeys(text: string): readonly string[] {
  const found: string[] = [];
  interface Level {
    readonly keys: Set<string> | undefined;
    path: string;
    index: number;
    name: string;
  }
  const levels: Level[] = [];
  const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gy;
  const skip = /[^"{}[\],:]+/gy;
  let at = 0;
  let expectsKey = false;
  const below = (level: Level | undefined): string => {
    if (level === undefined) return "";
    if (level.keys === undefined) return `${level.path}[${level.index}]`;
    return level.path === "" ? level.name : `${level.path}.${level.name}`;
  };
  while (at < text.length && found.length < problemsMax) {
    skip.lastIndex = at;
    if (skip.test(text)) at = skip.lastIndex;
    token.lastIndex = at;
    const word = token.exec(text)?.[0];
    if (word === undefined) break;
    at = token.lastIndex;
    const level = levels.at(-1);
    if (word === "{" || word === "[") {
      levels.push({ keys: word === "{" ? new Set() : undefined, path: below(level), index: 0, name: "" });
      expectsKey = word === "{";
    } else if (word === "}" || word === "]") {
      levels.pop();
      expectsKey = false;
    } else if (word === ",") {
      if (level?.keys === undefined && level !== undefined) level.index += 1;
      expectsKey = level?.keys !== undefined;
    } else if (word !== ":" && expectsKey && level?.keys !== undefined) {
      level.name = String(JSON.parse(word));
      if (level.keys.has(level.name)) found.push(below(level));
      level.keys.add(level.name);
      expectsKey = false;
    }
  }
  return found;
}
