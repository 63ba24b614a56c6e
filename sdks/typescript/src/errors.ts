/** What can go wrong. `retryable` says whether the same call may succeed later. */
export class LombardError extends Error {
  readonly retryable: boolean = false;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A service that cannot be registered, or asked for, as it is. Nothing was sent. */
export class InvalidServiceError extends LombardError {}

/** The platform said no, with a problem (RFC 9457). */
export class RefusedError extends LombardError {
  override readonly retryable: boolean;

  constructor(
    /** The HTTP status. */
    readonly status: number,
    /** The last part of the problem's type, such as `insufficient-scope`: what to tell kinds apart by. */
    readonly code: string,
    detail: string,
    /** To find the request in the logs. */
    readonly requestId?: string,
  ) {
    super(`${code}: ${detail}`);
    this.retryable = status === 429 || status === 503;
  }
}

/** The platform could not be reached, and what was known is older than `maxStaleMs`. */
export class RegistryUnavailableError extends LombardError {
  override readonly retryable = true;
}

/** The lease has ended: the instance gets no traffic until it is registered again. */
export class LeaseLostError extends LombardError {}

/** `fetch` found no instance that takes requests. */
export class NoInstanceError extends LombardError {
  override readonly retryable = true;
}
