/** Waits, or until the signal is aborted. Does not keep the process alive. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    // Browsers have numbers here.
    (timer as unknown as { unref?: () => void }).unref?.();
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Between tries: doubles from 100 ms to 5 s, and never the same for all. */
export function backoff(tries: number): number {
  const full = Math.min(100 * 2 ** Math.min(tries, 10), 5_000);
  return full * (0.5 + Math.random() / 2);
}
