/** How words become a command and its flags, what help says, and what is said when they cannot. */
import { describe, expect, it } from "vitest";
import {
  type Command,
  CommandError,
  findCommand,
  helpOf,
  knownPart,
  overview,
  parseFlags,
  UsageError,
} from "./command.ts";
import { commands } from "./commands.ts";
import { clusterNames, ignoredNodes } from "./commands/sandbox.ts";
import { msOf } from "./commands/sandbox-fault.ts";
import { nodeOf } from "./commands/sandbox-node.ts";
import { pairsOf } from "./commands/link.ts";
import { exitCode, explain } from "./explain.ts";
import { virtualHost } from "../../io/host/virtual-host.ts";
import { KubeError } from "../../io/kube/client.ts";

const command: Command = {
  path: ["boat", "row"],
  summary: "Row",
  flags: {
    to: { type: "string", short: "t", value: "SHORE", description: "where to" },
    oar: { type: "string", multiple: true, description: "which oars" },
    fast: { type: "boolean", description: "hurry" },
  },
  run: () => Promise.resolve(0),
};
const withArgument: Command = { ...command, positional: "CREW -- SONG" };
const mistakeOf = (args: string[], of = command): string => {
  try {
    parseFlags(of, args);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return explain(error).text;
  }
  return "";
};

describe("words", () => {
  it("find the command with the longest path", () => {
    const sea: Command = { ...command, path: ["boat"] };
    expect(findCommand([sea, command], ["boat", "row", "--fast"])).toBe(command);
    expect(findCommand([sea, command], ["boat", "sink"])).toBe(sea);
    expect(findCommand([command], ["boat"])).toBeUndefined();
  });

  it("become flags: texts, switches, and lists by repetition or comma", () => {
    const flags = parseFlags(command, ["-t", "north", "--oar", "left,right", "--oar=spare", "--fast"]);
    expect([flags.text("to"), flags.isSet("fast"), flags.text("oar")]).toEqual(["north", true, undefined]);
    expect(flags.list("oar")).toEqual(["left", "right", "spare"]);
    expect(flags.each("oar")).toEqual(["left,right", "spare"]);
  });

  it("behind -- are another program's, whatever they look like", () => {
    expect(parseFlags(withArgument, ["we", "--", "sing", "--fast", "-t"]).positionals).toEqual([
      "we",
      "sing",
      "--fast",
      "-t",
    ]);
  });

  it("that are wrong are named, with the way to the help", () => {
    expect(mistakeOf(["--slow"])).toMatch(/^tombolo boat row: .*'--slow'.*See 'tombolo boat row --help'\.$/);
    expect(mistakeOf(["--to"])).toMatch(/--to/);
    expect(mistakeOf(["--fast=yes"])).toMatch(/--fast/);
    expect(mistakeOf(["ashore"])).toBe(
      `tombolo boat row takes no argument, but got "ashore". See 'tombolo boat row --help'.`,
    );
    for (const args of [["--slow"], ["--to"], ["ashore"]]) expect(mistakeOf(args)).not.toContain("\n");
  });
});

describe("help", () => {
  it("shows usage, every flag with its value, and examples", () => {
    const text = helpOf({ ...withArgument, examples: ["tombolo boat row crew"] });
    for (const part of ["CREW -- SONG [flags]", "-t, --to SHORE", "where to", "-h, --help", "tombolo boat row crew"])
      expect(text).toContain(part);
  });

  it("exists for every command, whose examples can be parsed", () => {
    for (const one of commands) {
      expect(helpOf(one)).toContain(`tombolo ${one.path.join(" ")}`);
      expect(one.summary).not.toMatch(/\.$/);
      for (const example of one.examples ?? []) {
        const words = (example.split(" | ")[0] ?? "").replaceAll('"', "").split(" ").slice(1);
        expect(findCommand(commands, words), example).toBe(one);
        expect(() => parseFlags(one, words.slice(one.path.length)), example).not.toThrow();
      }
    }
  });

  it("after a mistake is that of the words before it", () => {
    expect(knownPart(commands, ["sandbox", "frob", "x"])).toEqual(["sandbox"]);
    expect(knownPart(commands, ["sandbox", "fault", "cat"])).toEqual(["sandbox", "fault"]);
    expect(knownPart(commands, ["frob", "up"])).toEqual([]);
  });

  it("lists what is below a word", () => {
    const text = overview(commands, ["sandbox"]);
    expect(text).toContain("tombolo sandbox load");
    expect(text).not.toContain("tombolo install");
  });
});

describe("failures", () => {
  it("are sentences and an exit code", () => {
    expect(explain(new UsageError("No."))).toEqual({ text: "No.", code: exitCode.usage });
    expect(explain(new CommandError("It broke.", "Mend it."))).toEqual({ text: "It broke.\nMend it.", code: 1 });
    expect(explain("odd")).toEqual({ text: "odd", code: 1 });
  });

  it("of the API server say who speaks; one that cannot be reached leads to the sandbox's status", () => {
    const away = explain(new KubeError(0, "Unreachable", "The API server https://x cannot be reached."));
    expect(away.text).toMatch(/^The API server https:\/\/x cannot be reached\.\n.*tombolo sandbox status/);
    expect(explain(new KubeError(409, "Conflict", "busy")).text).toBe("The API server says: busy");
    expect(explain(new KubeError(403, "Forbidden", "no")).text).toContain("Use a kubeconfig context");
  });
});

describe("links", () => {
  const link = findCommand(commands, ["multicluster", "link"])!;
  const pairs = (...args: string[]) => pairsOf(parseFlags(link, args)).map(({ from, to }) => `${from}>${to}`);

  it("go both ways between all contexts, one way between --from and --to", () => {
    expect(pairs("--contexts=a,b,c")).toEqual(["a>b", "a>c", "b>a", "b>c", "c>a", "c>b"]);
    expect(pairs("--contexts", "a", "--contexts", "b,a")).toEqual(["a>b", "b>a"]);
    expect(pairs("--from", "a", "--to", "b")).toEqual(["a>b"]);
  });

  it("that lead nowhere are refused", () => {
    const cases = [["--contexts=a"], ["--contexts=a,a"], [], ["--from", "a"], ["--to", "a"]];
    for (const args of [...cases, ["--from", "a", "--to", "a"], ["--contexts=a,b", "--from", "a", "--to", "b"]])
      expect(() => pairs(...args), args.join(" ")).toThrow(UsageError);
  });
});

describe("clusters of the sandbox", () => {
  const up = findCommand(commands, ["sandbox", "up"])!;
  const names = (...args: string[]) => clusterNames(parseFlags(up, args));

  it("are counted or named", () => {
    expect(names()).toBeUndefined();
    expect(names("--clusters", "3")).toEqual(["cluster1", "cluster2", "cluster3"]);
    expect(names("--clusters", "alpha,beta")).toEqual(["alpha", "beta"]);
    expect(() => names("--clusters", "0")).toThrow(UsageError);
    expect(() => names("--clusters", "Not_Good")).toThrow(/"Not_Good" cannot name a cluster/);
  });
});

describe("a sandbox that is there already", () => {
  const up = findCommand(commands, ["sandbox", "up"])!;
  const clusters = [{ name: "east", nodes: 1, isReady: true, pid: 1, server: "", log: "" }];
  const warnings = (...args: string[]) => ignoredNodes(parseFlags(up, args), { clusters }).join();

  it("keeps its nodes, which is said", () => {
    expect(warnings("--nodes", "2")).toContain("east was there already and keeps its 1 node. To change it:");
    expect(warnings("--nodes", "1")).toBe("");
    expect(warnings()).toBe("");
  });
});

describe("flags that do not go together", () => {
  const never = (): never => {
    throw new Error("nothing may be done");
  };
  it.each([
    ["multicluster check --context a --contexts b"],
    ["link --plan --generate --contexts a,b"],
    ["link --context a --contexts a,b"],
  ])("are refused: %s", async (line) => {
    const words = line.split(" ");
    const one = findCommand(commands, words)!;
    const shell = {
      host: virtualHost(),
      signal: new AbortController().signal,
      out: never,
      note: never,
      connect: never,
    };
    const run = Promise.resolve().then(() => one.run(shell, parseFlags(one, words.slice(one.path.length))));
    await expect(run).rejects.toThrow(UsageError);
  });
});

describe("faults of the sandbox", () => {
  it.each([
    ["cluster1/node2", "cluster1", "cluster1-node2"],
    ["cluster1/cluster1-node2", "cluster1", "cluster1-node2"],
    ["eu-west-node3", "eu-west", "eu-west-node3"],
  ])("take %s for a node", (text, cluster, node) => expect(nodeOf(text)).toEqual({ cluster, node }));

  it.each(["node2", "a/b-node1", "cluster1", "a/node"])("do not take %s for one", (text) =>
    expect(() => nodeOf(text)).toThrow("names no node"),
  );

  it("last for a time with a unit, up to a maximum", () => {
    expect([msOf("500ms", "for", 600_000), msOf("10s", "for", 600_000), msOf("2m", "for", 600_000)]).toEqual([
      500, 10_000, 120_000,
    ]);
    for (const text of ["11m", "0s", "10", "-1s", "1h"])
      expect(() => msOf(text, "for", 600_000)).toThrow("give a time");
  });
});
