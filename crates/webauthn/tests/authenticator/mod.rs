//! An authenticator and the browser before it, as far as a relying party sees them. What it says can be bent.

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

pub(crate) const PRESENT: u8 = 0x01;
pub(crate) const VERIFIED: u8 = 0x04;

enum Keys {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// One passkey, on one device.
pub(crate) struct Authenticator {
    keys: Keys,
    pub(crate) id: Vec<u8>,
    pub(crate) party: String,
    pub(crate) origin: String,
    pub(crate) flags: u8,
    pub(crate) sign_count: u32,
}

/// What a browser brings of a passkey that was used.
pub(crate) struct Said {
    pub(crate) client_data: Vec<u8>,
    pub(crate) authenticator_data: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn head(kind: u8, number: usize) -> Vec<u8> {
    let kind = kind << 5;
    match u16::try_from(number).unwrap() {
        number @ 0..=23 => vec![kind | u8::try_from(number).unwrap()],
        number @ 24..=255 => vec![kind | 24, u8::try_from(number).unwrap()],
        number => [&[kind | 25][..], &number.to_be_bytes()].concat(),
    }
}

pub(crate) fn bytes(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len()), bytes.to_vec()].concat()
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [head(3, text.len()), text.as_bytes().to_vec()].concat()
}

/// `{"fmt": "none", "attStmt": {}, "authData": ...}`.
pub(crate) fn attestation(data: &[u8]) -> Vec<u8> {
    [
        vec![0xa3],
        text("fmt"),
        text("none"),
        text("attStmt"),
        vec![0xa0],
        text("authData"),
        bytes(data),
    ]
    .concat()
}

impl Authenticator {
    fn new(keys: Keys, origin: &str) -> Self {
        let party = origin.split_once("://").unwrap().1.split(':').next().unwrap().to_owned();
        let (id, flags) = (sha256(origin.as_bytes()), PRESENT | VERIFIED);
        Self { keys, id, party, origin: origin.to_owned(), flags, sign_count: 0 }
    }

    /// With a key of P-256.
    pub(crate) fn p256(origin: &str) -> Self {
        let keys = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        Self::new(Keys::P256(keys), origin)
    }

    /// With a key of Ed25519.
    pub(crate) fn ed25519(origin: &str) -> Self {
        Self::new(Keys::Ed25519(Ed25519KeyPair::generate().unwrap()), origin)
    }

    /// The same under another id.
    pub(crate) fn with_id(self, id: Vec<u8>) -> Self {
        Self { id, ..self }
    }

    /// In the canonical order of CTAP2.
    pub(crate) fn cose_key(&self) -> Vec<u8> {
        match &self.keys {
            Keys::P256(keys) => {
                let point = keys.public_key().as_ref();
                let head = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21];
                [head, bytes(&point[1..33]), vec![0x22], bytes(&point[33..])].concat()
            }
            Keys::Ed25519(keys) => {
                let head = vec![0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21];
                [head, bytes(keys.public_key().as_ref())].concat()
            }
        }
    }

    pub(crate) fn client_data(&self, kind: &str, challenge: &[u8]) -> Vec<u8> {
        let (challenge, origin) = (URL_SAFE_NO_PAD.encode(challenge), &self.origin);
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#)
            .into_bytes()
    }

    pub(crate) fn authenticator_data(&self, flags: u8, rest: &[u8]) -> Vec<u8> {
        let count = self.sign_count.to_be_bytes();
        [&sha256(self.party.as_bytes())[..], &[self.flags | flags], &count, rest].concat()
    }

    /// The data of a new credential.
    pub(crate) fn new_data(&self) -> Vec<u8> {
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let rest = [&[0; 16][..], &length, &self.id, &self.cose_key()].concat();
        self.authenticator_data(0x40, &rest)
    }

    /// `clientDataJSON` and `attestationObject`.
    pub(crate) fn make(&self, challenge: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (self.client_data("webauthn.create", challenge), attestation(&self.new_data()))
    }

    pub(crate) fn sign(&self, client_data: Vec<u8>, authenticator_data: Vec<u8>) -> Said {
        let message = [&authenticator_data[..], &sha256(&client_data)].concat();
        let signature = match &self.keys {
            Keys::P256(keys) => {
                keys.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec()
            }
            Keys::Ed25519(keys) => keys.sign(&message).as_ref().to_vec(),
        };
        Said { client_data, authenticator_data, signature }
    }

    /// Uses the passkey.
    pub(crate) fn answer(&self, challenge: &[u8]) -> Said {
        self.sign(self.client_data("webauthn.get", challenge), self.authenticator_data(0, &[]))
    }
}
