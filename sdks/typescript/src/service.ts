import { InvalidServiceError } from "./errors.js";
import type { Strategy } from "./balance.js";
import type { RegisterOptions, ServiceLease } from "./lease.js";

export type Health = "passing" | "warning" | "critical";

/** One instance of a service. Only `name` and `url` are needed to register one. */
export interface Service {
  readonly name: string;
  /** `http://host:port`; `https` and `grpc` are kept as well, for those who speak them. */
  readonly url: string;
  /** Unique within the service; made up when it is registered without one. */
  readonly id?: string;
  readonly version?: string;
  readonly zone?: string;
  readonly weight?: number;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly health?: Health;
}

export interface GetServiceOptions {
  /** Which instance; `p2c` unless said otherwise. */
  readonly strategy?: "p2c" | "round-robin" | Strategy;
  /** Only instances with this tag. */
  readonly tag?: string;
  /** Ids of instances that are not wanted. */
  readonly exclude?: readonly string[];
  readonly signal?: AbortSignal;
}

/** What both registries have: the one that speaks to the platform, and the one in memory for tests. */
export interface Registry {
  registerService(service: Service, options?: RegisterOptions): Promise<ServiceLease>;
  getService(name: string, options?: GetServiceOptions): Promise<Service | undefined>;
  getServices(name: string): Promise<readonly Service[]>;
  peekService(name: string): Service | undefined;
  watchService(
    name: string,
    options?: { readonly signal?: AbortSignal },
  ): AsyncIterable<readonly Service[]>;
  close(): Promise<void>;
}

const NAME = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** A name as it was given, if a service can have it. */
export function checkedName(name: string): string {
  if (!NAME.test(name)) {
    throw new InvalidServiceError(
      `${JSON.stringify(name)} is no service's name: small letters, digits and "-", beginning with a letter`,
    );
  }
  return name;
}

/** The URL without a path, as the registry keeps it. */
export function checkedUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new InvalidServiceError(`${JSON.stringify(url)} is no URL`, { cause });
  }
  const rest = `${parsed.username}${parsed.password}${parsed.search}${parsed.hash}`;
  const port = parsed.port === "" ? PORTS[parsed.protocol] : parsed.port;
  const hasPath = parsed.pathname !== "/" && parsed.pathname !== "";
  if (!(parsed.protocol in PORTS) || port === undefined || rest !== "" || hasPath || parsed.hostname === "") {
    throw new InvalidServiceError(
      `${JSON.stringify(url)}: must be http://host:port and nothing more, or https, or grpc with a port`,
    );
  }
  return `${parsed.protocol}//${parsed.hostname}:${port}`;
}

/** What is meant where no port is said; gRPC has none. `undefined` for anything else than these. */
const PORTS: Readonly<Record<string, string | undefined>> = { "http:": "80", "https:": "443", "grpc:": undefined };
