/** Services find each other through Lombard's registry. Start reading at `registry.ts`. */
export { ServiceRegistry, type ServiceRegistryOptions } from "./registry.js";
export { InMemoryServiceRegistry } from "./memory.js";
export type { Check, CheckTimes, RegisterOptions, ServiceLease } from "./lease.js";
export type { Health, Registry, Service, GetServiceOptions } from "./service.js";
export { p2c, roundRobin, type Strategy } from "./balance.js";
export { clientCredentials, type TokenSource } from "./token.js";
export {
  InvalidServiceError,
  LeaseLostError,
  LombardError,
  NoInstanceError,
  RefusedError,
  RegistryUnavailableError,
} from "./errors.js";
