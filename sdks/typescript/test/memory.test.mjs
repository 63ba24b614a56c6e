// The registry in memory behaves as the other one does, as far as a unit test of its user can see.
import assert from "node:assert/strict";
import { test } from "node:test";
import { InMemoryServiceRegistry, InvalidServiceError, p2c, roundRobin } from "../dist/index.js";

test("registers, finds, watches and forgets", async () => {
  const registry = new InMemoryServiceRegistry();
  assert.equal(registry.peekService("orders"), undefined);
  const stop = new AbortController();
  const seen = registry.watchService("orders", { signal: stop.signal });
  assert.deepEqual((await seen.next()).value, []);
  const lease = await registry.registerService({ name: "orders", url: "http://127.0.0.1:9000" });
  assert.equal((await seen.next()).value[0].id, lease.id);
  assert.equal((await registry.getService("orders")).url, "http://127.0.0.1:9000");
  await lease.report("critical");
  assert.equal(await registry.getService("orders"), undefined);
  await lease.report("passing");
  assert.equal((await registry.getServices("orders")).length, 1);
  await lease[Symbol.asyncDispose]();
  assert.equal(registry.peekService("orders"), undefined);
  stop.abort();
  assert.equal((await seen.next()).done ?? (await seen.next()).done, true);
  await assert.rejects(registry.registerService({ name: "orders", url: "nothing" }), InvalidServiceError);
});

test("strategies", () => {
  const [a, b] = [{ name: "x", url: "a", weight: 1 }, { name: "x", url: "b", weight: 4 }];
  const load = new Map([["a", 1], ["b", 2]]);
  for (let tries = 0; tries < 50; tries += 1) assert.equal(p2c([a, b], ({ url }) => load.get(url)), b, "by weight");
  assert.equal(p2c([a], () => 0), a);
  assert.equal(p2c([], () => 0), undefined);
  const turns = roundRobin();
  assert.deepEqual([1, 2, 3].map(() => turns([a, b], () => 0)), [a, b, a]);
});
