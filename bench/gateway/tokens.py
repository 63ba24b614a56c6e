"""Access tokens of an issuer of the bench's own, and its keys in the forms that the contenders read."""

import base64
import json
import os
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://issuer.bench"
AUDIENCE = "https://orders.bench"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())

    def pem(self):
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return self.key.public_key().public_bytes(*form).decode()

    def jwks(self):
        numbers = self.key.public_key().public_numbers()
        point = {name: encode(number.to_bytes(32, "big")) for name, number in (("x", numbers.x), ("y", numbers.y))}
        return json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench", **point}]})

    def token(self, number):
        """A token of one of 50 clients, as RFC 9068 has it; no two are the same."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": f"client-{number % 50}",
            "client_id": f"client-{number % 50}",
            "scope": "orders:read",
            "jti": os.urandom(16).hex(),
            "iat": now,
            "exp": now + 3600,
        }
        header = {"alg": "ES256", "typ": "at+jwt", "kid": "bench"}
        signed = ".".join(encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def tokens(self, count):
        return [self.token(number) for number in range(count)]
