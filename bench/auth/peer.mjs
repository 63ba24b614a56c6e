// npm oidc-provider with what it keeps in memory: one client with a secret, one with a key, and refresh tokens of a person, made
// without a browser. Arguments: port, file with the clients' key, count of refresh tokens. Prints what it has made.
import { readFileSync } from "node:fs";
import Provider from "oidc-provider";
import { generateKeyPairSync } from "node:crypto";

const [port, keyFile, count] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const resource = `${issuer}/ledger`;
const scope = "openid offline_access ledger:read";
const signing = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
const { d: _, ...jwk } = JSON.parse(readFileSync(keyFile, "utf8"));
const redirect_uris = ["https://shop.example/cb"];

// As the library's own example keeps things, without its limit of 1,000 and without copying.
const kept = new Map();
class Memory {
  constructor(name) { this.name = name; }
  key(id) { return `${this.name}:${id}`; }
  async upsert(id, payload) { kept.set(this.key(id), payload); }
  async find(id) { return kept.get(this.key(id)); }
  async findByUid(uid) { return [...kept.values()].find((it) => it.uid === uid); }
  async consume(id) { kept.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { kept.delete(this.key(id)); }
  async revokeByGrantId() {}
}

const provider = new Provider(issuer, {
  adapter: Memory,
  jwks: { keys: [{ ...signing, alg: "ES256", use: "sig" }] },
  clients: [
    { client_id: "shop", client_secret: "s".repeat(43), grant_types: ["client_credentials"], redirect_uris: [], response_types: [], scope: "ledger:read" },
    {
      client_id: "signer", token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: "ES256",
      jwks: { keys: [jwk] }, grant_types: ["client_credentials"], redirect_uris: [], response_types: [], scope: "ledger:read",
    },
    {
      client_id: "app", client_secret: "s".repeat(43), grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"], redirect_uris, scope,
    },
  ],
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  scopes: ["openid", "offline_access", "ledger:read"],
  clientAuthMethods: ["client_secret_basic", "private_key_jwt"],
  async findAccount(_, id) { return { accountId: id, async claims() { return { sub: id }; } }; },
  rotateRefreshToken: true,
  ttl: { AccessToken: 300, ClientCredentials: 300, IdToken: 300, RefreshToken: 86400, Grant: 86400, Session: 86400 },
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      // Its JWTs cannot be introspected: for that, tokens are opaque.
      getResourceServerInfo: (_, indicator) => ({
        scope: "ledger:read", audience: indicator, accessTokenTTL: 300,
        accessTokenFormat: indicator.endsWith("/opaque") ? "opaque" : "jwt", jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});

const refresh = [];
const client = await provider.Client.find("app");
for (let n = 0; n < Number(count); n += 1) {
  const grant = new provider.Grant({ accountId: "ada", clientId: "app" });
  grant.addOIDCScope("openid offline_access");
  grant.addResourceScope(resource, "ledger:read");
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    accountId: "ada", client, grantId, scope, resource, gty: "authorization_code", expiresWithSession: false,
    claims: {}, authTime: Math.floor(Date.now() / 1000), acr: "0", amr: ["pwd"], sessionUid: "s", sid: "s", rotations: 0,
    iiat: Math.floor(Date.now() / 1000),
  });
  refresh.push(await token.save());
}
provider.listen(Number(port), "127.0.0.1", () => console.log(JSON.stringify({ refresh })));
