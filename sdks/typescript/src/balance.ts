import type { Service } from "./service.js";

/** Chooses one of at least one instances. `inFlight` says how many requests of `fetch` an instance has. */
export type Strategy = (
  instances: readonly Service[],
  inFlight: (instance: Service) => number,
) => Service | undefined;

/** Of two at random, the one with fewer requests for its weight (power of two choices). */
export const p2c: Strategy = (instances, inFlight) => {
  const first = instances[random(instances.length)];
  if (instances.length < 2) return first;
  let second = instances[random(instances.length - 1)];
  if (second === first) second = instances[instances.length - 1];
  if (first === undefined || second === undefined) return first ?? second;
  return load(second, inFlight) < load(first, inFlight) ? second : first;
};

/** One after the other. Each call of this makes a strategy with a place of its own. */
export function roundRobin(): Strategy {
  let next = 0;
  return (instances) => instances[next++ % instances.length];
}

function load(instance: Service, inFlight: (instance: Service) => number): number {
  return (inFlight(instance) + 1) / (instance.weight ?? 1);
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}
