import { LombardError, RefusedError, RegistryUnavailableError } from "./errors.js";
import type { TokenSource } from "./token.js";

const TRY_MS = 10_000;

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
}

/** The registry's HTTP interface, with a token. */
export class Http {
  constructor(
    private readonly endpoint: string,
    private readonly token: TokenSource,
  ) {}

  /** A JSON answer; an error for anything that is not one of success. */
  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const timeout = AbortSignal.timeout(TRY_MS);
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
    const response = await this.open(method, path, { ...options, signal });
    return (await response.json()) as T;
  }

  /** An answer that goes on, such as a watch, until `signal` is aborted. */
  async open(method: string, path: string, options: CallOptions = {}): Promise<Response> {
    const headers: Record<string, string> = {
      authorization: `Bearer ${await this.token()}`,
      ...options.headers,
    };
    const init: RequestInit = { method, headers };
    if (options.signal) init.signal = options.signal;
    if (options.body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(options.body);
    }
    let response: Response;
    try {
      response = await fetch(`${this.endpoint}/v1/registry${path}`, init);
    } catch (cause) {
      throw new RegistryUnavailableError("the registry cannot be reached", { cause });
    }
    if (response.ok) return response;
    throw await problem(response);
  }
}

async function problem(response: Response): Promise<LombardError> {
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  const code = String(body["type"] ?? `http-${response.status}`).split(":").pop() ?? "";
  const detail = String(body["detail"] ?? response.statusText);
  const requestId = response.headers.get("x-request-id") ?? undefined;
  return new RefusedError(response.status, code, detail, requestId);
}

/** Whether trying again makes sense: the platform, or a part of it, is away or busy. */
export function isTemporary(error: unknown): boolean {
  return !(error instanceof RefusedError) || error.status >= 500 || error.status === 429;
}
