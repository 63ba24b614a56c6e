#!/usr/bin/env node
// The authorization server beside npm oidc-provider, in alternating rounds: CPU time of a request, rate and latency.
//
// What it takes: Debian package wrk, a release build of lombard, and `npm install` here. Each server has core 1 and so one worker
// thread; wrk has 16 connections that stay open, on core 0. Lombard writes what it must to disk, and its audit; the peer keeps
// everything in memory.
//
//     cargo build --release --bin lombard
//     cd bench/auth && npm install && node run.mjs --lombard ../../target/release/lombard --rounds 3 --seconds 4

import { execFile, spawn } from "node:child_process";
import { createHash, generateKeyPairSync, randomBytes, randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { Browser } from "../../crates/auth/tests/clients/browser.mjs";

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const CONNECTIONS = 16;
// More than connections, so that none waits for a token of another.
const REFRESH_TOKENS = 32;
const PASSWORD = "correct horse battery";
const CLAIMS = {
  client_credentials: { cpu_us: 45, rate: 6 },
  private_key_jwt: { cpu_us: 110 },
  introspection: { cpu_us: 20 },
  refresh: { per_second: 10_000 },
};

const { values } = parseArgs({
  options: {
    lombard: { type: "string" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "4" },
    only: { type: "string" },
    // Measures lombard alone, such as for a profile.
    alone: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const place = await mkdtemp(join(tmpdir(), "auth-bench-"));
const running = [];

function start(command, options = {}) {
  const child = spawn("taskset", ["-c", "1", ...command], { stdio: ["ignore", "pipe", "pipe"], ...options });
  child.log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (child.log = (child.log + text).slice(-4000)));
  running.push(child);
  return child;
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

async function until(what, condition) {
  for (const begun = Date.now(); Date.now() - begun < 60_000; ) {
    const found = await condition().catch(() => undefined);
    if (found) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${what} does not come\n${running.map(({ log }) => log).join("\n")}`);
}

const sha256 = (text) => createHash("sha256").update(text).digest("base64url");
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const basic = (id, secret) => `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** As many as are sent in a round, each with an id of its own. */
function assertions(audience, count) {
  const now = Math.floor(Date.now() / 1000);
  return Array.from({ length: count }, () => {
    const claims = { iss: "signer", sub: "signer", aud: audience, jti: randomUUID(), iat: now, exp: now + 240 };
    const text = `${encode({ alg: "ES256" })}.${encode(claims)}`;
    const signature = sign("sha256", text, { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url");
    return new URLSearchParams({
      grant_type: "client_credentials",
      scope: "ledger:read",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: `${text}.${signature}`,
    }).toString();
  });
}

async function post(url, body, headers = {}) {
  const answer = await fetch(url, { method: "POST", body, headers });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** What both do: the same clients with the same secrets. */
class Contender {
  secrets = {};

  async tokens() {
    const body = new URLSearchParams({ grant_type: "client_credentials", scope: "ledger:read", ...this.forIntrospection });
    const headers = { authorization: basic("shop", this.secrets.shop) };
    const tokens = [];
    for (let n = 0; n < 256; n += 1) tokens.push((await post(this.url + this.paths.token, body, headers)).access_token);
    return tokens;
  }

  async workloads() {
    const ofShop = basic("shop", this.secrets.shop);
    const tokens = (await this.tokens()).map((token) => `token=${token}`);
    return {
      client_credentials: [this.paths.token, ofShop, async () => ["grant_type=client_credentials&scope=ledger%3Aread"]],
      private_key_jwt: [this.paths.token, "-", async () => assertions(this.url, this.assertionsPerSecond * (seconds + 1))],
      introspection: [this.paths.introspect, ofShop, async () => tokens],
      refresh: [this.paths.token, basic("app", this.secrets.app), async () => this.refresh.splice(0)],
    };
  }
}

class Lombard extends Contender {
  name = "lombard";
  paths = { token: "/oauth/token", introspect: "/oauth/introspect" };
  forIntrospection = {};
  assertionsPerSecond = 14_000;

  async start() {
    const data = join(place, "data");
    const secret = randomBytes(32).toString("base64url");
    const admin = { client_id: "bench", name: "Bench", scope: "admin", secret_sha256: sha256(secret) };
    await mkdir(join(data, "identity"), { recursive: true, mode: 0o700 });
    await writeFile(join(data, "identity/clients.json"), JSON.stringify({ clients: [admin] }), { mode: 0o600 });
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    const config = join(place, "lombard.toml");
    await writeFile(config, "[auth]\npassword_memory_kib = 64\npassword_passes = 1\nrefresh_grace_seconds = 0\nassertions_max = 10000000\n");
    this.child = start([values.lombard, "auth", "--listen", `auth=127.0.0.1:${port}`, "--data-dir", data, "--issuer", this.url, "--config", config, "--log", "warn"]);
    this.child.stdout.resume();
    const credentials = new URLSearchParams({ grant_type: "client_credentials" });
    const token = () => post(`${this.url}/oauth/token`, credentials, { authorization: basic("bench", secret) });
    this.admin = (await until("lombard", token)).access_token;
    const { d: _, ...jwk } = privateKey.export({ format: "jwk" });
    const scope = "ledger:read";
    this.secrets.shop = (await this.make("clients", { client_id: "shop", name: "Shop", profile: "oauth-2.1", scope })).client_secret;
    await this.make("clients", { client_id: "signer", name: "Signer", profile: "oauth-2.1", scope, jwk });
    const redirect_uris = ["https://shop.example/cb"];
    const app = { client_id: "app", name: "App", profile: "oauth-2.1", scope: `openid offline_access ${scope}`, redirect_uris };
    this.secrets.app = (await this.make("clients", app)).client_secret;
    await this.make("users", { name: "ada", scope, password: PASSWORD });
    this.browser = new Browser();
    this.refresh = [];
    for (let n = 0; n < REFRESH_TOKENS; n += 1) this.refresh.push(await this.grant());
  }

  async make(what, body) {
    const headers = { authorization: `Bearer ${this.admin}`, "content-type": "application/json" };
    return post(`${this.url}/v1/auth/${what}`, JSON.stringify(body), headers);
  }

  /** A person logs in and allows: a refresh token. */
  async grant() {
    const verifier = randomBytes(32).toString("base64url");
    const asked = new URLSearchParams({
      client_id: "app", response_type: "code", redirect_uri: "https://shop.example/cb", scope: "openid offline_access ledger:read",
      code_challenge: sha256(verifier), code_challenge_method: "S256", prompt: "consent",
    });
    const to = await this.browser.authorize(`${this.url}/oauth/authorize?${asked}`, { username: "ada", password: PASSWORD });
    const redeemed = new URLSearchParams({
      grant_type: "authorization_code", code: to.searchParams.get("code"), redirect_uri: "https://shop.example/cb", code_verifier: verifier,
    });
    const headers = { authorization: basic("app", this.secrets.app) };
    return (await post(`${this.url}/oauth/token`, redeemed, headers)).refresh_token;
  }

  async refill() {
    while (this.refresh.length < REFRESH_TOKENS) this.refresh.push(await this.grant());
  }
}

class Peer extends Contender {
  name = "oidc-provider";
  paths = { token: "/token", introspect: "/token/introspection" };
  // Its JWTs cannot be introspected: opaque tokens are.
  assertionsPerSecond = 4_000;

  async start() {
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    this.forIntrospection = { resource: `${this.url}/opaque` };
    const key = join(place, "client.jwk");
    await writeFile(key, JSON.stringify(publicKey.export({ format: "jwk" })));
    // One batch of refresh tokens a round, and one to warm up.
    const count = REFRESH_TOKENS * (rounds + 1);
    this.child = start([join(here, "node_modules/.bin/node"), join(here, "peer.mjs"), String(port), key, String(count)]);
    const [text] = await Promise.race([
      once(this.child.stdout.setEncoding("utf8"), "data"),
      once(this.child, "exit").then(() => { throw new Error(this.child.log); }),
    ]);
    this.made = JSON.parse(text).refresh;
    this.secrets = { shop: "s".repeat(43), app: "s".repeat(43) };
    this.refresh = [];
  }

  async refill() {
    this.refresh = this.made.splice(0, REFRESH_TOKENS);
  }
}

async function cpuUs(child) {
  const fields = (await readFile(`/proc/${child.pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function rssMib(child) {
  return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, "utf8"))[1]) / 1024;
}

async function measure(contender, what, [path, authorization, bodies]) {
  if (what === "refresh") await contender.refill();
  const file = join(place, "bodies");
  await writeFile(file, `${(await bodies()).join("\n")}\n`);
  const before = await cpuUs(contender.child);
  const { stdout } = await run("taskset", [
    "-c", "0", "wrk", "-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "--timeout", "10s", "-s", join(here, "load.lua"), contender.url, "--",
    what === "private_key_jwt" ? "assertions" : what, path, authorization, file,
  ]);
  const used = (await cpuUs(contender.child)) - before;
  const [requests, durationUs, failures, missing, p50, p99] = /RESULT (.*)/.exec(stdout)[1].split(" ").map(Number);
  if (failures + missing > CONNECTIONS) throw new Error(`${contender.name}, ${what}: ${failures} failed, ${missing} had nothing to send\n${contender.child.log}`);
  return { rate: (requests / durationUs) * 1e6, cpu_us: used / requests, p50: p50 / 1000, p99: p99 / 1000 };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

function summary(samples) {
  const of = (name) => samples.map((sample) => sample[name]);
  return {
    rate: median(of("rate")), cpu_us: median(of("cpu_us")), p50: median(of("p50")), p99: median(of("p99")),
    range: `${Math.min(...of("cpu_us")).toFixed(1)}-${Math.max(...of("cpu_us")).toFixed(1)}`,
  };
}

function report(what, results) {
  const own = results.get("lombard");
  for (const [name, { rate, cpu_us, range, p50, p99 }] of results) {
    console.log(`${what.padEnd(19)} ${name.padEnd(14)} ${rate.toFixed(0).padStart(7)}/s  ${cpu_us.toFixed(1).padStart(6)} CPU us (${range})  p50 ${p50.toFixed(2)} ms  p99 ${p99.toFixed(2)} ms`);
  }
  const peer = results.get("oidc-provider");
  if (peer) console.log(`${"".padEnd(19)} ratio: ${(own.rate / peer.rate).toFixed(2)} of its rate, ${(own.cpu_us / peer.cpu_us).toFixed(3)} of its CPU time`);
  const { cpu_us, rate, per_second } = CLAIMS[what];
  const claim = (text, holds) => console.log(`${"".padEnd(19)} claim: ${text}: ${holds ? "holds" : "missed"}`);
  if (cpu_us) claim(`at most ${cpu_us} CPU us`, own.cpu_us <= cpu_us);
  if (rate && peer) claim(`at least ${rate} times its rate`, own.rate >= rate * peer.rate);
  if (per_second) claim(`at least ${per_second}/s`, own.rate >= per_second);
}

try {
  console.log(`${cpus().length} x ${cpus()[0].model}, load average ${loadavg()[0].toFixed(1)}, node ${process.version}`);
  const contenders = values.alone ? [new Lombard()] : [new Lombard(), new Peer()];
  const prepared = [];
  for (const contender of contenders) {
    await contender.start();
    console.log(`${contender.name}: pid ${contender.child.pid}, ${(await rssMib(contender.child)).toFixed(0)} MiB at the start`);
    prepared.push([contender, await contender.workloads()]);
  }
  for (const what of Object.keys(CLAIMS).filter((it) => !values.only || values.only === it)) {
    const samples = new Map(contenders.map(({ name }) => [name, []]));
    // The first round warms up.
    for (let round = 0; round <= rounds; round += 1) {
      for (const [contender, workloads] of prepared) {
        const sample = await measure(contender, what, workloads[what]);
        if (round > 0) samples.get(contender.name).push(sample);
      }
    }
    report(what, new Map([...samples].map(([name, taken]) => [name, summary(taken)])));
  }
  for (const { name, child } of contenders) console.log(`${name}: ${(await rssMib(child)).toFixed(0)} MiB at the end`);
} finally {
  for (const child of running) child.kill("SIGTERM");
  await Promise.all(running.map((child) => child.exitCode ?? child.signalCode ?? once(child, "exit")));
  await rm(place, { recursive: true, force: true });
}
