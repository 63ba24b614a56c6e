import { ServiceRegistry } from "@lombard/registry";

const registry = new ServiceRegistry();
const lease = await registry.registerService({ name: "hello", url: "http://127.0.0.1:9000" });
console.log(`registered ${lease.id}`);

const hello = await registry.getService("hello");
console.log(`hello is at ${hello?.url}`);

for await (const instances of registry.watchService("hello")) {
  console.log(`${instances.length} instance(s)`);
  break;
}
await lease.deregister();
await registry.close();
