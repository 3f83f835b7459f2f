/**
 * CEL's optional syntax (`self.?a.orValue(0)`, `list[?0]`, `x.optMap(v, …)`), which the parser does not know, written out
 * as calls that it does. Pure, and only text: what the calls do is in `cel-functions.ts`.
 */

export const optionalSelect = "__optSelect";
export const optionalIndex = "__optIndex";

const hasOptionals = /\.\s*\?|\[\s*\?|\.\s*opt(?:Flat)?Map\b/;

/** Triple-quoted and raw text first, since they begin like the others. */
const tokenPattern =
  /\s+|\/\/[^\n]*|[rRbB]{0,2}(?:"""[^]*?"""|'''[^]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|[A-Za-z_]\w*|\d[\w.]*|[^]/gy;

export function writeOutOptionals(source: string): string {
  if (!hasOptionals.test(source)) return source;
  const tokens = source.match(tokenPattern) ?? [];
  return new Writer(tokens).sequence("");
}

const closing: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };
const isBlank = (token: string): boolean => /^\s|^\/\//.test(token);
const isName = (token: string): boolean => /^[A-Za-z_]\w*$/.test(token);
/** Methods of an optional whose result is one as well. */
const staysOptional = new Set(["or", "optMap", "optFlatMap"]);

class Writer {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  /** Up to the closing bracket, which is read and not written. */
  sequence(end: string): string {
    let written = "";
    /** The operand that is being read, such as `self.a[0]`; empty after an operator. */
    let operand = "";
    let isOptional = false;
    const finish = (text = "") => {
      written += operand + text;
      operand = "";
      isOptional = false;
    };
    while (this.#at < this.#tokens.length) {
      const token = this.#next();
      if (token === end) break;
      if (isBlank(token)) {
        if (operand === "") written += token;
        else operand += token;
      } else if (token in closing) {
        const inner = this.sequence(closing[token] ?? "");
        if (token === "[" && operand !== "" && (isOptional || inner.trimStart().startsWith("?"))) {
          operand = `${optionalIndex}(${operand}, ${inner.trimStart().replace(/^\?/, "")})`;
          isOptional = true;
        } else operand += `${token}${inner}${closing[token] ?? ""}`;
      } else if (token === "." && operand !== "") {
        [operand, isOptional] = this.#step(operand, isOptional);
      } else if (token === "in" || !/^[\w"'.]/.test(token)) finish(token);
      else {
        if (operand !== "") finish(" ");
        operand = token;
      }
    }
    finish();
    return written;
  }

  /** What follows a dot. */
  #step(operand: string, isOptional: boolean): [string, boolean] {
    this.#skipBlanks();
    const isAsked = this.#peek() === "?";
    if (isAsked) this.#next();
    this.#skipBlanks();
    const name = this.#next();
    if (!isName(name)) return [`${operand}.${isAsked ? "?" : ""}${name}`, isOptional];
    if (this.#peek() !== "(") {
      if (!isAsked && !isOptional) return [`${operand}.${name}`, false];
      return [`${optionalSelect}(${operand}, ${JSON.stringify(name)})`, true];
    }
    this.#next();
    const inner = this.sequence(")");
    if (name !== "optMap" && name !== "optFlatMap") return [`${operand}.${name}(${inner})`, staysOptional.has(name)];
    const comma = inner.indexOf(",");
    const [variable, body] = [inner.slice(0, comma).trim(), inner.slice(comma + 1).trim()];
    const mapped = `[${operand}.value()].map(${variable}, ${body})[0]`;
    const whole = name === "optMap" ? `optional.of(${mapped})` : mapped;
    return [`(${operand}.hasValue() ? ${whole} : optional.none())`, true];
  }

  #next(): string {
    const token = this.#tokens[this.#at] ?? "";
    this.#at += 1;
    return token;
  }

  #peek(): string {
    return this.#tokens[this.#at] ?? "";
  }

  #skipBlanks(): void {
    while (isBlank(this.#peek())) this.#at += 1;
  }
}
