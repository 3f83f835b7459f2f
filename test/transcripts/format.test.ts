/** What a transcript may say, and when what was seen is what it says. */
import { describe, expect, it } from "vitest";
import { match } from "./expect.ts";
import { parseTranscript } from "./parse.ts";
import { Session } from "./run.ts";

const fence = "```";
const transcript = (text: string) => parseTranscript(text.replaceAll("~~~", fence));
const none = new Map<string, string>();

describe("a transcript", () => {
  it("is the commands of a guide with what follows them; prose and other blocks are not typed", () => {
    const { steps } = transcript(
      "# T\nSome prose.\n~~~sh\necho a\n~~~\n~~~text\na\n~~~\n~~~yaml\nb: 1\n~~~\n~~~sh skip\nrm x\n~~~\n",
    );
    expect(steps).toEqual([{ line: 4, script: "echo a", expected: "a", isFailing: false, msMax: 0 }]);
  });

  it("takes blocks of lists without their indent, and hidden commands", () => {
    const { steps, given } = transcript(
      "1. Do:\n   ~~~sh within=5s fails\n   for i in 1; do\n     a\n   done\n   ~~~\n<!-- run: b -->\n<!-- given: x = y -->\n",
    );
    expect(steps.map(({ script }) => script)).toEqual(["for i in 1; do\n  a\ndone", "b"]);
    expect(steps[0]).toMatchObject({ isFailing: true, msMax: 5000 });
    expect(given.get("x")).toBe("y");
  });

  it("refuses a word it does not know and a block without an end", () => {
    expect(() => transcript("~~~sh witin=5s\na\n~~~\n")).toThrow('"witin=5s" is none of');
    expect(() => transcript("~~~sh\na\n")).toThrow("line 1: the block is not closed");
  });
});

describe("what was seen", () => {
  it("is right when only ages, names and column widths differ", () => {
    const said = "NAME READY AGE\nweb-<hash>-<hash> 1/1 <age>";
    expect(
      match(said, "NAME                   READY   AGE\nweb-5c64bb49cd-w3dmw   1/1     2m4s\n", none),
    ).toBeDefined();
    expect(
      match(said, "NAME                   READY   AGE\nweb-5c64bb49cd-w3dmw   0/1     2m4s\n", none),
    ).toBeUndefined();
    expect(match(said, "NAME READY AGE\nweb-a-b 1/1 4s\nweb-c-d 1/1 4s\n", none)).toBeUndefined();
  });

  it("must name the same thing where the transcript does", () => {
    const bound = match("<pod:one> Running", "a-1 Running\n", none);
    expect(bound?.get("pod:one")).toBe("a-1");
    expect(match("<pod:one>\n<pod:one>", "a-1\na-1\n", bound ?? none)).toBeDefined();
    expect(match("<pod:one>", "b-1\n", bound ?? none)).toBeUndefined();
    expect(match("<pod:two>\n<pod:two>", "a\nb\n", none)).toBeUndefined();
  });

  it("may have more lines only where the transcript leaves them open", () => {
    expect(match("a\n...\nz", "a\nb\nc\nz\n", none)).toBeDefined();
    expect(match("a\n...", "a\n", none)).toBeDefined();
    expect(match("a", "a\nb\n", none)).toBeUndefined();
  });
});

describe("a session", () => {
  it("keeps what was exported, fails on another output, and repeats until it is right", async () => {
    const { PATH } = process.env;
    const told = transcript(
      [
        "~~~sh\nexport A=1 B='x y'; cd /; f() { pwd; }\n~~~",
        '~~~sh\necho "$A $B <pod>"; f\n~~~\n~~~text\n1 x y <any>\n/\n~~~',
        "~~~sh fails\necho no >&2; false; echo never\n~~~\n~~~text\nno\n~~~",
        "~~~sh within=10s\necho $((N = ${N:-0} + 1)); export N\n~~~\n~~~text\n3\n~~~",
        "~~~sh\necho other\n~~~\n~~~text\nthis\n~~~",
        "~~~sh\nfalse | cat\n~~~",
      ].join("\n"),
    );
    const session = new Session({ PATH }, told);
    try {
      for (const step of told.steps.slice(0, 4)) await session.step(step);
      const [, , , , other, broken] = told.steps;
      await expect(session.step(other!)).rejects.toThrow(/line \d+: the output is another/);
      await expect(session.step(broken!)).rejects.toThrow("exit code 1");
    } finally {
      session.end();
    }
  });
});
