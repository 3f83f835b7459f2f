/**
 * `npm run sim`: runs many worlds, one per seed, in several processes, and prints those that break a rule with the shortest
 * plan that still breaks it. `--seed N --trace` runs one and prints all that happens in it.
 */
import { fork } from "node:child_process";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { planOf } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { shrink } from "./shrink.ts";
import { runWorld } from "./world.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "500" },
    start: { type: "string", default: "0" },
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
    jobs: { type: "string", default: String(Math.min(8, cpus().length)) },
    /** Shortens nothing. */
    quick: { type: "boolean", default: false },
    /** Of one process: every so many seeds. */
    stride: { type: "string" },
  },
});

interface Tally {
  readonly worlds: number;
  readonly failed: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly cpuMs: number;
}

/** Failing plans that one job shortens; that takes many runs each. */
const shrunkMax = values.quick ? 0 : 1;
let shrunk = 0;
/** Failing seeds that one job tells of. */
const toldMax = 10;
let told = 0;

const none: Tally = { worlds: 0, failed: 0, events: 0, virtualMs: 0, cpuMs: 0 };
const sum = (one: Tally, other: Tally): Tally => ({
  worlds: one.worlds + other.worlds,
  failed: one.failed + other.failed,
  events: one.events + other.events,
  virtualMs: one.virtualMs + other.virtualMs,
  cpuMs: one.cpuMs + other.cpuMs,
});

const planText = ({ clusters, replicas, isFlat, weather, steps }: Plan): string =>
  [
    `  ${clusters} clusters, ${replicas} replicas${isFlat ? ", c1 and c2 on one network" : ""}, ${JSON.stringify(weather)}`,
    ...steps.map(({ atMs, kind, numbers }) => `  ${(atMs / 1000).toFixed(3)} ${kind} ${numbers.join(" ")}`),
  ].join("\n");

async function runSeed(seed: number, isTracing: boolean): Promise<Tally> {
  const plan = planOf(seed);
  const begun = process.cpuUsage();
  const { breach, events, virtualMs, tail, fingerprint } = await runWorld(plan, { isTracing });
  const { user, system } = process.cpuUsage(begun);
  if (isTracing) console.log(`${planText(plan)}\nfingerprint ${fingerprint}`);
  if (breach !== undefined && (told += 1) <= toldMax) {
    console.log(`\nseed ${seed}: breaks "${breach.rule}" after ${(virtualMs / 1000).toFixed(3)} s\n  ${breach.what}`);
    if (!isTracing && shrunk < shrunkMax) {
      shrunk += 1;
      const short = await shrink(plan, breach.rule);
      console.log(`The shortest plan found (of ${plan.steps.length} steps):\n${planText(short)}`);
      console.log(
        `The end of the trace:\n${tail
          .slice(-25)
          .map((line) => `    ${line}`)
          .join("\n")}`,
      );
      console.log(`Again, in full: npm run sim -- --seed ${seed} --trace`);
    }
  }
  return { worlds: 1, failed: breach === undefined ? 0 : 1, events, virtualMs, cpuMs: (user + system) / 1000 };
}

async function runMany(first: number, end: number, stride: number): Promise<Tally> {
  let tally = none;
  for (let seed = first; seed < end; seed += stride) tally = sum(tally, await runSeed(seed, false));
  return tally;
}

/** Each job takes every so many seeds, so that all are done at about the same time. */
function inJobs(start: number, count: number, jobs: number): Promise<readonly Tally[]> {
  const run = (job: number): Promise<Tally> =>
    new Promise((resolve, reject) => {
      const args = [
        "--start",
        String(start + job),
        "--seeds",
        String(count - job),
        "--stride",
        String(jobs),
        ...(values.quick ? ["--quick"] : []),
      ];
      const child = fork(process.argv[1] ?? "", args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
      let tally: Tally | undefined;
      // A job sends nothing but its tally.
      child.on("message", (message) => (tally = message as Tally));
      child.on("exit", (code) =>
        tally === undefined ? reject(new Error(`A job ended with code ${code}.`)) : resolve(tally),
      );
    });
  return Promise.all(Array.from({ length: jobs }, (_, job) => run(job)));
}

const [start, count] = [Number(values.start), Number(values.seeds)];
if (values.seed !== undefined) {
  const { failed } = await runSeed(Number(values.seed), values.trace);
  process.exit(failed === 0 ? 0 : 1);
} else if (values.stride !== undefined) {
  const tally = await runMany(start, start + count, Number(values.stride));
  process.send?.(tally);
  if (process.connected) process.disconnect();
} else {
  const begun = Date.now();
  const tally = (await inJobs(start, count, Number(values.jobs))).reduce(sum, none);
  const hours = (tally.virtualMs / 3_600_000).toFixed(1);
  const cpuSeconds = (tally.cpuMs / 1000).toFixed(1);
  const seconds = ((Date.now() - begun) / 1000).toFixed(1);
  console.log(
    `${tally.worlds} worlds, ${tally.failed} broken; ` +
      `${hours} hours and ${tally.events} events in ${seconds} s (${cpuSeconds} s of CPU)`,
  );
  process.exit(tally.failed === 0 ? 0 : 1);
}
