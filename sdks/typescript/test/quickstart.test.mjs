// The quickstart runs as it is shown.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Platform } from "./platform.mjs";

let platform;
before(async () => (platform = await Platform.start()));
after(() => platform?.stop());

test("the quickstart of the guide", async () => {
  const program = new URL("quickstart.mjs", import.meta.url);
  const text = await readFile(program, "utf8");
  assert.ok(text.trim().split("\n").length <= 15);
  for (const page of ["../README.md", "../../../docs/guides/discovery.md"]) {
    assert.ok((await readFile(new URL(page, import.meta.url), "utf8")).includes(text.trim()), `${page} shows it`);
  }
  const client = await platform.client("Quickstart", "registry:read registry:register:hello");
  const { stdout } = await promisify(execFile)(process.execPath, [program.pathname], { env: { ...process.env, ...client } });
  assert.match(stdout, /^registered .+\nhello is at http:\/\/127.0.0.1:9000\n1 instance\(s\)\n$/);
});
