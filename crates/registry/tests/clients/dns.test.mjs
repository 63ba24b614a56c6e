// dig, and the resolver of Node.js (c-ares), against the real program.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promises as dns } from "node:dns";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Platform } from "../../../../sdks/typescript/test/platform.mjs";

let platform, address, register;

before(async () => {
  platform = await Platform.start();
  address = (await platform.role("registry")).dns_address;
  const authorization = `Bearer ${await platform.token()}`;
  register = async (instance, body) => {
    const url = `${platform.url}/v1/registry/services/pay/instances/${instance}`;
    const headers = { authorization, "content-type": "application/json" };
    const answer = await fetch(url, { method: "PUT", headers, body: JSON.stringify({ ttl_seconds: 600, ...body }) });
    assert.equal(answer.status, 201, await answer.text());
  };
  await register("one", { url: "http://10.0.0.1:8001", weight: 3, tags: ["blue"] });
  await register("two", { url: "http://10.0.0.2:8002" });
  await register("three", { url: "http://10.0.0.3:8003", health: "critical" });
});
after(() => platform?.stop());

const dig = async (...question) => {
  const [host, port] = address.split(":");
  const { stdout } = await promisify(execFile)("dig", [`@${host}`, "-p", port, "+time=5", ...question]);
  return stdout;
};

test("dig finds ports and addresses of what lives", async () => {
  const short = (await dig("pay.service.lombard.internal", "SRV", "+short")).trim().split("\n").sort();
  assert.deepEqual(short, ["1 1 8002 0a000002.addr.lombard.internal.", "1 3 8001 0a000001.addr.lombard.internal."]);
  const all = await dig("_pay._tcp.consul", "SRV", "+tcp");
  assert.match(all, /status: NOERROR/);
  assert.match(all, /0a000001\.addr\.consul\.\s+5\s+IN\s+A\s+10\.0\.0\.1/, "the additional section");
  assert.equal((await dig("blue.pay.service.consul", "A", "+short")).trim(), "10.0.0.1");
});

test("dig is told that there is none", async () => {
  const none = await dig("nobody.service.consul", "A");
  assert.match(none, /status: NXDOMAIN/);
  assert.match(none, /consul\.\s+1\s+IN\s+SOA/);
  assert.match(await dig("pay.service.consul", "AAAA"), /status: NOERROR[^]*ANSWER: 0,/);
  assert.match(await dig("example.com", "A"), /status: REFUSED/);
});

test("the resolver of Node.js", async () => {
  const resolver = new dns.Resolver();
  resolver.setServers([address]);
  const found = await resolver.resolveSrv("pay.service.lombard.internal");
  assert.deepEqual(found.map(({ port, weight }) => `${port}:${weight}`).sort(), ["8001:3", "8002:1"]);
  assert.deepEqual(await resolver.resolve4(found.find(({ port }) => port === 8001).name), ["10.0.0.1"]);
  await assert.rejects(resolver.resolve4("nobody.service.lombard.internal"), { code: "ENOTFOUND" });
});
