// The client written in Python, as a program of its own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Platform } from "./platform.mjs";

const PASSWORD = "correct horse battery";
let platform;

before(async () => (platform = await Platform.start()));
after(() => platform?.stop());

test("PyPI Authlib", async () => {
  await platform.make("users", { name: "ada", display_name: "Ada Lovelace", scope: "ledger:read", password: PASSWORD });
  const { client_id, client_secret } = await platform.make("clients", {
    name: "till", profile: "oauth-2.1", scope: "openid profile offline_access ledger:read",
    redirect_uris: ["https://till.example/done?tenant=7"],
  });
  const env = {
    ...process.env, LOMBARD_URL: platform.url, PASSWORD, LOMBARD_CLIENT_ID: client_id, LOMBARD_CLIENT_SECRET: client_secret,
  };
  const { stdout } = await promisify(execFile)(process.env.PYTHON ?? "python3", ["authlib_test.py"], { env });
  assert.match(stdout, /authlib: fine/);
});
