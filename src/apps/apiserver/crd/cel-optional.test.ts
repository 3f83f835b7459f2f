/** Optional syntax: what is written out, and what it comes to. */
import { describe, expect, it } from "vitest";
import type { Schema } from "../kind.ts";
import { writeOutOptionals } from "./cel-optional.ts";
import { compileRule } from "./cel-program.ts";
import { toCel } from "./cel-values.ts";

const schema: Schema = {
  type: "object",
  properties: {
    a: { type: "string" },
    deep: { type: "object", properties: { b: { type: "object", properties: { c: { type: "integer" } } } } },
    list: { type: "array", items: { type: "string" } },
  },
};

const run = (rule: string, self: object): unknown => {
  const program = compileRule(rule, schema);
  return "problem" in program ? program.problem : program.run({ self: toCel(self, schema) });
};

describe("optional syntax", () => {
  it("leaves everything else as it was", () => {
    for (const rule of [
      "self.a == 'x.?y'",
      "self.a.startsWith('b') ? true : false",
      'self.list.all(x, x in ["[?]"])',
    ]) {
      expect(writeOutOptionals(rule)).toBe(rule);
    }
  });

  it.each([
    ["self.?a.orValue('') != 'b'", { a: "b" }, false],
    ["self.?a.orValue('') != 'b'", {}, true],
    ["self.?a.hasValue()", {}, false],
    ["self.?deep.b.c.orValue(7) == 7", {}, true],
    ["self.?deep.b.c.orValue(7) == 7", { deep: { b: { c: 8 } } }, false],
    ["self.deep.?b.?c == optional.none()", { deep: {} }, true],
    ["self.list[?0].orValue('none') == 'none'", { list: [] }, true],
    ["self.list[?0].orValue('none') == 'none'", { list: ["x"] }, false],
    ["self.?list[0].orValue('none') == 'x'", { list: ["x"] }, true],
    ["self.?a.optMap(v, v + '!').orValue('') == 'b!'", { a: "b" }, true],
    ["self.?a.optMap(v, v + '!').orValue('') == ''", {}, true],
    ["self.?a.or(self.list[?0]).value() == 'y'", { list: ["y"] }, true],
    ["(self.?a.orValue('x') == 'x' ? self.?list.orValue([]).size() : 3) == 0", {}, true],
  ])("%s of %j is %s", (rule, self, expected) => expect(run(rule, self)).toBe(expected));

  it("finds fields that do not exist all the same", () => {
    expect(run("self.?nope.hasValue()", {})).toBe("undefined field 'nope'");
  });
});
