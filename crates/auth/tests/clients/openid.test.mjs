// npm `openid-client`, unmodified, against the real program.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as client from "openid-client";
import { Browser } from "./browser.mjs";
import { Platform } from "./platform.mjs";

const PASSWORD = "correct horse battery";
const REDIRECT_URI = "https://till.example/done";
const SCOPE = "openid profile email offline_access ledger:read ledger:write";
const insecure = { execute: [client.allowInsecureRequests] };
let platform, issuer;

before(async () => {
  platform = await Platform.start();
  issuer = new URL(platform.url);
  await platform.make("users", {
    name: "ada", display_name: "Ada Lovelace", email: "ada@bank.example", password: PASSWORD,
    scope: "ledger:read ledger:write:customers/1/*",
  });
});
after(() => platform?.stop());

const register = (id, more) => platform.make("clients", {
  client_id: id, name: id, scope: SCOPE, redirect_uris: [REDIRECT_URI], profile: "oauth-2.1", authorization_details_types: ["payment"], ...more,
});

async function login(config, parameters, usePar) {
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const all = {
    redirect_uri: REDIRECT_URI, scope: SCOPE, state, nonce, code_challenge_method: "S256",
    code_challenge: await client.calculatePKCECodeChallenge(verifier), ...parameters,
  };
  const url = usePar ? await client.buildAuthorizationUrlWithPAR(config, all) : client.buildAuthorizationUrl(config, all);
  const answer = await new Browser().authorize(url, { username: "ada", password: PASSWORD });
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  return { answer, checks };
}

async function wholeLife(config, usePar) {
  const { answer, checks } = await login(config, {}, usePar);
  const tokens = await client.authorizationCodeGrant(config, answer, checks);
  assert.equal(tokens.scope, "openid profile email offline_access ledger:read ledger:write:customers/1/*");
  const { sub } = tokens.claims();
  const person = await client.fetchUserInfo(config, tokens.access_token, sub);
  assert.deepEqual([person.name, person.preferred_username, person.email], ["Ada Lovelace", "ada", "ada@bank.example"]);
  const next = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.notEqual(next.refresh_token, tokens.refresh_token);
  const again = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal(again.refresh_token, next.refresh_token, "a retry gets the same successor");
  if (config.clientMetadata().client_secret) {
    assert.equal((await client.tokenIntrospection(config, next.access_token)).active, true);
  }
  await client.tokenRevocation(config, next.refresh_token);
  await assert.rejects(client.refreshTokenGrant(config, next.refresh_token), { error: "invalid_grant" });
  // A code is good once.
  await assert.rejects(client.authorizationCodeGrant(config, answer, checks), { error: "invalid_grant" });
}

test("a client with a secret, with and without a pushed request", async () => {
  const { client_secret } = await register("basic");
  const config = await client.discovery(issuer, "basic", { client_secret }, client.ClientSecretBasic(client_secret), insecure);
  await wholeLife(config, false);
  await wholeLife(config, true);
});

test("a client with a key", async () => {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  await register("keyed", { jwk: { kty, crv, x, y } });
  const config = await client.discovery(issuer, "keyed", {}, client.PrivateKeyJwt(pair.privateKey), insecure);
  await wholeLife(config, true);
});

test("a public client", async () => {
  await register("public", { token_endpoint_auth_method: "none" });
  await wholeLife(await client.discovery(issuer, "public", {}, client.None(), insecure), false);
});

test("what the client must notice", async () => {
  const { client_secret } = await register("careful");
  const config = await client.discovery(issuer, "careful", client_secret, undefined, insecure);
  const { answer, checks } = await login(config, {}, false);
  const mixedUp = new URL(answer);
  mixedUp.searchParams.set("iss", "https://other.example");
  await assert.rejects(client.authorizationCodeGrant(config, mixedUp, checks), (error) => /iss/.test(error.cause?.message ?? error.message));
  const crossed = { ...checks, expectedState: "another" };
  await assert.rejects(client.authorizationCodeGrant(config, answer, crossed), (error) => /state/.test(error.cause?.message ?? error.message));
  const injected = { ...checks, pkceCodeVerifier: client.randomPKCECodeVerifier() };
  await assert.rejects(client.authorizationCodeGrant(config, answer, injected), { error: "invalid_grant" });
  await client.authorizationCodeGrant(config, answer, checks);
});

test("one payment, and a person who says no", async () => {
  const { client_secret } = await register("payer");
  const config = await client.discovery(issuer, "payer", client_secret, undefined, insecure);
  const payment = {
    type: "payment", amount: "12.50", asset: "EUR", debtor_account: "customers/1/wallet", creditor_account: "merchants/7",
  };
  const details = { scope: "openid", authorization_details: JSON.stringify([payment]) };
  const { answer, checks } = await login(config, details, true);
  const tokens = await client.authorizationCodeGrant(config, answer, checks);
  assert.deepEqual({ ...tokens.authorization_details[0], id: undefined }, { ...payment, uses: 1, id: undefined });

  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT_URI, scope: SCOPE, code_challenge_method: "S256",
    code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()),
  });
  const denied = await new Browser().authorize(url, { username: "ada", password: PASSWORD, decision: "deny" });
  assert.equal(denied.searchParams.get("error"), "access_denied");
  assert.equal(denied.searchParams.get("iss"), config.serverMetadata().issuer);
});
