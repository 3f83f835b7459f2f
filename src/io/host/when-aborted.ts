/** What is to be done at an end that may have come already: an abort that has happened is told to no new listener. */

export function whenAborted(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act, { once: true });
}
