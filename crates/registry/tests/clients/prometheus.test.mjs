// Debian's Prometheus, unmodified, with the configuration that the guide shows, against the real program.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Platform, until } from "../../../../sdks/typescript/test/platform.mjs";
import { blocks } from "./guide.mjs";

let platform, directory, prometheus, metered, api;
let log = "";

before(async () => {
  platform = await Platform.start();
  const { consul_address: address } = await platform.role("registry");
  directory = await mkdtemp(join(tmpdir(), "prometheus-"));
  const [block] = (await blocks()).filter(({ language }) => language === "yaml");
  // The example's own address, and not to wait for the first minute.
  const config = `global:\n  scrape_interval: 1s\n${block.text.replace("127.0.0.1:8500", address)}    scrape_interval: 1s\n`;
  // The platform's own metrics, of the role that has a histogram.
  const gateway = `  - job_name: gateway\n    static_configs: [{ targets: ["${new URL(platform.url).host}"] }]\n`;
  const refreshed = config.replace("/prometheus-sd\n", "/prometheus-sd\n        refresh_interval: 1s\n") + gateway;
  await writeFile(join(directory, "prometheus.yml"), refreshed);
  const arguments_ = [`--config.file=${directory}/prometheus.yml`, `--storage.tsdb.path=${directory}/data`, "--web.listen-address=127.0.0.1:0", "--enable-feature=native-histograms"];
  prometheus = spawn("prometheus", arguments_, { stdio: ["ignore", "ignore", "pipe"] });
  prometheus.stderr.setEncoding("utf8").on("data", (text) => (log += text));
  prometheus.on("error", (error) => (log += error));
  const listens = await until("Prometheus listens", () => {
    assert.equal(prometheus.exitCode, null, log);
    assert.ok(prometheus.pid !== undefined, "Prometheus is not installed (Debian: prometheus)");
    return /msg="Listening on" address=(\S+)/.exec(log)?.[1];
  });
  api = async (path) => {
    const answer = await fetch(`http://${listens}/api/v1/${path}`).catch(() => undefined);
    return answer?.ok ? (await answer.json()).data : undefined;
  };
  metered = createServer((request, answer) => answer.end("requests_total 7\n"));
  await new Promise((done) => metered.listen(0, "127.0.0.1", done));
});

after(async () => {
  prometheus?.kill("SIGKILL");
  metered?.close();
  await platform?.stop();
  if (directory) await rm(directory, { recursive: true, force: true });
});

test("what is registered is scraped, and not any more when it is gone", async () => {
  const headers = { authorization: `Bearer ${await platform.token()}`, "content-type": "application/json" };
  const url = `${platform.url}/v1/registry/services/metered/instances/one`;
  const body = { url: `http://127.0.0.1:${metered.address().port}`, ttl_seconds: 600, zone: "eu-1", tags: ["a", "b"] };
  const registered = await fetch(url, { method: "PUT", headers, body: JSON.stringify(body) });
  assert.equal(registered.status, 201, await registered.text());
  const all = async () => (await api("targets?state=active"))?.activeTargets ?? [];
  const targets = async () => (await all()).filter(({ labels }) => labels.job === "metered");
  const target = await until("it is scraped", async () => (await targets()).find(({ health }) => health === "up"));
  assert.equal(target.labels.job, "metered");
  const { __meta_lombard_instance: instance, __meta_lombard_zone: zone, __meta_lombard_tags: tags } = target.discoveredLabels;
  assert.deepEqual([instance, zone, tags], ["one", "eu-1", ",a,b,"]);
  const value = async () => (await api("query?query=requests_total"))?.result?.[0]?.value[1];
  assert.equal(await until("its metrics are there", value), "7");
  assert.equal((await fetch(url, { method: "DELETE", headers })).status, 200);
  await until("it is gone", async () => (await targets()).length === 0);
});

test("the histograms of the platform have native buckets", async () => {
  const name = "lombard_gateway_request_seconds";
  const found = async () => (await api(`query?query=${name}`))?.result?.find(({ histogram }) => histogram);
  const { histogram: [, { count, buckets }] } = await until("the histogram is there", found);
  assert.ok(Number(count) > 0 && buckets.length > 0, JSON.stringify({ count, buckets }));
  // What text has of it stays beside it.
  const answered = await api("query?query=lombard_gateway_requests_total");
  assert.ok(answered.result.length > 0);
});
