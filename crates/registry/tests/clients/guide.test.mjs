// Every example of the guide is run as it stands there, in its order, against the real program. Only addresses are others: the
// platform of a test is on ports of its own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { Platform } from "../../../../sdks/typescript/test/platform.mjs";
import { blocks } from "./guide.mjs";

const PYTHON = process.env.PYTHON ?? "python3";
const LOMBARD = resolve(process.env.LOMBARD ?? "target/debug/lombard");
const HERE = new URL(".", import.meta.url).pathname;
const PATIENCE_MS = 90_000;

let platform, directory, environment, service;
let addresses = [];

before(async () => {
  platform = await Platform.start();
  directory = await mkdtemp(join(tmpdir(), "guide-"));
  await symlink(LOMBARD, join(directory, "lombard"));
  const path = [directory, dirname(PYTHON), process.env.PATH].join(delimiter);
  environment = { ...process.env, PATH: path, LOMBARD_DATA_DIR: platform.data };
  const { consul_address: consul, dns_address: dns } = await platform.role("registry");
  const port = (address) => address.split(":")[1];
  addresses = [
    ["http://127.0.0.1:8080", platform.url],
    ["8500", port(consul)],
    ["8600", port(dns)],
  ];
});

after(async () => {
  service?.kill("SIGKILL");
  await platform?.stop();
  if (directory) await rm(directory, { recursive: true, force: true });
});

/** Runs a program until it has said what is expected: then it must end well, or is ended where it goes on for ever. */
function run(program, arguments_, cwd, { says, goesOn = false }) {
  return new Promise((done, failed) => {
    const child = spawn(program, arguments_, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const end = () => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    };
    let said = "";
    const late = setTimeout(() => (end(), failed(new Error(`never said ${says}: ${said}`))), PATIENCE_MS);
    const hear = (text) => {
      said += text;
      if (goesOn && says.test(said)) end();
    };
    child.stdout.setEncoding("utf8").on("data", hear);
    child.stderr.setEncoding("utf8").on("data", hear);
    child.on("error", failed);
    child.on("close", (code, signal) => {
      clearTimeout(late);
      const isWell = says.test(said) && (goesOn ? signal === "SIGKILL" : code === 0);
      if (isWell) done(said);
      else failed(new Error(`ended with ${code ?? signal}, having said: ${said}`));
    });
  });
}

/** A shell in which what an example exports is there for the next ones. */
async function shell(text, expected) {
  const kept = join(directory, "environment");
  const script = expected.goesOn ? text : `${text}\nenv -0 > ${kept}`;
  const said = await run("bash", ["-ec", script], directory, expected);
  if (!expected.goesOn) {
    const variables = (await readFile(kept, "utf8")).split("\0").filter(Boolean);
    environment = Object.fromEntries(variables.map((each) => [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)]));
  }
  return said;
}

const node = (text, expected) => run(process.execPath, ["--input-type=module", "-e", text], HERE, expected);
const python = (text, expected) => run(PYTHON, ["-c", text], directory, expected);
const same = (file) => async (text) => {
  const program = await readFile(new URL(`../../../../${file}`, import.meta.url), "utf8");
  assert.ok(program.endsWith(text), `the guide shows ${file}`);
};

/** In the order of the guide: the heading, the language, and what is done with the example. */
const EXAMPLES = [
  ["", "sh", (text) => shell(text, { says: /^/ })],
  // The tests of the SDK run it.
  ["TypeScript", "js", same("sdks/typescript/test/quickstart.mjs")],
  ["HTTP", "sh", (text) => shell(text, { says: /"lease_id":/ })],
  ["HTTP", "sh", (text) => shell(text, { says: /data: .*"instance":"one"/, goesOn: true })],
  ["HTTP", "sh", (text) => shell(text, { says: /"instance":"two"/ })],
  ["Rust", "rust", async (text) => {
    await same("crates/client/examples/discovery.rs")(text);
    await run(join(dirname(LOMBARD), "examples/discovery"), [], directory, { says: /^three is passing$/m });
  }],
  ["Consul's clients", "js", (text) => node(text, { says: /ID: 'hello-1'/ })],
  ["Consul's clients", "python", (text) => python(text, { says: /'ID': 'hello-1'/ })],
  ["Eureka's clients", "js", (text) => node(text, { says: /instanceId: 'hello-1'/, goesOn: true })],
  ["gRPC and Envoy", "sh", (text) => shell(text, { says: /^/ })],
  ["gRPC and Envoy", "python", async (text) => {
    const variables = { REGISTRY_URL: platform.url, REGISTRY_TOKEN: environment.TOKEN };
    service = spawn(PYTHON, [join(HERE, "guide_service.py")], { env: { ...environment, ...variables }, stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((done, failed) => {
      service.stdout.once("data", done);
      service.once("exit", (code) => failed(new Error(`the service ended with ${code}`)));
    });
    await python(text, { says: /hello from the guide/ });
  }],
  ["gRPC and Envoy", "sh", (text) => shell(text, { says: /cds: added\/updated [1-9]/, goesOn: true })],
  ["DNS", "sh", (text) => shell(text, { says: /SRV\s+1 1 9000 7f000001\.addr\.lombard\.internal\.[^]*^127\.0\.0\.1$/m })],
  // A setting of systemd's.
  ["DNS", "ini", async () => {}],
  // `prometheus.test.mjs` starts Prometheus with it.
  ["Prometheus", "yaml", async () => {}],
];

test("the guide's examples", async (t) => {
  const found = await blocks();
  assert.deepEqual(found.map(({ heading, language }) => [heading, language]), EXAMPLES.map(([heading, language]) => [heading, language]));
  for (const [number, [heading, language, check]] of EXAMPLES.entries()) {
    await t.test(`${heading}, ${language}`, async () => {
      const { text } = found[number];
      const moved = language === "sh" || heading.endsWith("clients");
      await check(moved ? addresses.reduce((all, [from, to]) => all.replaceAll(from, to), text) : text);
    });
  }
});
