/** Finds a shorter plan that breaks the same rule: leaves out halves, then quarters, then single steps. */
import type { Plan, Step } from "./plan.ts";
import type { Rule } from "./safety.ts";
import { runWorld } from "./world.ts";
import type { RunOptions } from "./world.ts";

const runsMax = 80;

export async function shrink(plan: Plan, rule: Rule, options: RunOptions = {}): Promise<Plan> {
  let best = plan;
  let runs = 0;
  const breaks = async (steps: readonly Step[]): Promise<boolean> => {
    runs += 1;
    const { breach } = await runWorld({ ...plan, steps }, options);
    return breach?.rule === rule;
  };
  for (let size = Math.ceil(plan.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.steps.length && runs < runsMax;) {
      const steps = [...best.steps.slice(0, at), ...best.steps.slice(at + size)];
      if (await breaks(steps)) best = { ...best, steps };
      else at += size;
    }
  }
  return best;
}
