//! Both ceremonies with an authenticator of our own: what is good is taken, and everything bent is refused for its reason.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

mod authenticator;

use authenticator::{Authenticator, PRESENT, Said, VERIFIED, attestation, bytes, text};
use lombard_webauthn::{Assertion, CredentialKey, Refusal, RelyingParty, Used};
use proptest::prelude::*;

const ORIGIN: &str = "https://bank.example";
const CHALLENGE: [u8; 32] = [7; 32];

fn party() -> RelyingParty {
    RelyingParty::of_origin(ORIGIN).unwrap()
}

fn both() -> [Authenticator; 2] {
    [Authenticator::p256(ORIGIN), Authenticator::ed25519(ORIGIN)]
}

fn used(key: &CredentialKey, said: &Said) -> Result<Used, Refusal> {
    let Said { client_data, authenticator_data, signature } = said;
    party().authenticate(&CHALLENGE, key, Assertion { client_data, authenticator_data, signature })
}

fn key_of(passkey: &Authenticator) -> CredentialKey {
    let (client_data, object) = passkey.make(&CHALLENGE);
    party().register(&CHALLENGE, &client_data, &object).unwrap().key
}

#[test]
fn a_passkey_is_made_and_used() {
    for (mut passkey, algorithm) in both().into_iter().zip(["ES256", "EdDSA"]) {
        let (client_data, object) = passkey.make(&CHALLENGE);
        let made = party().register(&CHALLENGE, &client_data, &object).unwrap();
        assert_eq!((&*made.id, made.sign_count), (&passkey.id[..], 0));
        assert_eq!(made.key.algorithm(), algorithm);
        let kept = made.key.to_bytes();
        assert_eq!(CredentialKey::from_bytes(&kept), Ok(made.key));
        assert!(CredentialKey::from_bytes(&kept[1..]).is_err());
        passkey.sign_count = 9;
        // Eligible for a backup, and backed up.
        passkey.flags |= 0x18;
        let expected = Used { sign_count: 9, is_backed_up: true };
        assert_eq!(used(&made.key, &passkey.answer(&CHALLENGE)), Ok(expected));
    }
}

#[test]
fn origins_that_can_have_passkeys() {
    for (origin, id) in [
        ("https://bank.example", Some("bank.example")),
        ("https://bank.example:8443", Some("bank.example")),
        ("http://localhost:8080", Some("localhost")),
        ("http://bank.example", None),
        ("http://127.0.0.1:8080", None),
        ("https://127.0.0.1", None),
        ("https://[::1]", None),
        ("https://bank.example/path", None),
        ("https://Bank.example", None),
        ("bank.example", None),
        ("https://", None),
    ] {
        let party = RelyingParty::of_origin(origin);
        assert_eq!(party.as_ref().map(RelyingParty::id), id, "{origin}");
    }
}

#[test]
fn what_is_not_for_this_page_is_refused() {
    for (bend, expected) in [
        (r#"{"type":"webauthn.get""#, Refusal::OtherCeremony),
        (r#""challenge":"AAAA""#, Refusal::OtherChallenge),
        (r#""challenge":"""#, Refusal::OtherChallenge),
        (r#""origin":"https://bank.example.evil""#, Refusal::OtherOrigin),
        (r#""origin":"https://bank.example:444""#, Refusal::OtherOrigin),
        (r#""crossOrigin":true"#, Refusal::OtherOrigin),
    ] {
        let passkey = Authenticator::p256(ORIGIN);
        let (client_data, object) = passkey.make(&CHALLENGE);
        let client_data = String::from_utf8(client_data).unwrap();
        let name = bend.trim_start_matches('{').split(':').next().unwrap();
        let begin = client_data.find(name).unwrap();
        let rest = &client_data[begin..];
        let end = begin + rest.find(",\"").unwrap_or(rest.len() - 1);
        let bent = format!(
            "{}{}{}",
            &client_data[..begin],
            bend.trim_start_matches('{'),
            &client_data[end..]
        );
        let refused = party().register(&CHALLENGE, bent.as_bytes(), &object);
        assert_eq!(refused, Err(expected), "{bent}");
    }
    let passkey = Authenticator::p256(ORIGIN);
    let (_, object) = passkey.make(&CHALLENGE);
    for client_data in [
        "",
        "[]",
        r#"{"type":"webauthn.create"}"#,
        r#"{"type":"webauthn.create","type":"webauthn.create","challenge":"","origin":""}"#,
        &format!("{{\"type\":\"{}\"}}", "x".repeat(5000)),
    ] {
        let refused = party().register(&CHALLENGE, client_data.as_bytes(), &object);
        assert_eq!(refused, Err(Refusal::Malformed), "{client_data}");
    }
}

#[test]
fn an_authenticator_must_have_verified_its_user_for_this_party() {
    for (flags, other_party, expected) in [
        (PRESENT, None, Refusal::UserNotVerified),
        (VERIFIED, None, Refusal::UserNotVerified),
        (0, None, Refusal::UserNotVerified),
        (PRESENT | VERIFIED, Some("bank.example.evil"), Refusal::OtherParty),
        // Backed up, and not eligible for it.
        (PRESENT | VERIFIED | 0x10, None, Refusal::Malformed),
    ] {
        let mut passkey = Authenticator::p256(ORIGIN);
        let key = key_of(&passkey);
        passkey.flags = flags;
        passkey.party = other_party.unwrap_or("bank.example").to_owned();
        assert_eq!(used(&key, &passkey.answer(&CHALLENGE)), Err(expected), "{flags}");
        let (client_data, object) = passkey.make(&CHALLENGE);
        let refused = party().register(&CHALLENGE, &client_data, &object);
        assert_eq!(refused, Err(expected), "{flags}");
    }
}

#[test]
fn only_the_passkey_itself_signs() {
    let [one, other] = [Authenticator::p256(ORIGIN), Authenticator::p256(ORIGIN)];
    let ed25519 = Authenticator::ed25519(ORIGIN);
    let key = key_of(&one);
    assert!(used(&key, &one.answer(&CHALLENGE)).is_ok());
    for other in [&other, &ed25519] {
        assert_eq!(used(&key, &other.answer(&CHALLENGE)), Err(Refusal::Signature));
    }
    assert_eq!(used(&key_of(&ed25519), &one.answer(&CHALLENGE)), Err(Refusal::Signature));
    let mut said = one.answer(&CHALLENGE);
    said.authenticator_data[36] ^= 1;
    assert_eq!(used(&key, &said), Err(Refusal::Signature), "the count is signed");
    let replayed = one.answer(&[8; 32]);
    assert_eq!(used(&key, &replayed), Err(Refusal::OtherChallenge));
    let client_data = one.client_data("webauthn.create", &CHALLENGE);
    let made = one.sign(client_data, one.authenticator_data(0, &[]));
    assert_eq!(used(&key, &made), Err(Refusal::OtherCeremony));
    let client_data = one.client_data("webauthn.get", &CHALLENGE);
    let with_credential = one.sign(client_data, one.new_data());
    assert_eq!(used(&key, &with_credential), Err(Refusal::Malformed));
}

#[test]
fn attestation_objects_are_read_strictly() {
    let passkey = Authenticator::p256(ORIGIN);
    let (client_data, object) = passkey.make(&CHALLENGE);
    let data = passkey.new_data();
    let register = |object: &[u8]| party().register(&CHALLENGE, &client_data, object).map(drop);
    assert_eq!(register(&object), Ok(()));
    let none = [text("fmt"), text("none"), text("attStmt"), vec![0xa0]].concat();
    let packed = [text("fmt"), text("packed"), text("attStmt"), vec![0xa0]].concat();
    let statement =
        [text("fmt"), text("none"), text("attStmt"), vec![0xa1, 0x61, b'x', 0x00]].concat();
    let with = |count: u8, head: &[u8], tail: &[u8]| [&[0xa0 | count], head, tail].concat();
    let auth_data = [text("authData"), bytes(&data)].concat();
    for object in [
        with(3, &packed, &auth_data),
        with(3, &statement, &auth_data),
        with(2, &none, &[]),
        with(2, &none, &auth_data),
        with(4, &none, &[auth_data.clone(), auth_data.clone()].concat()),
        with(4, &none, &[auth_data.clone(), text("more"), vec![0]].concat()),
        [with(3, &none, &auth_data), vec![0]].concat(),
        // A length that is not told in advance, and one that is told in too many bytes.
        [vec![0xbf], none.clone(), auth_data.clone(), vec![0xff]].concat(),
        [vec![0xb8, 3], none.clone(), auth_data].concat(),
        attestation(&[&data[..], &[0]].concat()),
        attestation(&passkey.authenticator_data(0, &[])),
        vec![0; 5000],
        vec![],
    ] {
        assert_eq!(register(&object), Err(Refusal::Malformed), "{object:?}");
    }
    for length in 0..object.len() {
        assert_eq!(register(&object[..length]), Err(Refusal::Malformed), "{length}");
    }
}

#[test]
fn keys_are_of_two_kinds() {
    let (client_data, _) = Authenticator::p256(ORIGIN).make(&CHALLENGE);
    let register = |passkey: &Authenticator, key: &[u8]| {
        let length = u16::try_from(passkey.id.len()).unwrap().to_be_bytes();
        let rest = [&[0; 16][..], &length, &passkey.id, key].concat();
        let object = attestation(&passkey.authenticator_data(0x40, &rest));
        party().register(&CHALLENGE, &client_data, &object).map(drop)
    };
    for passkey in both() {
        let good = passkey.cose_key();
        assert_eq!(register(&passkey, &good), Ok(()));
        // Another kind, algorithm or curve; a member twice; a point that is none.
        for (at, to) in [(2, 3), (4, 0x28), (6, 7), (5, 0x03), (7, 0x22), (0, good[0] - 1)] {
            let mut bent = good.clone();
            bent[at] = to;
            assert!(register(&passkey, &bent).is_err(), "{at} {to}");
        }
    }
    let passkey = Authenticator::p256(ORIGIN);
    let mut nowhere = passkey.cose_key();
    *nowhere.last_mut().unwrap() ^= 1;
    assert_eq!(register(&passkey, &nowhere), Err(Refusal::OtherKey), "not on the curve");
    let endless = Authenticator::p256(ORIGIN).with_id(vec![1; 1024]);
    assert_eq!(register(&endless, &endless.cose_key()), Err(Refusal::Malformed));
    let nameless = Authenticator::p256(ORIGIN).with_id(vec![]);
    assert_eq!(register(&nameless, &nameless.cose_key()), Err(Refusal::Malformed));
}

proptest! {
    /// No change of what was said is taken, wherever it is; and nothing panics.
    #[test]
    fn nothing_bent_is_taken(at in any::<prop::sample::Index>(), to in any::<u8>(), which in 0..3) {
        let passkey = Authenticator::ed25519(ORIGIN);
        let key = key_of(&passkey);
        let mut said = passkey.answer(&CHALLENGE);
        let part = match which {
            0 => &mut said.client_data,
            1 => &mut said.authenticator_data,
            _ => &mut said.signature,
        };
        let at = at.index(part.len());
        prop_assume!(part[at] != to);
        part[at] = to;
        prop_assert!(used(&key, &said).is_err());
    }

    #[test]
    fn any_bytes_are_refused(client_data: Vec<u8>, object: Vec<u8>) {
        prop_assert!(party().register(&CHALLENGE, &client_data, &object).is_err());
        let good = Authenticator::p256(ORIGIN).client_data("webauthn.create", &CHALLENGE);
        prop_assert!(party().register(&CHALLENGE, &good, &object).is_err());
    }
}
