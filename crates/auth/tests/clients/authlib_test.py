"""PyPI `Authlib`, unmodified, against the real program: LOMBARD_URL, a client's id and secret, a person's password."""
import os
import re
import urllib.parse

import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from joserfc import jwk, jwt

ISSUER, PASSWORD = os.environ["LOMBARD_URL"], os.environ["PASSWORD"]
CLIENT = os.environ["LOMBARD_CLIENT_ID"], os.environ["LOMBARD_CLIENT_SECRET"]
REDIRECT_URI = "https://till.example/done?tenant=7"
# What is tried here is on loopback, where there is nobody to listen.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"


def browse(url):
    """Logs in and allows, without scripts; the URL at the client that it ends at."""
    browser = requests.Session()
    answer = browser.get(url, allow_redirects=False)
    for _ in range(12):
        if answer.status_code == 303:
            to = urllib.parse.urljoin(answer.url, answer.headers["location"])
            if not to.startswith(ISSUER):
                return to
            answer = browser.get(to, allow_redirects=False)
            continue
        form = re.search(r'<form id="(login|consent)" method="post" action="([a-z]+)">', answer.text)
        assert form, (answer.status_code, answer.text)
        fields = dict(re.findall(r'type="hidden" name="([a-z]+)" value="([^"]*)"', answer.text))
        fields |= {"username": "ada", "password": PASSWORD} if form[1] == "login" else {"decision": "allow"}
        answer = browser.post(urllib.parse.urljoin(answer.url, form[2]), fields, allow_redirects=False)
    raise AssertionError("no end")


metadata = requests.get(f"{ISSUER}/.well-known/openid-configuration").json()
assert metadata["issuer"] == ISSUER
session = OAuth2Session(*CLIENT, redirect_uri=REDIRECT_URI, code_challenge_method="S256",
                        scope="openid profile offline_access ledger:read")
verifier = "v" * 64
url, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, nonce="n1")
answer = browse(url)
token = session.fetch_token(metadata["token_endpoint"], authorization_response=answer, code_verifier=verifier, state=state)
keys = jwk.KeySet.import_key_set(requests.get(metadata["jwks_uri"]).json())
claims = jwt.decode(token["id_token"], keys, algorithms=["ES256"]).claims
jwt.JWTClaimsRegistry(iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": CLIENT[0]},
                      nonce={"essential": True, "value": "n1"}).validate(claims)
access = jwt.decode(token["access_token"], keys, algorithms=["ES256"])
assert access.header["typ"] == "at+jwt" and access.claims["sub"] == claims["sub"]
person = session.get(metadata["userinfo_endpoint"]).json()
assert person == {"sub": claims["sub"], "name": "Ada Lovelace", "preferred_username": "ada"}, person
first = token["refresh_token"]
second = session.refresh_token(metadata["token_endpoint"], refresh_token=first)["refresh_token"]
assert second != first
assert session.introspect_token(metadata["introspection_endpoint"], token=second).json()["active"]
assert session.revoke_token(metadata["revocation_endpoint"], token=second).status_code == 200
try:
    session.refresh_token(metadata["token_endpoint"], refresh_token=second)
    raise AssertionError("a revoked token was taken")
except OAuthError as error:
    assert error.error == "invalid_grant", error
print("authlib: fine")
