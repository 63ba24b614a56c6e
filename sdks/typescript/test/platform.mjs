// Starts the real program on free ports and a directory of its own. LOMBARD says where the program is.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const PROGRAM = resolve(process.env.LOMBARD ?? "target/debug/lombard");
const PATIENCE_MS = 90_000;

/** Waits for a condition, not for a time. */
export async function until(what, isSo) {
  const started = Date.now();
  for (;;) {
    const found = await isSo();
    if (found) return found;
    assert.ok(Date.now() - started < PATIENCE_MS, `gave up waiting until ${what}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

export class Platform {
  static async start() {
    const directory = await mkdtemp(join(tmpdir(), "lombard-"));
    const data = join(directory, "data");
    const supervisor = spawn(PROGRAM, ["up", "--any-port", "--data-dir", data], { stdio: ["ignore", "ignore", "pipe"] });
    const platform = new Platform(directory, data, supervisor);
    supervisor.stderr.setEncoding("utf8").on("data", (text) => (platform.log += text));
    const isReady = ({ roles, supervisor_pid }) =>
      supervisor_pid === supervisor.pid && roles.every(({ ready_ms }) => ready_ms !== null);
    await until("every role is ready", async () => {
      assert.equal(supervisor.exitCode, null, platform.log);
      const state = await platform.state().catch(() => undefined);
      return state !== undefined && isReady(state);
    });
    platform.url = (await platform.state()).issuer;
    return platform;
  }

  log = "";

  constructor(directory, data, supervisor) {
    Object.assign(this, { directory, data, supervisor });
  }

  async state() {
    return JSON.parse(await readFile(join(this.data, "run/state.json"), "utf8"));
  }

  async role(name) {
    return (await this.state()).roles.find(({ role }) => role === name);
  }

  /** Runs the command line; its output. */
  async run(...args) {
    const { stdout } = await promisify(execFile)(PROGRAM, args, { env: { ...process.env, LOMBARD_DATA_DIR: this.data } });
    return stdout;
  }

  /** A new OAuth client, as the environment of a program that acts as it. */
  async client(name, scope) {
    const made = JSON.parse(await this.run("client", "create", name, "--scope", scope, "--profile", "oauth-2.1", "--json"));
    return { LOMBARD_URL: this.url, LOMBARD_CLIENT_ID: made.client_id, LOMBARD_CLIENT_SECRET: made.client_secret };
  }

  /** An access token of the operator for the registry. */
  async token() {
    return (await this.run("token", "/v1/registry")).trim();
  }

  /** Kills a role; its successor is ready when this is over. */
  async kill(name) {
    const { pid } = await this.role(name);
    process.kill(pid, "SIGKILL");
    await until("the role is back", async () => {
      const role = await this.role(name).catch(() => undefined);
      return role !== undefined && role.pid !== pid && role.ready_ms !== null;
    });
  }

  async stop() {
    const ended = new Promise((done) => this.supervisor.once("exit", done));
    this.supervisor.kill("SIGKILL");
    await ended;
    await rm(this.directory, { recursive: true, force: true });
  }
}
