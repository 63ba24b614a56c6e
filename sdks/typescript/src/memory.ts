import { p2c } from "./balance.js";
import type { RegisterOptions, ServiceLease } from "./lease.js";
import {
  checkedName,
  checkedUrl,
  type GetServiceOptions,
  type Health,
  type Registry,
  type Service,
} from "./service.js";

/** A registry in this process, for unit tests: the same interface, nothing behind it. */
export class InMemoryServiceRegistry implements Registry {
  readonly #services = new Map<string, Map<string, Service>>();
  readonly #listeners = new Set<() => void>();
  readonly #closed = new AbortController();

  async registerService(service: Service, _options: RegisterOptions = {}): Promise<ServiceLease> {
    const name = checkedName(service.name);
    const id = service.id ?? crypto.randomUUID();
    const lost = new AbortController();
    const set = (changed: Partial<Service>) => {
      const instances = this.#services.get(name) ?? new Map<string, Service>();
      instances.set(id, Object.freeze({ ...service, url: checkedUrl(service.url), id, ...changed }));
      this.#services.set(name, instances);
      this.#tell();
    };
    const deregister = async () => {
      this.#services.get(name)?.delete(id);
      this.#tell();
    };
    set({});
    return {
      id,
      expiresAt: new Date(8.64e15),
      registeredAgain: 0,
      lost: lost.signal,
      report: async (health: Health) => set({ health }),
      drain: deregister,
      deregister,
      [Symbol.asyncDispose]: deregister,
    };
  }

  async getService(name: string, options: GetServiceOptions = {}): Promise<Service | undefined> {
    const { tag, exclude = [], strategy } = options;
    const wanted = this.#known(name).filter(
      ({ id = "", tags = [] }) => !exclude.includes(id) && (tag === undefined || tags.includes(tag)),
    );
    if (wanted.length === 0) return undefined;
    return typeof strategy === "function" ? strategy(wanted, () => 0) : p2c(wanted, () => 0);
  }

  peekService(name: string): Service | undefined {
    return this.#known(name)[0];
  }

  async getServices(name: string): Promise<readonly Service[]> {
    return this.#known(name);
  }

  async *watchService(
    name: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<readonly Service[]> {
    const signal = AbortSignal.any([this.#closed.signal, ...(options.signal ? [options.signal] : [])]);
    let given = "";
    while (!signal.aborted) {
      const known = this.#known(name);
      const text = JSON.stringify(known);
      if (text !== given) {
        given = text;
        yield known;
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#listeners.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#listeners.add(wake);
        signal.addEventListener("abort", wake, { once: true });
      });
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#services.clear();
  }

  #known(name: string): Service[] {
    const instances = [...(this.#services.get(checkedName(name))?.values() ?? [])];
    return instances.filter(({ health }) => health !== "critical");
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
