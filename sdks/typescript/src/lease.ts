import { InvalidServiceError, LeaseLostError, RefusedError } from "./errors.js";
import { serverSentEvents } from "./events.js";
import { isTemporary, type Http } from "./http.js";
import type { Health, Service } from "./service.js";
import { checkedName, checkedUrl } from "./service.js";
import { backoff, pause } from "./time.js";

/**
 * What the registry asks the instance by itself, at its URL, while the lease lives: it gets traffic from the first good
 * answer on, and none after as many bad ones as `failuresMin`.
 */
export type Check = CheckTimes &
  (
    | { readonly type: "http"; /** `/` unless said otherwise; any 2xx passes. */ readonly path?: string }
    | { readonly type: "tcp" }
    | { readonly type: "grpc"; /** Of `grpc.health.v1`; all together unless said otherwise. */ readonly service?: string }
  );

export interface CheckTimes {
  /** 10 s unless said otherwise. */
  readonly intervalMs?: number;
  /** 2 s unless said otherwise. */
  readonly timeoutMs?: number;
  /** Good answers in a row that make it pass; 1 unless said otherwise. */
  readonly successesMin?: number;
  /** Bad ones, or none, in a row that make it critical; 2 unless said otherwise. */
  readonly failuresMin?: number;
}

export interface RegisterOptions {
  /** How long the instance is found without being heard of: whole seconds; 10 s unless said otherwise. */
  readonly ttlMs?: number;
  /** Asked by the registry, beside the lease. */
  readonly check?: Check;
  /** Gives up registering. Once registered it does nothing. */
  readonly signal?: AbortSignal;
}

/** A registered instance. Renewed in the background until it is deregistered, drained or lost. */
export interface ServiceLease extends AsyncDisposable {
  readonly id: string;
  /** When it would run out if nothing were renewed any more. */
  readonly expiresAt: Date;
  /** How often the instance had to be registered anew, because the registry did not know the lease any more. */
  readonly registeredAgain: number;
  /** How the instance is: with `critical` it gets no traffic. */
  report(health: Health, note?: string): Promise<void>;
  /** Nothing new from now on; after `graceMs` the instance is deregistered. */
  drain(graceMs?: number): Promise<void>;
  deregister(): Promise<void>;
  /** Aborted when the lease ended although nobody here asked for it, and could not be taken up again. */
  readonly lost: AbortSignal;
}

interface LeaseAnswer {
  readonly lease_id: string;
  readonly ttl_seconds: number;
  readonly renew_after_seconds: number;
}

const TTL_MS_DEFAULT = 10_000;
const DRAIN_MS_DEFAULT = 5_000;

function checkBody(check: Check): Record<string, unknown> {
  const { intervalMs, timeoutMs, successesMin, failuresMin, ...asked } = check;
  return {
    ...asked, interval_ms: intervalMs, timeout_ms: timeoutMs, successes_min: successesMin, failures_min: failuresMin,
  };
}

export class RegisteredLease implements ServiceLease {
  readonly #http: Http;
  readonly #path: string;
  readonly #body: Record<string, unknown>;
  readonly #stop = new AbortController();
  readonly #lost = new AbortController();
  #lease: LeaseAnswer;
  #renewedAt = Date.now();
  #running: Promise<unknown>;
  registeredAgain = 0;

  private constructor(
    http: Http,
    readonly id: string,
    path: string,
    body: Record<string, unknown>,
    lease: LeaseAnswer,
  ) {
    [this.#http, this.#path, this.#body, this.#lease] = [http, path, body, lease];
    this.#running = Promise.all([this.#renewing(), this.#holding()]);
  }

  /** Registers, and goes on renewing. */
  static async register(
    http: Http,
    service: Service,
    options: RegisterOptions,
  ): Promise<RegisteredLease> {
    const ttlSeconds = (options.ttlMs ?? TTL_MS_DEFAULT) / 1000;
    if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1) {
      throw new InvalidServiceError("ttlMs: must be whole seconds, and at least one");
    }
    const id = service.id ?? crypto.randomUUID();
    const path = `/services/${checkedName(service.name)}/instances/${encodeURIComponent(id)}`;
    const { version, zone, weight, tags, metadata, health } = service;
    const body = {
      url: checkedUrl(service.url), ttl_seconds: ttlSeconds, version, zone, weight, tags, metadata, health,
      check: options.check === undefined ? undefined : checkBody(options.check),
    };
    for (let tries = 0; ; tries += 1) {
      try {
        const lease = await http.json<LeaseAnswer>("PUT", path, { body, signal: options.signal });
        return new RegisteredLease(http, id, path, body, lease);
      } catch (error) {
        const isOver = options.signal?.aborted === true || tries >= 5 || !isTemporary(error);
        if (isOver) throw error;
        await pause(backoff(tries), options.signal ?? new AbortController().signal);
      }
    }
  }

  get expiresAt(): Date {
    return new Date(this.#renewedAt + this.#lease.ttl_seconds * 1000);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async report(health: Health, note = ""): Promise<void> {
    const body = { lease_id: this.#lease.lease_id, health, note };
    await this.#http.json("POST", `${this.#path}/report`, { body });
    // What is registered again later begins like this.
    this.#body["health"] = health;
  }

  async drain(graceMs = DRAIN_MS_DEFAULT): Promise<void> {
    await this.#http.json("POST", `${this.#path}/drain`, { body: {} });
    await pause(graceMs, this.#lost.signal);
    await this.deregister();
  }

  async deregister(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    await this.#running;
    if (this.#lost.signal.aborted) return;
    try {
      await this.#http.json("DELETE", this.#path);
    } catch (error) {
      const isGone = error instanceof RefusedError && error.code === "instance-not-found";
      if (!isGone) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.deregister();
  }

  /** Each third of the time, and not all at once. */
  async #renewing(): Promise<void> {
    const stop = this.#stop.signal;
    for (let tries = 0; ; ) {
      const regular = this.#lease.renew_after_seconds * 1000 * (0.8 + 0.4 * Math.random());
      await pause(tries === 0 ? regular : Math.min(backoff(tries), regular), stop);
      if (stop.aborted) return;
      try {
        const body = { lease_id: this.#lease.lease_id };
        await this.#http.json("POST", `${this.#path}/renew`, { body, signal: stop });
        [this.#renewedAt, tries] = [Date.now(), 0];
      } catch (error) {
        if (stop.aborted) return;
        if (error instanceof RefusedError && error.code === "lease-unknown") {
          if (!(await this.#again())) return;
          tries = 0;
        } else {
          tries += 1;
        }
      }
    }
  }

  /** The registry does not know the lease any more, so the instance is registered anew. */
  async #again(): Promise<boolean> {
    try {
      const body = this.#body;
      this.#lease = await this.#http.json("PUT", this.#path, { body, signal: this.#stop.signal });
      this.#renewedAt = Date.now();
      this.registeredAgain += 1;
      return true;
    } catch (error) {
      if (this.#stop.signal.aborted) return false;
      if (isTemporary(error)) return true;
      this.#lose(error);
      return false;
    }
  }

  /** Keeps a stream open that shows the registry at once when this process dies. */
  async #holding(): Promise<void> {
    const signal = this.#stop.signal;
    for (let tries = 0; !signal.aborted; ) {
      const lease_id = this.#lease.lease_id;
      try {
        const headers = { accept: "text/event-stream" };
        const options = { body: { lease_id }, headers, signal };
        const response = await this.#http.open("POST", `${this.#path}/renew`, options);
        this.#renewedAt = Date.now();
        tries = 0;
        for await (const { event } of serverSentEvents(response.body!)) {
          if (event === "lost" && lease_id === this.#lease.lease_id) {
            this.#lose(new LeaseLostError("the registry has ended the lease"));
            return;
          }
        }
      } catch {
        tries += 1;
      }
      // At once the first time: a stream that broke has half a second to be there again.
      await pause(tries > 1 ? backoff(tries) : 50 * tries, signal);
    }
  }

  #lose(reason: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#lost.abort(reason);
  }
}
