import { p2c, roundRobin, type Strategy } from "./balance.js";
import { InvalidServiceError, NoInstanceError } from "./errors.js";
import { Http } from "./http.js";
import { RegisteredLease, type RegisterOptions, type ServiceLease } from "./lease.js";
import { checkedName, type GetServiceOptions, type Registry, type Service } from "./service.js";
import { clientCredentials, type TokenSource } from "./token.js";
import { Watch } from "./watch.js";

export interface ServiceRegistryOptions {
  /** The gateway's URL; `LOMBARD_URL` unless said otherwise, or http://127.0.0.1:8080. */
  readonly endpoint?: string;
  /** Access tokens; with `LOMBARD_CLIENT_ID` and `LOMBARD_CLIENT_SECRET` unless said otherwise. */
  readonly token?: TokenSource;
  /** Where this process runs: instances of the same zone are preferred where there are any. */
  readonly zone?: string;
  /** How old what is known may become while the registry is away; 5 minutes unless said otherwise. */
  readonly maxStaleMs?: number;
  /**
   * On SIGTERM: drain what this process has registered, wait so many milliseconds for requests under way, deregister, and
   * let the process end as it would have. Nothing is done unless this is said.
   */
  readonly drainOnSigtermMs?: number;
}

const ENDPOINT_DEFAULT = "http://127.0.0.1:8080";
const MAX_STALE_MS_DEFAULT = 5 * 60_000;
/** An instance that refused a connection gets nothing for so long, if there are others. */
const SKIP_MS = 5_000;
const SCHEME = "lombard://";
/** Methods that may be repeated on another instance (RFC 9110, section 9.2.2). */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);
const TRIES = 3;

/** Registers services and finds others. One for each process is enough. */
export class ServiceRegistry implements Registry, AsyncDisposable {
  readonly #http: Http;
  readonly #zone: string | undefined;
  readonly #maxStaleMs: number;
  readonly #watches = new Map<string, Watch>();
  readonly #leases = new Set<RegisteredLease>();
  readonly #inFlight = new Map<string, number>();
  readonly #skippedUntil = new Map<string, number>();
  readonly #roundRobins = new Map<string, Strategy>();
  readonly #forgetSigterm: () => void;

  constructor(options: ServiceRegistryOptions = {}) {
    const endpoint = (options.endpoint ?? env("LOMBARD_URL") ?? ENDPOINT_DEFAULT).replace(/\/$/, "");
    this.#http = new Http(endpoint, options.token ?? fromEnvironment(endpoint));
    this.#zone = options.zone;
    this.#maxStaleMs = options.maxStaleMs ?? MAX_STALE_MS_DEFAULT;
    const graceMs = options.drainOnSigtermMs;
    this.#forgetSigterm = graceMs === undefined ? () => {} : onSigterm(() => this.#leave(graceMs));
  }

  /** Resolves when the registry has accepted the lease, which is renewed from then on. */
  async registerService(service: Service, options: RegisterOptions = {}): Promise<ServiceLease> {
    const zone = service.zone ?? this.#zone;
    const placed = zone === undefined ? service : { ...service, zone };
    const lease = await RegisteredLease.register(this.#http, placed, options);
    this.#leases.add(lease);
    return lease;
  }

  /** An instance that takes requests; `undefined` where there is none. Answered from memory after the first time. */
  async getService(name: string, options: GetServiceOptions = {}): Promise<Service | undefined> {
    const known = await this.#watch(name).current(options.signal);
    return this.#choose(name, known, options);
  }

  /** The same from what is known already, without waiting: `undefined` until it was asked for once. */
  peekService(name: string): Service | undefined {
    const known = this.#watch(name).known;
    return known === undefined ? undefined : this.#choose(name, known, {});
  }

  /** All instances that take requests. */
  async getServices(name: string): Promise<readonly Service[]> {
    return this.#watch(name).current();
  }

  /** All instances that take requests, now and after each change. */
  watchService(
    name: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<readonly Service[]> {
    return this.#watch(name).changes(options.signal);
  }

  /** How old what is known of a service may be, in milliseconds; `undefined` where it was never asked for. */
  age(name: string): number | undefined {
    return this.#watches.get(name)?.ageMs;
  }

  /**
   * `fetch` with `lombard://name/path`: chooses an instance, and takes another where one cannot be connected to or, for
   * methods that may be repeated, breaks. What the instance answers is the answer.
   */
  async fetch(input: `lombard://${string}`, init: RequestInit = {}): Promise<Response> {
    const [name, rest] = target(input);
    const canRepeat = IDEMPOTENT.has((init.method ?? "GET").toUpperCase());
    const tried: string[] = [];
    for (;;) {
      const signal = init.signal ?? undefined;
      const options = { exclude: tried, ...(signal === undefined ? {} : { signal }) };
      const instance = await this.getService(name, options);
      if (instance?.id === undefined) {
        throw new NoInstanceError(`no ${tried.length === 0 ? "" : "other "}instance of ${name} takes requests`);
      }
      tried.push(instance.id);
      try {
        return await this.#send(instance, rest, init);
      } catch (error) {
        if (signal?.aborted === true) throw error;
        const wasRefused = isConnectionRefused(error);
        if (wasRefused) this.#skippedUntil.set(instance.url, Date.now() + SKIP_MS);
        if (!(canRepeat || wasRefused) || tried.length >= TRIES || init.body instanceof ReadableStream) throw error;
      }
    }
  }

  /** Takes out what this process has registered, and ends all watches. */
  async close(): Promise<void> {
    this.#forgetSigterm();
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    await Promise.all([...this.#leases].map((lease) => lease.deregister()));
    this.#leases.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What cannot be drained is taken out all the same. */
  async #leave(graceMs: number): Promise<void> {
    await Promise.allSettled([...this.#leases].map((lease) => lease.drain(graceMs)));
    await this.close();
  }

  async #send(instance: Service, rest: string, init: RequestInit): Promise<Response> {
    const { url } = instance;
    this.#inFlight.set(url, (this.#inFlight.get(url) ?? 0) + 1);
    try {
      return await fetch(url + rest, init);
    } finally {
      const left = (this.#inFlight.get(url) ?? 1) - 1;
      if (left > 0) this.#inFlight.set(url, left);
      else this.#inFlight.delete(url);
    }
  }

  #watch(name: string): Watch {
    let watch = this.#watches.get(name);
    if (watch === undefined) {
      watch = new Watch(this.#http, checkedName(name), this.#maxStaleMs);
      this.#watches.set(name, watch);
    }
    return watch;
  }

  #choose(name: string, known: readonly Service[], options: GetServiceOptions): Service | undefined {
    const { tag, exclude = [], strategy = "p2c" } = options;
    let wanted = known.filter(
      ({ id = "", tags = [] }) => !exclude.includes(id) && (tag === undefined || tags.includes(tag)),
    );
    // Neither of these may leave nobody.
    wanted = preferred(wanted, ({ url }) => (this.#skippedUntil.get(url) ?? 0) <= Date.now());
    if (this.#zone !== undefined) wanted = preferred(wanted, ({ zone }) => zone === this.#zone);
    if (wanted.length === 0) return undefined;
    const inFlight = ({ url }: Service) => this.#inFlight.get(url) ?? 0;
    return this.#strategy(name, strategy)(wanted, inFlight);
  }

  #strategy(name: string, strategy: NonNullable<GetServiceOptions["strategy"]>): Strategy {
    if (strategy === "p2c") return p2c;
    if (strategy !== "round-robin") return strategy;
    let own = this.#roundRobins.get(name);
    if (own === undefined) this.#roundRobins.set(name, (own = roundRobin()));
    return own;
  }
}

function preferred<T>(all: T[], isBetter: (item: T) => boolean): T[] {
  const better = all.filter(isBetter);
  return better.length > 0 ? better : all;
}

/** The service's name, and the path with the query. */
function target(input: string): [string, string] {
  if (!input.startsWith(SCHEME)) throw new InvalidServiceError("must begin with lombard://");
  const [, name = "", rest = ""] = /^([^/?#]*)([^#]*)/.exec(input.slice(SCHEME.length)) ?? [];
  return [checkedName(name), rest.startsWith("/") ? rest : `/${rest}`];
}

function isConnectionRefused(error: unknown): boolean {
  const cause = (error as { cause?: { code?: string } }).cause;
  return cause?.code === "ECONNREFUSED";
}

function fromEnvironment(endpoint: string): TokenSource {
  const [clientId, clientSecret] = [env("LOMBARD_CLIENT_ID"), env("LOMBARD_CLIENT_SECRET")];
  if (clientId === undefined || clientSecret === undefined) {
    throw new InvalidServiceError("set LOMBARD_CLIENT_ID and LOMBARD_CLIENT_SECRET, or give `token`");
  }
  return clientCredentials({ endpoint, clientId, clientSecret });
}

interface ProcessLike {
  readonly pid: number;
  once(event: "SIGTERM", listener: () => void): void;
  off(event: "SIGTERM", listener: () => void): void;
  kill(pid: number, signal: "SIGTERM"): void;
}

/** Leaves once, then ends as if nobody had listened. Answers how to forget it. */
function onSigterm(leave: () => Promise<void>): () => void {
  const { process } = globalThis as { process?: ProcessLike };
  if (process === undefined) return () => {};
  const listener = () => {
    void leave().finally(() => process.kill(process.pid, "SIGTERM"));
  };
  process.once("SIGTERM", listener);
  return () => process.off("SIGTERM", listener);
}

function env(name: string): string | undefined {
  const { process } = globalThis as { process?: { env: Record<string, string | undefined> } };
  return process?.env[name];
}
