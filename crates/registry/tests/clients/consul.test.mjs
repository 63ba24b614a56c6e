// npm `consul`, unmodified, against the real program.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import Consul from "consul";
import { Platform, until } from "../../../../sdks/typescript/test/platform.mjs";

let platform, host, port, token;

before(async () => {
  platform = await Platform.start();
  ({ hostname: host, port } = new URL(`http://${(await platform.role("registry")).consul_address}`));
  token = await platform.token();
});
after(() => platform?.stop());

const open = (defaults = {}) => new Consul({ host, port: Number(port), defaults });

test("a service is registered, checked, found and gone", async () => {
  const [consul, anonymous] = [open({ token }), open()];
  await consul.agent.service.register({ name: "pay", id: "pay:1", address: "127.0.0.1", port: 9000, tags: ["b", "a"], meta: { zone: "x" }, check: { ttl: "60s", deregistercriticalserviceafter: "2m" } });
  const health = async (options = {}) => anonymous.health.service({ service: "pay", ...options });
  let [entry] = await health();
  assert.deepEqual([entry.Service.ID, entry.Service.Service, entry.Service.Address, entry.Service.Port], ["pay:1", "pay", "127.0.0.1", 9000]);
  assert.deepEqual([entry.Service.Tags, entry.Service.Meta], [["a", "b"], { zone: "x" }]);
  assert.deepEqual(entry.Checks.map((check) => [check.CheckID, check.Status]), [["service:pay:1", "critical"]], "never heard");
  assert.deepEqual(await health({ passing: true }), []);

  await consul.agent.check.pass({ id: "service:pay:1", note: "fine" });
  [entry] = await health({ passing: true });
  assert.deepEqual([entry.Checks[0].Status, entry.Checks[0].Output], ["passing", "fine"]);
  assert.equal((await health({ tag: "a" })).length, 1);
  assert.deepEqual(await health({ tag: "c" }), []);
  await consul.agent.check.warn("service:pay:1");
  assert.equal((await health())[0].Checks[0].Status, "warning");
  await consul.agent.check.fail("service:pay:1");
  assert.equal((await anonymous.health.state("critical")).length, 1);
  await consul.agent.check.pass("service:pay:1");

  assert.deepEqual(await anonymous.catalog.service.list(), { pay: ["a", "b"] });
  const [node] = await anonymous.catalog.service.nodes("pay");
  assert.deepEqual([node.ServiceID, node.ServiceAddress, node.ServicePort, node.Datacenter], ["pay:1", "127.0.0.1", 9000, "dc1"]);
  assert.equal((await anonymous.health.checks("pay")).length, 1);
  assert.deepEqual(Object.keys(await anonymous.agent.service.list()), ["pay:1"]);
  assert.deepEqual(Object.keys(await anonymous.agent.check.list()), ["service:pay:1"]);
  assert.equal((await anonymous.agent.self()).Config.Datacenter, "dc1");
  assert.deepEqual(await anonymous.catalog.datacenters(), ["dc1"]);
  assert.equal((await anonymous.catalog.node.list()).length, 1);
  assert.equal(typeof (await anonymous.status.leader()), "string");
  assert.equal((await anonymous.status.peers()).length, 1);

  await consul.agent.service.maintenance({ id: "pay:1", enable: true, reason: "disk" });
  assert.deepEqual(await health({ passing: true }), []);
  await consul.agent.service.maintenance({ id: "pay:1", enable: false });
  assert.equal((await health({ passing: true })).length, 1);
  await consul.agent.service.deregister("pay:1");
  assert.deepEqual(await health(), []);
});

test("a watch sees every change of its service, and wakes for no other", async () => {
  const [consul, anonymous] = [open({ token }), open()];
  const seen = [];
  const watch = anonymous.watch({ method: anonymous.health.service, options: { service: "watched", wait: "30s" } });
  watch.on("change", (entries) => seen.push(entries.map(({ Service }) => Service.ID)));
  watch.on("error", (error) => seen.push(error.message));
  await until("it has begun", () => seen.length === 1);
  for (let number = 0; number < 5; number += 1) await consul.agent.service.register({ name: "other", id: `o${number}`, address: "127.0.0.1", port: 1 });
  await consul.agent.service.register({ name: "watched", id: "w1", address: "127.0.0.1", port: 1 });
  await until("it has come", () => seen.length === 2);
  await consul.agent.service.deregister("w1");
  await until("it has gone", () => seen.length === 3);
  watch.end();
  assert.deepEqual(seen, [[], ["w1"], []]);
});

test("a service without a heartbeat is asked whether it lives", async () => {
  const [consul, anonymous] = [open({ token }), open()];
  let status = 200;
  const service = createServer((request, answer) => answer.writeHead(request.url === "/health" ? status : 404).end());
  await new Promise((done) => service.listen(0, "127.0.0.1", done));
  const at = `127.0.0.1:${service.address().port}`;
  const check = { http: `http://${at}/health`, interval: "1s", timeout: "5s", deregistercriticalserviceafter: "1s" };
  await consul.agent.service.register({ name: "asked", id: "asked-1", address: "127.0.0.1", port: service.address().port, check });
  const passing = async () => (await anonymous.health.service({ service: "asked", passing: true })).length;
  await until("it passes", async () => (await passing()) === 1);
  assert.equal((await anonymous.health.service("asked"))[0].Checks[0].Type, "http");
  await assert.rejects(consul.agent.check.pass("service:asked-1"), (error) => error.statusCode === 400, "it is not its own word that counts");
  status = 500;
  await until("it is critical", async () => (await passing()) === 0);
  await until("it is gone", async () => (await anonymous.health.service("asked")).length === 0);
  service.close();
});

test("indexes never fall, also when the registry dies", async () => {
  const [consul, anonymous] = [open({ token }), open()];
  await consul.agent.service.register({ name: "kept", id: "k1", address: "127.0.0.1", port: 1, check: { ttl: "60s", status: "passing" } });
  const index = async () => Number((await fetch(`http://${host}:${port}/v1/health/service/kept`)).headers.get("x-consul-index"));
  const earlier = await index();
  assert.ok(earlier > 0);
  await platform.kill("registry");
  assert.ok((await index()) >= earlier);
  assert.equal((await anonymous.health.service({ service: "kept", passing: true })).length, 1, "nobody is dropped");
  await consul.agent.check.pass("service:k1");
  assert.equal((await anonymous.health.service("kept"))[0].Checks[0].Notes, "");
});

test("what is not served, or not permitted, says so", async () => {
  const [consul, anonymous] = [open({ token }), open()];
  await assert.rejects(anonymous.agent.service.register({ name: "pay", address: "127.0.0.1", port: 1 }), (error) => error.statusCode === 401);
  await assert.rejects(consul.agent.service.register({ name: "Bad Name", address: "127.0.0.1", port: 1 }), (error) => error.statusCode === 400);
  await assert.rejects(consul.agent.check.pass("service:nobody"), (error) => error.statusCode === 404);
  assert.equal(await consul.kv.get("x"), undefined);
  const said = await fetch(`http://${host}:${port}/v1/kv/x`);
  assert.equal(said.status, 404);
  assert.match(await said.text(), /not served/i);
  const filtered = await fetch(`http://${host}:${port}/v1/health/service/pay?filter=x`);
  assert.equal(filtered.status, 400);
});

test("prometheus is given all targets", async () => {
  await open({ token }).agent.service.register({ name: "metered", id: "m1", address: "127.0.0.1", port: 9100, tags: ["a", "b"] });
  const answer = await fetch(`http://${host}:${port}/v1/registry/prometheus-sd?service=metered`);
  assert.equal(answer.headers.get("content-type"), "application/json");
  const [group] = await answer.json();
  assert.deepEqual(group.targets, ["127.0.0.1:9100"]);
  assert.equal(group.labels.__meta_lombard_tags, ",a,b,");
  assert.equal(group.labels.job, "metered");
});
