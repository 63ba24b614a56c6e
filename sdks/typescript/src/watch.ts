import { RegistryUnavailableError, RefusedError } from "./errors.js";
import { serverSentEvents } from "./events.js";
import { isTemporary, type Http } from "./http.js";
import type { Service } from "./service.js";
import { backoff, pause } from "./time.js";

interface InstanceBody {
  readonly instance: string;
  readonly url: string;
  readonly version: string | null;
  readonly zone?: string;
  readonly weight?: number;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly state: string;
}

/** The instances of one service that take requests, kept current by one stream for all who ask. */
export class Watch {
  readonly #stop = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #ready: Promise<void>;
  #instances: readonly Service[] | undefined;
  #heardAt = 0;
  #isConnected = false;
  #refused: RefusedError | undefined;

  constructor(
    private readonly http: Http,
    private readonly name: string,
    private readonly maxStaleMs: number,
  ) {
    this.#ready = new Promise((resolve) => {
      const once = () => {
        this.#listeners.delete(once);
        resolve();
      };
      this.#listeners.add(once);
    });
    void this.#follow();
  }

  /** How old what is known may be, in milliseconds: 0 while the stream is open. */
  get ageMs(): number {
    return this.#isConnected ? 0 : Date.now() - this.#heardAt;
  }

  /** What is known, without waiting. */
  get known(): readonly Service[] | undefined {
    return this.#instances;
  }

  /** What is known, as soon as it is. */
  async current(signal?: AbortSignal): Promise<readonly Service[]> {
    if (this.#instances === undefined && this.#refused === undefined) {
      await abortable(this.#ready, signal);
    }
    if (this.#refused !== undefined) throw this.#refused;
    if (this.#instances === undefined || this.ageMs > this.maxStaleMs) {
      throw new RegistryUnavailableError(`nothing recent is known of ${this.name}`);
    }
    return this.#instances;
  }

  /** What is known, and every change of it. Of several changes that were not taken the last is given. */
  async *changes(signal?: AbortSignal): AsyncGenerator<readonly Service[]> {
    let given: readonly Service[] | undefined;
    for (;;) {
      if (this.#refused !== undefined) throw this.#refused;
      if (signal?.aborted === true || this.#stop.signal.aborted) return;
      if (this.#instances !== undefined && this.#instances !== given) {
        given = this.#instances;
        yield given;
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#listeners.delete(wake);
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        this.#listeners.add(wake);
        signal?.addEventListener("abort", wake, { once: true });
      });
    }
  }

  close(): void {
    this.#stop.abort();
    this.#tell();
  }

  async #follow(): Promise<void> {
    const signal = this.#stop.signal;
    for (let tries = 0; !signal.aborted; ) {
      try {
        const headers = { accept: "text/event-stream" };
        const response = await this.http.open("GET", `/services/${this.name}`, { headers, signal });
        for await (const { data } of serverSentEvents(response.body!)) {
          const { instances } = JSON.parse(data) as { instances: readonly InstanceBody[] };
          this.#instances = instances.filter(takesRequests).map((body) => service(this.name, body));
          [this.#isConnected, this.#heardAt, tries] = [true, Date.now(), 0];
          this.#tell();
        }
      } catch (error) {
        if (signal.aborted) return;
        tries += 1;
        if (error instanceof RefusedError && !isTemporary(error)) {
          this.#refused = error;
          this.#tell();
          return;
        }
        // Who waits for the first answer is told that there is none.
        if (this.#instances === undefined && tries >= 3) this.#tell();
      }
      if (this.#isConnected) [this.#isConnected, this.#heardAt] = [false, Date.now()];
      await pause(tries > 0 ? backoff(tries) : 0, signal);
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function takesRequests({ state }: InstanceBody): boolean {
  return state === "passing" || state === "warning" || state === "unknown";
}

function service(name: string, body: InstanceBody): Service {
  return Object.freeze({
    name,
    url: body.url,
    id: body.instance,
    ...(body.version === null ? {} : { version: body.version }),
    ...(body.zone === undefined ? {} : { zone: body.zone }),
    weight: body.weight ?? 1,
    tags: body.tags,
    metadata: body.metadata,
    health: body.state === "warning" ? ("warning" as const) : ("passing" as const),
  });
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
