// The real program, on free ports and a directory of its own. LOMBARD says where the program is.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const PATIENCE_MS = 120_000;

export class Platform {
  log = "";

  static async start() {
    const platform = new Platform();
    platform.directory = await mkdtemp(join(tmpdir(), "lombard-"));
    platform.data = join(platform.directory, "data");
    const up = ["up", "--any-port", "--data-dir", platform.data];
    platform.supervisor = spawn(process.env.LOMBARD, up, { stdio: ["ignore", "ignore", "pipe"] });
    platform.supervisor.stderr.setEncoding("utf8").on("data", (text) => (platform.log += text));
    const started = Date.now();
    for (;;) {
      assert.equal(platform.supervisor.exitCode, null, platform.log);
      const state = await platform.state().catch(() => undefined);
      if (state?.supervisor_pid === platform.supervisor.pid && state.roles.every(({ ready_ms }) => ready_ms !== null)) {
        platform.url = state.issuer;
        return platform;
      }
      assert.ok(Date.now() - started < PATIENCE_MS, `it does not become ready\n${platform.log}`);
      await new Promise((done) => setTimeout(done, 10));
    }
  }

  async state() {
    return JSON.parse(await readFile(join(this.data, "run/state.json"), "utf8"));
  }

  /** Runs the command line as the operator; its output. */
  async run(...args) {
    const env = { ...process.env, LOMBARD_DATA_DIR: this.data };
    return (await promisify(execFile)(process.env.LOMBARD, args, { env })).stdout;
  }

  /** Has the authorization server make something. */
  async make(path, body) {
    const token = (await this.run("token", "/v1/auth")).trim();
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(`${this.url}/v1/auth/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.equal(answer.status, 201, await answer.clone().text());
    return answer.json();
  }

  async stop() {
    this.supervisor.kill("SIGTERM");
    if (this.supervisor.exitCode === null) await once(this.supervisor, "exit");
    await rm(this.directory, { recursive: true, force: true });
  }
}
