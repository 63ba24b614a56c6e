// The SDK against the real program.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { ServiceRegistry, InvalidServiceError, NoInstanceError, RefusedError, RegistryUnavailableError, clientCredentials } from "../dist/index.js";
import { Platform, until } from "./platform.mjs";

let platform, credentials;

before(async () => {
  platform = await Platform.start();
  credentials = await platform.client("SDK", "registry:read registry:register");
});
after(() => platform?.stop());

function open(options = {}) {
  const { LOMBARD_URL: endpoint, LOMBARD_CLIENT_ID: clientId, LOMBARD_CLIENT_SECRET: clientSecret } = credentials;
  return new ServiceRegistry({ endpoint, token: clientCredentials({ endpoint, clientId, clientSecret }), ...options });
}

/** A server that answers with its name and what was asked for. */
async function serve(name) {
  // A connection that is kept for the next request may break under it when the server closes: not what is tested here.
  const headers = { connection: "close" };
  const server = createServer((request, response) => response.writeHead(200, headers).end(`${name} ${request.method} ${request.url}`));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => new Promise((done) => { server.closeAllConnections(); server.close(done); }) };
}

test("what is registered is found, watched, and gone when it is deregistered", async (t) => {
  const registry = open();
  t.after(() => registry.close());
  const other = open({ zone: "eu-1" });
  t.after(() => other.close());
  assert.equal(await other.getService("orders"), undefined);
  assert.equal(other.peekService("never-asked"), undefined);
  const stop = new AbortController();
  const seen = other.watchService("orders", { signal: stop.signal })[Symbol.asyncIterator]();
  assert.deepEqual((await seen.next()).value, []);

  const lease = await registry.registerService({ name: "orders", url: "http://127.0.0.1:9000", id: "one", tags: ["blue"], metadata: { a: "b" }, version: "1.2.0", weight: 3 });
  const [found] = (await seen.next()).value;
  assert.deepEqual(found, { name: "orders", url: "http://127.0.0.1:9000", id: "one", version: "1.2.0", weight: 3, tags: ["blue"], metadata: { a: "b" }, health: "passing" });
  assert.equal((await other.getService("orders"))?.id, "one");
  assert.equal(other.peekService("orders")?.id, "one");
  assert.equal(other.age("orders"), 0);
  assert.equal(await other.getService("orders", { tag: "red" }), undefined);
  assert.equal(await other.getService("orders", { exclude: ["one"] }), undefined);

  await registry.registerService({ name: "orders", url: "http://127.0.0.1:9001", id: "two", zone: "eu-1" });
  assert.equal((await seen.next()).value.length, 2);
  for (let tries = 0; tries < 8; tries += 1) assert.equal((await other.getService("orders"))?.id, "two", "the nearer one");
  const turns = [];
  for (let tries = 0; tries < 4; tries += 1) turns.push((await registry.getService("orders", { strategy: "round-robin" })).id);
  assert.deepEqual(turns.toSorted(), ["one", "one", "two", "two"]);

  await lease.report("critical", "no database");
  assert.deepEqual((await seen.next()).value.map(({ id }) => id), ["two"]);
  await lease.deregister();
  await lease.deregister();
  await registry.close();
  while ((await seen.next()).value.length > 0);
  stop.abort();
  assert.equal((await seen.next()).done, true);
});

test("what cannot be registered is told before anything is sent", async (t) => {
  const registry = open();
  t.after(() => registry.close());
  for (const url of ["127.0.0.1:9000", "http://127.0.0.1:9000/path", "http://a:b@127.0.0.1:1", "ftp://x:1", "grpc://x", "https://x:1/path"]) {
    await assert.rejects(registry.registerService({ name: "orders", url }), InvalidServiceError);
  }
  await assert.rejects(registry.registerService({ name: "Orders", url: "http://a:1" }), InvalidServiceError);
  await assert.rejects(registry.registerService({ name: "orders", url: "http://a:1" }, { ttlMs: 1500 }), InvalidServiceError);
  const nobody = await platform.client("Nobody", "registry:register:other");
  const { LOMBARD_URL: endpoint, LOMBARD_CLIENT_ID: clientId, LOMBARD_CLIENT_SECRET: clientSecret } = nobody;
  const stranger = new ServiceRegistry({ endpoint, token: clientCredentials({ endpoint, clientId, clientSecret }) });
  t.after(() => stranger.close());
  const refused = await stranger.registerService({ name: "orders", url: "http://a:1" }).catch((error) => error);
  assert.ok(refused instanceof RefusedError && refused.status === 403 && refused.code === "insufficient-scope", String(refused));
  await assert.rejects(stranger.getService("orders"), RefusedError);
});

test("fetch goes where instances are, and to another when one is gone", async (t) => {
  const registry = open();
  t.after(() => registry.close());
  const [one, two] = [await serve("one"), await serve("two")];
  await registry.registerService({ name: "shop", url: one.url, id: "one" });
  await registry.registerService({ name: "shop", url: two.url, id: "two" });
  await until("both are known", async () => (await registry.getServices("shop")).length === 2);
  const answers = new Set();
  await until("both have answered", async () => {
    answers.add(await (await registry.fetch("lombard://shop/items?page=2")).text());
    return answers.size === 2;
  });
  assert.deepEqual([...answers].toSorted(), ["one GET /items?page=2", "two GET /items?page=2"]);
  await one.close();
  for (let tries = 0; tries < 10; tries += 1) {
    const answer = await registry.fetch("lombard://shop/", { method: "POST", body: "x" });
    assert.equal(await answer.text(), "two POST /", "a refused connection is no request");
  }
  await two.close();
  await assert.rejects(registry.fetch("lombard://shop/"), (error) => error instanceof NoInstanceError || error instanceof TypeError);
  await assert.rejects(registry.fetch("lombard://nobody/"), NoInstanceError);
  await assert.rejects(registry.fetch("http://nobody/"), InvalidServiceError);
});

test("the registry asks who wants to be asked", async (t) => {
  const registry = open();
  t.after(() => registry.close());
  let status = 503;
  const server = createServer((request, response) => response.writeHead(request.url === "/health" ? status : 404).end());
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${server.address().port}`;
  const check = { type: "http", path: "/health", intervalMs: 1000, timeoutMs: 900, failuresMin: 1 };
  await registry.registerService({ name: "asked", url, id: "one" }, { check });
  assert.equal(await registry.getService("asked"), undefined, "it was not found to serve");
  status = 200;
  await until("it is found to serve", async () => (await registry.getService("asked"))?.id === "one");
  const [instance] = (await (await fetch(`${platform.url}/v1/registry/services/asked`, { headers: { authorization: `Bearer ${await platform.token()}` } })).json()).instances;
  assert.deepEqual(instance.check, { type: "http", path: "/health", interval_ms: 1000, timeout_ms: 900, successes_min: 1, failures_min: 1 });
  status = 500;
  await until("it is found not to", async () => (await registry.getService("asked")) === undefined);
  const refused = await registry.registerService({ name: "asked", url, id: "two" }, { check: { type: "tcp", intervalMs: 1 } }).catch((error) => error);
  assert.equal(refused.code, "invalid-body");
});

test("what speaks something else is found by those who speak it", async (t) => {
  const registry = open();
  t.after(() => registry.close());
  await registry.registerService({ name: "others", url: "grpc://127.0.0.1:50051", id: "a" });
  await registry.registerService({ name: "others", url: "https://orders.example", id: "b" });
  const urls = async () => (await registry.getServices("others")).map(({ url }) => url).toSorted();
  await until("both are known", async () => (await urls()).length === 2);
  assert.deepEqual(await urls(), ["grpc://127.0.0.1:50051", "https://orders.example:443"]);
});

test("a process that is asked to end drains what it has registered, and ends", async (t) => {
  const registry = open();
  t.after(() => registry.close());
  const program = `
    import { ServiceRegistry } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
    const registry = new ServiceRegistry({ drainOnSigtermMs: 50 });
    await registry.registerService({ name: "leaving", url: "http://127.0.0.1:9000", id: "one" }, { ttlMs: 3600000 });
    console.log("registered");`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { env: { ...process.env, ...credentials }, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((done) => child.once("exit", (code, signal) => done(signal)));
  await new Promise((done) => child.stdout.once("data", done));
  child.kill("SIGTERM");
  assert.equal(await ended, "SIGTERM", "as if nobody had listened");
  const history = JSON.parse(await platform.run("service", "history", "leaving", "--json"));
  assert.deepEqual(history.map(({ what }) => what), ["requested", "draining", "registered"]);
});

test("a registry that dies takes nobody with it", async (t) => {
  const registry = open();
  t.after(() => registry.close());
  const lease = await registry.registerService({ name: "steady", url: "http://127.0.0.1:9000", id: "one" }, { ttlMs: 2000 });
  assert.equal((await registry.getService("steady"))?.id, "one");
  await platform.kill("registry");
  assert.equal((await registry.getService("steady"))?.id, "one", "from memory");
  await until("the lease is confirmed again", async () => {
    const [instance] = JSON.parse(await platform.run("service", "get", "steady", "--json"));
    return instance?.state === "passing";
  });
  assert.equal(lease.lost.aborted, false);
  assert.equal(lease.registeredAgain, 0);
});

test("who is taken out is told", async (t) => {
  const registry = open();
  t.after(() => registry.close());
  const lease = await registry.registerService({ name: "mine", url: "http://127.0.0.1:9000", id: "one" });
  const lost = new Promise((done) => lease.lost.addEventListener("abort", done, { once: true }));
  await until("the stream is open", async () => {
    const { address } = await platform.role("registry");
    return /lombard_registry_requests_total\{operation="hold",result="ok"\} [1-9]/.test(await (await fetch(`http://${address}/metrics`)).text());
  });
  const answer = await fetch(`${platform.url}/v1/registry/services/mine/instances/one`, { method: "DELETE", headers: { authorization: `Bearer ${await platform.token()}` } });
  assert.equal(answer.status, 200);
  await lost;
});

test("a process that is killed is gone, long before its lease has run out", async (t) => {
  const registry = open();
  t.after(() => registry.close());
  const program = `
    import { ServiceRegistry } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
    await new ServiceRegistry().registerService({ name: "victim", url: "http://127.0.0.1:9000", id: "one" }, { ttlMs: 3600000 });
    console.log("registered");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { env: { ...process.env, ...credentials }, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((done) => child.stdout.once("data", done));
  await until("it is found", async () => (await registry.getService("victim"))?.id === "one");
  const { address } = await platform.role("registry");
  const holds = async () => Number(/operation="hold",result="ok"\} (\d+)/.exec(await (await fetch(`http://${address}/metrics`)).text())?.[1] ?? 0);
  await until("its stream is open", async () => (await holds()) > 1);
  child.kill("SIGKILL");
  await until("it is gone", async () => (await registry.getService("victim")) === undefined);
});

test("what is known too long ago is not given out", async (t) => {
  const registry = new ServiceRegistry({ endpoint: "http://127.0.0.1:9", token: async () => "none", maxStaleMs: 0 });
  t.after(() => registry.close());
  await assert.rejects(registry.getService("orders"), RegistryUnavailableError);
});
