// Runs the clients written in Python against a platform of their own. PYTHON says which interpreter has them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Platform } from "../../../../sdks/typescript/test/platform.mjs";

let platform;
before(async () => (platform = await Platform.start()));
after(() => platform?.stop());

test("py-consul", async () => {
  const { consul_address: address } = await platform.role("registry");
  const env = { ...process.env, CONSUL_ADDRESS: address, CONSUL_TOKEN: await platform.token() };
  const program = new URL("consul_test.py", import.meta.url).pathname;
  const { stderr } = await promisify(execFile)(process.env.PYTHON ?? "python3", [program], { env });
  assert.match(stderr, /\nOK\n$/);
});
