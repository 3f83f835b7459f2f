/**
 * The field tables of protobuf bodies (A28). One message a line, `Name 1=field:type …`: no type is text, `*` a list, `{}` a
 * map with text keys, `~` instead of a name splices the message into the one around it, as its JSON has it.
 */
import { kindTables } from "./kind-tables.ts";
import { otherTables } from "./other-tables.ts";
import { podTables } from "./pod-tables.ts";

export interface ProtoField {
  /** "~" for a message that is spliced in. */
  readonly name: string;
  readonly form: "one" | "list" | "map";
  /** `text`, `int`, `bool`, `bytes`, `time`, `quantity`, `intOrString`, `json`, or the name of a message. */
  readonly type: string;
}

export type ProtoMessage = ReadonlyMap<number, ProtoField>;

function parseField(word: string): [number, ProtoField] {
  const [, number = "", name = "", form = "", type = ""] = /^(\d+)=([^:]+)(?::(\*|\{\})?(.*))?$/.exec(word) ?? [];
  if (name === "") throw new Error(`The protobuf table has a word that is no field: ${word}.`);
  const forms = { "*": "list", "{}": "map", "": "one" } as const;
  return [Number(number), { name, form: forms[form as keyof typeof forms], type: type === "" ? "text" : type }];
}

function parseTables(text: string): ReadonlyMap<string, ProtoMessage> {
  const lines = text.replace(/\n +/g, " ").trim().split("\n");
  return new Map(
    lines.map((line) => {
      const [name = "", ...words] = line.split(" ");
      return [name, new Map(words.filter((word) => word !== "").map(parseField))];
    }),
  );
}

let parsed: ReadonlyMap<string, ProtoMessage> | undefined;

/** Parsed at first use: most clients send JSON. */
export const protoMessages = (): ReadonlyMap<string, ProtoMessage> =>
  (parsed ??= parseTables(kindTables + podTables + otherTables));
