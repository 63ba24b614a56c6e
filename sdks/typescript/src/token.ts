import { RefusedError, RegistryUnavailableError } from "./errors.js";

/** Gives an access token for the registry. Called for every request, so it keeps what it has. */
export type TokenSource = () => Promise<string>;

export interface ClientCredentials {
  /** The gateway's URL. */
  readonly endpoint: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

/** A token is not used any more this long before it expires. */
const MARGIN_MS = 20_000;
const TRY_MS = 10_000;

/** Tokens by the OAuth grant `client_credentials`, kept until shortly before they expire; one request for all who wait. */
export function clientCredentials(options: ClientCredentials): TokenSource {
  const { endpoint, clientId, clientSecret } = options;
  let kept: { token: string; usableUntil: number } | undefined;
  let fetching: Promise<string> | undefined;

  const request = async (): Promise<string> => {
    const credentials = `${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`;
    const response = await fetch(`${endpoint}/oauth/token`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(credentials)}` },
      body: new URLSearchParams({
        grant_type: "client_credentials",
        resource: `${endpoint}/v1/registry`,
      }),
      signal: AbortSignal.timeout(TRY_MS),
    }).catch((cause: unknown) => {
      throw new RegistryUnavailableError("the authorization server cannot be reached", { cause });
    });
    const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    if (!response.ok) {
      // Of RFC 6749, or a problem where the gateway answers for a server that is away.
      const code = String(body["error"] ?? body["type"] ?? "token-refused").split(":").pop() ?? "";
      const detail = String(body["error_description"] ?? body["detail"] ?? response.statusText);
      throw new RefusedError(response.status, code, detail);
    }
    const token = String(body["access_token"]);
    kept = { token, usableUntil: Date.now() + Number(body["expires_in"]) * 1000 - MARGIN_MS };
    return token;
  };

  return async () => {
    if (kept !== undefined && Date.now() < kept.usableUntil) return kept.token;
    fetching ??= request().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };
}
