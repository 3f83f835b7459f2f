/**
 * Compiles CEL expressions of CRDs (A39). A compiled program is a pure function; the cache holds as many as a cluster
 * has rules. What cannot be compiled is a problem in words: a CRD with such a rule is refused.
 */
import { type CelInput, type CelResult, celEnv, parse, plan } from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";
import { errorText } from "../../../core/api/error-text.ts";
import type { Schema } from "../kind.ts";
import { kubernetesFunctions } from "./cel-functions.ts";
import { optionalSelect, writeOutOptionals } from "./cel-optional.ts";
import { unescapeField } from "./cel-values.ts";

type Expression = ReturnType<typeof parse>["expr"];

export interface Program {
  readonly usesOldSelf: boolean;
  /** Its result can be anything but true or false; false where that is not plain to see. */
  readonly isNoCondition: boolean;
  run(bindings: Record<string, CelInput>): CelResult;
}

const environment = celEnv({ funcs: [...strings, ...kubernetesFunctions] });
const variables = ["self", "oldSelf"];
const typeNames = new Set(
  ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"].concat([
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
  ]),
);
/** Operators that the planner knows without a function. */
const operators = new Set(["_&&_", "_||_", "_?_:_", "_[_]", "@not_strictly_false", "_==_", "_!=_", "!_", "-_", "@in"]);
const expressionLengthMax = 50_000;
const programsMax = 5_000;
const programs = new Map<string, Program | { readonly problem: string }>();

/** `schema` is that of `self`; with it, fields that do not exist are found. */
export const compileRule = (source: string, schema?: Schema): Program | { readonly problem: string } => {
  // Fields are checked against the schema anew; the program itself depends on the text alone.
  let made = programs.get(source);
  if (made === undefined) {
    made = compile(source);
    if (programs.size < programsMax) programs.set(source, made);
  }
  if ("problem" in made || schema === undefined) return made;
  const problem = fieldProblem(source, schema);
  return problem === undefined ? made : { problem };
};

const compile = (source: string): Program | { readonly problem: string } => {
  if (source.length > expressionLengthMax)
    return { problem: `an expression may have ${expressionLengthMax} characters` };
  try {
    const parsed = parse(writeOutOptionals(source));
    const names = new Set<string>();
    const problem = nameProblem(parsed.expr, new Set(variables), names);
    if (problem !== undefined) return { problem };
    const run = plan(environment, parsed.expr);
    const isNoCondition = !mayBeCondition(parsed.expr);
    return { usesOldSelf: names.has("oldSelf"), isNoCondition, run: (bindings) => run(bindings) };
  } catch (error) {
    return { problem: errorText(error) };
  }
};

/** Functions whose result is never a truth value. */
const valueFunctions = new Set(
  ["size", "_+_", "_-_", "_*_", "_/_", "_%_", "-_", "string", "int", "double"].concat(["trim", "lowerAscii"]),
);

function mayBeCondition(expression: Expression): boolean {
  const kind = expression.exprKind;
  if (kind.case === "constExpr") return kind.value.constantKind.case === "boolValue";
  if (kind.case === "listExpr" || kind.case === "structExpr") return false;
  return kind.case !== "callExpr" || !valueFunctions.has(kind.value.function);
}

const isExpression = (value: Expression | undefined): value is Expression => value !== undefined;

/** The expressions inside one; a comprehension's variables are added to the scope by the caller. */
const childrenOf = (expression: Expression): readonly Expression[] => {
  const { exprKind: kind } = expression;
  switch (kind.case) {
    case "selectExpr":
      return [kind.value.operand].filter(isExpression);
    case "callExpr":
      return [kind.value.target, ...kind.value.args].filter(isExpression);
    case "listExpr":
      return kind.value.elements;
    case "structExpr":
      return kind.value.entries.flatMap((entry) =>
        [entry.keyKind.case === "mapKey" ? entry.keyKind.value : undefined, entry.value].filter(isExpression),
      );
    case "comprehensionExpr": {
      const { iterRange, accuInit, loopCondition, loopStep, result } = kind.value;
      return [iterRange, accuInit, loopCondition, loopStep, result].filter(isExpression);
    }
    case "constExpr":
    case "identExpr":
    case undefined:
      return [];
  }
};

/** Functions and variables that do not exist; collects the variables that are used. */
const nameProblem = (expression: Expression, scope: ReadonlySet<string>, used: Set<string>): string | undefined => {
  const { exprKind: kind } = expression;
  let inner = scope;
  if (kind.case === "identExpr") {
    used.add(kind.value.name);
    const isKnown = scope.has(kind.value.name) || typeNames.has(kind.value.name);
    return isKnown ? undefined : `undeclared reference to '${kind.value.name}'`;
  }
  if (kind.case === "callExpr") {
    const { function: name, target } = kind.value;
    if (target?.exprKind.case === "identExpr" && !scope.has(target.exprKind.value.name)) {
      const qualified = `${target.exprKind.value.name}.${name}`;
      if (environment.funcs.find(qualified) === undefined) return `undeclared reference to '${qualified}'`;
      return firstProblem(kind.value.args, scope, used);
    }
    if (!operators.has(name) && environment.funcs.find(name) === undefined) return `undeclared reference to '${name}'`;
  }
  if (kind.case === "comprehensionExpr") {
    inner = new Set([...scope, kind.value.iterVar, kind.value.iterVar2, kind.value.accuVar]);
  }
  return firstProblem(childrenOf(expression), inner, used);
};

const firstProblem = (
  expressions: readonly Expression[],
  scope: ReadonlySet<string>,
  used: Set<string>,
): string | undefined => {
  let problem: string | undefined;
  for (const expression of expressions) problem ??= nameProblem(expression, scope, used);
  return problem;
};

type Scope = ReadonlyMap<string, Schema | undefined>;

/** A field that the schema of `self` does not have. Where types are not known, nothing is said. */
const fieldProblem = (source: string, schema: Schema): string | undefined => {
  const problems: string[] = [];
  visitFields(
    parse(writeOutOptionals(source)).expr,
    new Map([
      ["self", schema],
      ["oldSelf", schema],
    ]),
    problems,
  );
  return problems[0];
};

const itemSchema = (schema: Schema | undefined): Schema | undefined =>
  typeof schema?.additionalProperties === "object" ? schema.additionalProperties : schema?.items;

function visitFields(expression: Expression, scope: Scope, problems: string[]): Schema | undefined {
  const { exprKind: kind } = expression;
  if (kind.case === "identExpr") return scope.get(kind.value.name);
  if (kind.case === "selectExpr") {
    const { operand, field, testOnly } = kind.value;
    const holder = operand === undefined ? undefined : visitFields(operand, scope, problems);
    const found = holder === undefined ? undefined : selected(holder, field, problems);
    return testOnly ? undefined : found;
  }
  if (kind.case === "comprehensionExpr") {
    const { iterRange, iterVar } = kind.value;
    const range = iterRange === undefined ? undefined : visitFields(iterRange, scope, problems);
    // Over a map the variable is a key, whose type says nothing about fields.
    const inner = new Map([...scope, [iterVar, range?.items] as const, [kind.value.accuVar, undefined] as const]);
    for (const child of childrenOf(expression)) if (child !== iterRange) visitFields(child, inner, problems);
    return undefined;
  }
  const results = childrenOf(expression).map((child) => visitFields(child, scope, problems));
  if (kind.case !== "callExpr") return undefined;
  if (kind.value.function === optionalSelect) return optionallySelected(kind.value.args[1], results[0], problems);
  return kind.value.function === "_[_]" ? itemSchema(results[0]) : undefined;
}

const optionallySelected = (
  name: Expression | undefined,
  holder: Schema | undefined,
  problems: string[],
): Schema | undefined => {
  const constant = name?.exprKind.case === "constExpr" ? name.exprKind.value.constantKind : undefined;
  if (holder === undefined || constant?.case !== "stringValue") return undefined;
  return selected(holder, constant.value, problems);
};

const selected = (holder: Schema, field: string, problems: string[]): Schema | undefined => {
  const { properties, additionalProperties } = holder;
  if (typeof additionalProperties === "object") return additionalProperties;
  const isOpen = holder["x-kubernetes-preserve-unknown-fields"] === true || additionalProperties === true;
  if (properties === undefined || isOpen || holder["x-kubernetes-embedded-resource"] === true) return undefined;
  const name = unescapeField(field);
  if (Object.hasOwn(properties, name)) return properties[name];
  problems.push(`undefined field '${field}'`);
  return undefined;
};
