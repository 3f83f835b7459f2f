import { describe, expect, test } from "vitest";
import type { Kind, Schema } from "../kind.ts";
import { checkDefinition, fillDefinitionDefaults } from "./definition.ts";
import { definitionOf, kindOf, texts, widget } from "./widgets.fixture.ts";

describe("rules", () => {
  const ruled = (rules: Schema["x-kubernetes-validations"], properties: Schema["properties"] = {}): Kind =>
    kindOf(
      definitionOf({
        type: "object",
        properties,
        ...(rules === undefined ? {} : { "x-kubernetes-validations": rules }),
      }),
    );

  test("integers are CEL integers, reserved names are spelled as Kubernetes does, maps and lists iterate", () => {
    const kind = ruled(
      [
        { rule: "self.min <= self.max", message: "min is above max" },
        { rule: "!has(self.ref) || self.ref.__namespace__ != 'kube-system'", message: "not there" },
        {
          rule: "self.hosts.all(h, !h.contains('*'))",
          messageExpression: "'wildcards in ' + string(size(self.hosts)) + ' hosts'",
        },
        { rule: "self.labels.exists(k, self.labels[k] == 'x')", reason: "FieldValueForbidden", fieldPath: ".labels" },
      ],
      {
        min: { type: "integer" },
        max: { type: "integer" },
        ref: { type: "object", properties: { namespace: { type: "string" } } },
        hosts: { type: "array", items: { type: "string" } },
        labels: { type: "object", additionalProperties: { type: "string" } },
      },
    );
    expect(texts(kind, widget({ min: 1, max: 2, hosts: ["a"], labels: { k: "x" } }))).toEqual([]);
    expect(
      texts(kind, widget({ min: 3, max: 2, ref: { namespace: "kube-system" }, hosts: ["*"], labels: { k: "y" } })),
    ).toEqual([
      'spec: Invalid value: "object": min is above max',
      'spec: Invalid value: "object": not there',
      'spec: Invalid value: "object": wildcards in 1 hosts',
      "spec.labels: Forbidden: failed rule: self.labels.exists(k, self.labels[k] == 'x')",
    ]);
  });

  test("Kubernetes' own functions", () => {
    const kind = ruled(
      [
        { rule: "isURL(self.url) && url(self.url).getScheme() == 'https'" },
        { rule: "isIP(self.ip) && ip(self.ip).family() == 4 && cidr('10.0.0.0/8').containsIP(self.ip)" },
        { rule: "quantity(self.size).isGreaterThan(quantity('1Mi'))" },
        { rule: "self.list.isSorted() && self.list.sum() == 6 && self.url.find('[0-9]+') == '8080'" },
        { rule: "'%s-%d'.format([self.ip, self.list.max()]) == self.ip + '-3'" },
      ],
      {
        url: { type: "string" },
        ip: { type: "string" },
        size: { type: "string" },
        list: { type: "array", items: { type: "integer" } },
      },
    );
    const good = { url: "https://a:8080/x", ip: "10.1.2.3", size: "2Mi", list: [1, 2, 3] };
    expect(texts(kind, widget(good))).toEqual([]);
    expect(texts(kind, widget({ ...good, url: "http://a:8080" }))).toHaveLength(1);
    expect(texts(kind, widget({ ...good, ip: "11.1.2.3" }))).toHaveLength(1);
    expect(texts(kind, widget({ ...good, size: "2k" }))).toHaveLength(1);
  });

  test("transition rules compare items by their keys, and stay silent at creation", () => {
    const kind = ruled(undefined, {
      items: {
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        items: {
          type: "object",
          properties: {
            name: { type: "string" },
            port: { type: "integer", "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "fixed" }] },
          },
        },
      },
    });
    const old = widget({
      items: [
        { name: "a", port: 1 },
        { name: "b", port: 2 },
      ],
    });
    expect(texts(kind, old)).toEqual([]);
    const moved = widget({
      items: [
        { name: "b", port: 2 },
        { name: "a", port: 1 },
        { name: "c", port: 3 },
      ],
    });
    expect(texts(kind, moved, old)).toEqual([]);
    expect(texts(kind, widget({ items: [{ name: "b", port: 9 }] }), old)).toEqual([
      'spec.items[0].port: Invalid value: "integer": fixed',
    ]);
  });

  test("with optionalOldSelf a rule also runs at creation", () => {
    const rule = "!oldSelf.hasValue() || oldSelf.value() <= self";
    const kind = ruled(undefined, {
      count: { type: "integer", "x-kubernetes-validations": [{ rule, optionalOldSelf: true, message: "shrinks" }] },
    });
    expect(texts(kind, widget({ count: 1 }))).toEqual([]);
    expect(texts(kind, widget({ count: 1 }), widget({ count: 2 }))).toEqual([
      'spec.count: Invalid value: "integer": shrinks',
    ]);
  });

  test("an object of wrong types is not shown to the rules, and says so", () => {
    const kind = ruled([{ rule: "self.min > 0" }], { min: { type: "integer" } });
    const found = texts(kind, widget({ min: "x" }));
    expect(found).toHaveLength(2);
    expect(found[1]).toMatch(/^<nil>: Invalid value: null: some validation rules were not checked/);
  });

  test.each([
    ["self.min >", /compilation failed/],
    ["nosuch(self.min)", /undeclared reference to 'nosuch'/],
    ["other.min > 0", /undeclared reference to 'other'/],
  ])("a definition with the rule %s is refused", (rule, message) => {
    const definition = definitionOf({
      type: "object",
      properties: { min: { type: "integer" } },
      "x-kubernetes-validations": [{ rule }],
    });
    fillDefinitionDefaults(definition);
    const causes = checkDefinition(definition, undefined);
    expect(causes).toHaveLength(1);
    expect(causes[0]?.field).toBe("spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule");
    expect(causes[0]?.message).toMatch(message);
  });

  test("a rule that names a field the schema lacks is refused", () => {
    const definition = definitionOf({
      type: "object",
      properties: { ports: { type: "array", items: { type: "object", properties: { port: { type: "integer" } } } } },
      "x-kubernetes-validations": [{ rule: "self.ports.all(p, p.prt > 0)" }],
    });
    expect(checkDefinition(definition, undefined)[0]?.message).toMatch(/undefined field 'prt'/);
  });
});
