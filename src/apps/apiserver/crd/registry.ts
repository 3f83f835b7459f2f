/**
 * All kinds that the API server serves: the built-in ones and those of the CustomResourceDefinitions put in here (A37).
 * Owns the set of custom kinds; the objects themselves live in the store.
 */
import type { AnyObject, Condition } from "../../../core/api/kube.ts";
import type { Kind, KindRegistry } from "../kind.ts";
import { builtinKinds } from "../schema/builtin.ts";
import { isEqualJson, listAt, objectAt, objectsAt, textAt } from "../schema/json.ts";
import { customKinds } from "./custom-kind.ts";

interface Defined {
  readonly definition: AnyObject;
  readonly kinds: readonly Kind[];
}

const compareText = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

/** v2 before v1 before v1beta1 before v1alpha1, then other names: as Kubernetes ranks versions. */
export const compareVersions = (left: string, right: string): number => {
  const rank = (version: string): readonly [number, number, number] | undefined => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (match === null) return undefined;
    const [, major, stage, minor] = match;
    return [stage === undefined ? 2 : stage === "beta" ? 1 : 0, Number(major), Number(minor ?? 0)];
  };
  const [first, second] = [rank(left), rank(right)];
  if (first === undefined || second === undefined) {
    return first === second ? compareText(left, right) : first === undefined ? 1 : -1;
  }
  return second[0] - first[0] || second[1] - first[1] || second[2] - first[2];
};

export class Registry implements KindRegistry {
  readonly #builtin = builtinKinds();
  readonly #defined = new Map<string, Defined>();
  readonly #heard: (() => void)[] = [];
  #all: readonly Kind[] = this.#builtin;
  #byPlural = new Map<string, Kind>();
  #byKind = new Map<string, Kind>();

  constructor() {
    this.#index();
  }

  find(group: string, version: string, plural: string): Kind | undefined {
    return this.#byPlural.get(`${group}/${version}/${plural}`);
  }

  findByKind(group: string, version: string, kind: string): Kind | undefined {
    return this.#byKind.get(`${group}/${version}/${kind}`);
  }

  /** Built-in kinds first, then custom ones by group; versions of a kind from the newest on. */
  all(): readonly Kind[] {
    return this.#all;
  }

  onChange(heard: () => void): void {
    this.#heard.push(heard);
  }

  /** Kinds that a definition gave, whatever their version. */
  kindsOf(definitionName: string): readonly Kind[] {
    return this.#defined.get(definitionName)?.kinds ?? [];
  }

  /**
   * Serves the kinds of a stored definition, when its names are free. Answers with the status the definition should
   * have; the caller stores it when it differs.
   */
  put(definition: AnyObject, now: string): Readonly<Record<string, unknown>> {
    const { name } = definition.metadata;
    const conflict = this.#conflictOf(definition);
    const known = this.#defined.get(name);
    if (conflict === undefined) {
      if (known === undefined || !isEqualJson(known.definition["spec"], definition["spec"])) {
        this.#defined.set(name, { definition, kinds: customKinds(definition) });
        this.#index();
      }
    } else if (known !== undefined) this.remove(name);
    return statusOf(definition, conflict, now);
  }

  remove(name: string): void {
    if (this.#defined.delete(name)) this.#index();
  }

  /** Why the names of the definition cannot be taken. */
  #conflictOf(definition: AnyObject): string | undefined {
    const spec = objectAt(definition, "spec");
    const group = textAt(spec, "group");
    const names = objectAt(spec, "names");
    const own = new Set(this.kindsOf(definition.metadata.name));
    const others = this.#all.filter((kind) => kind.type.group === group && !own.has(kind));
    const taken = new Set(others.flatMap((kind) => [kind.type.plural, kind.singular, ...kind.shortNames]));
    const wanted = [textAt(names, "plural"), textAt(names, "singular"), ...listAt(names, "shortNames").map(String)];
    const name = wanted.find((one) => one !== "" && taken.has(one));
    if (name !== undefined) return `${JSON.stringify(name)} is already in use`;
    const kinds = new Set(others.flatMap((kind) => [kind.type.kind, kind.listKind]));
    const kind = [textAt(names, "kind"), textAt(names, "listKind")].find((one) => kinds.has(one));
    return kind === undefined ? undefined : `${JSON.stringify(kind)} is already in use`;
  }

  #index(): void {
    const custom = [...this.#defined.values()]
      .flatMap(({ kinds }) => kinds)
      .sort(
        (left, right) =>
          compareText(left.type.group, right.type.group) ||
          compareText(left.type.plural, right.type.plural) ||
          compareVersions(left.type.version, right.type.version),
      );
    this.#all = [...this.#builtin, ...custom];
    this.#byPlural = new Map(this.#all.map((kind) => [addressOf(kind, kind.type.plural), kind]));
    this.#byKind = new Map(this.#all.map((kind) => [addressOf(kind, kind.type.kind), kind]));
    for (const heard of this.#heard) heard();
  }
}

const addressOf = ({ type }: Kind, name: string): string => `${type.group}/${type.version}/${name}`;

const statusOf = (definition: AnyObject, conflict: string | undefined, now: string) => {
  const old = objectAt(definition, "status");
  const names = objectAt(definition, "spec", "names");
  const condition = (
    type: string,
    isTrue: boolean,
    reason: string,
    message: string,
  ): Omit<Condition, "observedGeneration"> => {
    const status = isTrue ? "True" : "False";
    const before = objectsAt(old, "conditions").find((one) => one["type"] === type);
    const isSame = before?.["status"] === status;
    return { type, status, reason, message, lastTransitionTime: isSame ? textAt(before, "lastTransitionTime") : now };
  };
  const storage = objectsAt(definition, "spec", "versions").find((version) => version["storage"] === true);
  const stored = [...new Set([...listAt(old, "storedVersions"), textAt(storage, "name")])];
  const isFree = conflict === undefined;
  return {
    ...old,
    acceptedNames: isFree ? names : objectAt(old, "acceptedNames"),
    conditions: [
      isFree
        ? condition("NamesAccepted", true, "NoConflicts", "no conflicts found")
        : condition("NamesAccepted", false, "NameConflict", conflict),
      isFree
        ? condition("Established", true, "InitialNamesAccepted", "the initial names have been accepted")
        : condition("Established", false, "NotAccepted", "not all names are accepted"),
      ...objectsAt(old, "conditions").filter((one) => one["type"] !== "NamesAccepted" && one["type"] !== "Established"),
    ],
    storedVersions: stored,
  };
};
