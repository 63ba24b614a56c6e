// npm `eureka-js-client`, unmodified, against the real program.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Eureka } from "eureka-js-client";
import { Platform, until } from "../../../../sdks/typescript/test/platform.mjs";

let platform, host, port, token;

before(async () => {
  platform = await Platform.start();
  ({ hostname: host, port } = new URL(`http://${(await platform.role("registry")).consul_address}`));
  token = await platform.token();
});
after(() => platform?.stop());

const quiet = { warn() {}, info() {}, debug() {}, error() {} };

const open = (instance, eureka = {}) =>
  new Eureka({
    instance: {
      hostName: "pay.local",
      ipAddr: "127.0.0.1",
      port: { $: 9000, "@enabled": "true" },
      dataCenterInfo: { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", name: "MyOwn" },
      ...instance,
    },
    eureka: { host, port: Number(port), servicePath: "/eureka/apps/", registryFetchInterval: 100, heartbeatInterval: 200, maxRetries: 0, ...eureka },
    requestMiddleware: (request, done) => {
      request.auth = { bearer: token };
      done(request);
    },
    logger: quiet,
  });

test("a client that asks for deltas sees what came, changed and went", async () => {
  const client = open({ app: "shop", instanceId: "shop:2", vipAddress: "shop" }, { registerWithEureka: false });
  // An option of the client itself, beside those of `eureka`.
  client.config.shouldUseDelta = true;
  await call(client, "start");
  const service = open({ app: "moving", instanceId: "d-1", vipAddress: "moving.vip" }, { fetchRegistry: false });
  await call(service, "start");
  const found = () => client.getInstancesByVipAddress("moving.vip");
  await until("it has come", () => found().length === 1);
  const url = `http://${host}:${port}/eureka/apps/MOVING/d-1/status?value=OUT_OF_SERVICE`;
  assert.equal((await fetch(url, { method: "PUT", headers: { authorization: `Bearer ${token}` } })).status, 200);
  await until("it has changed", () => found()[0]?.status === "OUT_OF_SERVICE");
  const said = await get("/apps/delta");
  assert.deepEqual(said.applications.application.find(({ name }) => name === "MOVING").instance.map(({ actionType }) => actionType), ["MODIFIED"]);
  assert.equal(said.applications.apps__hashcode, (await get("/apps")).applications.apps__hashcode);
  await call(service, "stop");
  await until("it has gone", () => found().length === 0);
  await call(client, "stop");
});

const call = (client, method) => new Promise((done, failed) => client[method]((error, ...rest) => (error ? failed(error) : done(...rest))));
const get = async (path) => {
  const answer = await fetch(`http://${host}:${port}/eureka${path}`, { headers: { accept: "application/json" } });
  return answer.ok ? answer.json() : answer.status;
};

test("an instance is registered, heard, found and gone", async () => {
  const service = open({ app: "pay", instanceId: "pay.local:pay:9000", vipAddress: "pay.vip", statusPageUrl: "http://pay.local/info", metadata: { zone: "a" } });
  await call(service, "start");
  const client = open({ app: "shop", instanceId: "shop:1", vipAddress: "shop" }, { registerWithEureka: false });
  await call(client, "start");
  await until("it is found", () => client.getInstancesByAppId("PAY").length === 1);
  const [found] = client.getInstancesByVipAddress("pay.vip");
  assert.deepEqual([found.app, found.status, found.ipAddr, found.port.$, found.hostName], ["PAY", "UP", "127.0.0.1", 9000, "pay.local"]);
  assert.deepEqual([found.metadata, found.statusPageUrl], [{ zone: "a" }, "http://pay.local/info"]);
  assert.deepEqual(Object.keys((await get("/apps/PAY")).application.instance[0].leaseInfo).length, 6);
  assert.equal((await get("/apps")).applications.apps__hashcode, "UP_1_");
  assert.equal((await get("/vips/pay.vip")).applications.application.length, 1);
  assert.equal((await get("/instances/pay.local:pay:9000")).instance.instanceId, "pay.local:pay:9000");
  assert.equal(await get("/vips/nobody"), 404);
  // The same instance to everybody else.
  const [entry] = await (await fetch(`http://${host}:${port}/v1/health/service/pay?passing`)).json();
  assert.deepEqual([entry.Service.Address, entry.Service.Port], ["127.0.0.1", 9000]);
  await call(service, "stop");
  await until("it is gone", () => client.getInstancesByAppId("PAY").length === 0);
  await call(client, "stop");
});

test("an instance that the registry does not know any more registers again", async () => {
  const service = open({ app: "lost", instanceId: "lost-1", vipAddress: "lost" }, { fetchRegistry: false });
  await call(service, "start");
  const url = `http://${host}:${port}/eureka/v2/apps/LOST/lost-1`;
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await fetch(url, { method: "DELETE", headers })).status, 200);
  await until("it is back", async () => (await get("/apps/LOST")) !== 404);
  await call(service, "stop");
});

test("a status may be set, and a heartbeat too", async () => {
  const service = open({ app: "status", instanceId: "s-1", vipAddress: "status" }, { fetchRegistry: false, heartbeatInterval: 60_000 });
  await call(service, "start");
  const headers = { authorization: `Bearer ${token}` };
  const send = async (method, path) => (await fetch(`http://${host}:${port}/eureka/apps/STATUS/s-1${path}`, { method, headers })).status;
  const status = async () => (await get("/apps/STATUS/s-1")).instance.status;
  assert.equal(await send("PUT", "/status?value=OUT_OF_SERVICE"), 200);
  assert.equal(await status(), "OUT_OF_SERVICE");
  assert.equal(await send("DELETE", "/status?value=UP"), 200);
  assert.equal(await status(), "UP");
  assert.equal(await send("PUT", "?status=DOWN"), 200);
  assert.equal(await status(), "DOWN");
  assert.equal(await send("PUT", "/metadata?colour=blue"), 200);
  assert.equal((await get("/apps/STATUS/s-1")).instance.metadata.colour, "blue");
  await call(service, "stop");
});

test("what is not served, or not permitted, says so", async () => {
  const base = `http://${host}:${port}/eureka/apps`;
  assert.equal((await fetch(`${base}/PAY`, { method: "POST", body: "{}" })).status, 401);
  assert.equal((await fetch(`${base}/delta`)).status, 200);
  const page = await fetch(base, { headers: { accept: "text/html" } });
  assert.equal(page.status, 406);
  assert.match(await page.text(), /application\/xml/);
});

test("who speaks XML is answered in it", async () => {
  const base = `http://${host}:${port}/eureka/apps`;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/xml", accept: "application/xml" };
  const send = async (body) => (await fetch(`${base}/JAVA`, { method: "POST", headers, body })).status;
  assert.equal(await send("<instance><hostName>"), 400);
  const body = `<?xml version="1.0"?><instance><instanceId>j-1</instanceId><hostName>java.local</hostName><app>JAVA</app>
    <ipAddr>127.0.0.1</ipAddr><status>UP</status><port enabled="true">9000</port><securePort enabled="false">443</securePort>
    <vipAddress>java.vip</vipAddress><metadata><colour>blue &amp; green</colour></metadata></instance>`;
  assert.equal(await send(body), 204);
  for (const path of ["", "/delta", "/JAVA", "/JAVA/j-1"]) {
    const answer = await fetch(`${base}${path}`, { headers });
    assert.equal(answer.headers.get("content-type"), "application/xml");
    const text = await answer.text();
    for (const said of ["<instanceId>j-1</instanceId>", '<port enabled="true">9000</port>', "<colour>blue &amp; green</colour>", "<vipAddress>java.vip</vipAddress>"]) {
      assert.ok(text.includes(said), `${path}: ${said}: ${text}`);
    }
  }
  const json = await (await fetch(`${base}/JAVA/j-1`, { headers: { ...headers, accept: "application/json" } })).json();
  assert.deepEqual(json.instance.metadata, { colour: "blue & green" });
});
