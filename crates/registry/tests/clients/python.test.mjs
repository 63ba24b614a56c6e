// Runs the clients written in Python against a platform of their own. PYTHON says which interpreter has them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Platform } from "../../../../sdks/typescript/test/platform.mjs";

let platform;
before(async () => (platform = await Platform.start()));
after(() => platform?.stop());

const run = async (name, variables) => {
  const program = new URL(name, import.meta.url).pathname;
  const env = { ...process.env, ...variables };
  const { stderr } = await promisify(execFile)(process.env.PYTHON ?? "python3", [program], { env });
  assert.match(stderr, /\nOK\n$/);
};

test("py-consul", async () => {
  const { consul_address: address } = await platform.role("registry");
  await run("consul_test.py", { CONSUL_ADDRESS: address, CONSUL_TOKEN: await platform.token() });
});

test("grpcio, by xds:///name", async () => {
  const bootstrap = await platform.run("xds", "bootstrap");
  await run("xds_test.py", { REGISTRY_URL: platform.url, REGISTRY_TOKEN: await platform.token(), GRPC_XDS_BOOTSTRAP_CONFIG: bootstrap });
});

test("grpcio, watching a service", async () => {
  const { grpc_address: address } = await platform.role("registry");
  const proto = new URL("../../../../proto", import.meta.url).pathname;
  await run("watch_test.py", { REGISTRY_URL: platform.url, REGISTRY_GRPC: address, REGISTRY_TOKEN: await platform.token(), PROTO: proto });
});
