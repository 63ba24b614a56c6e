//! Access tokens that a verifier refuses, grouped by what they attack. Where it matters whether the signature is good, it is:
//! a token that is refused for its header or its claims was signed with the key that the verifier trusts.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use futures_util::future::BoxFuture;
use lombard_token::{
    ClaimsError, Jwks, JwsError, KeySource, KeySourceError, SigningKey, TOKEN_BYTES_MAX, Verifier,
    VerifyError, verify_own_id_token,
};
use lombard_types::Timestamp;
use serde_json::{Value, json};

use super::{change, encode, sign_text};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://issuer.example/v1/ledger";

/// What is tried, with what, and why it is refused.
type Row = (String, String, VerifyError);
type Group = fn(&Attack) -> Vec<Row>;

struct Issuer(Jwks);

impl KeySource for Issuer {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// A platform with one key, and what its tokens look like.
struct Attack {
    key: SigningKey,
    foreign: SigningKey,
    verifier: Verifier,
    header: Value,
    claims: Value,
    good: String,
}

impl Attack {
    async fn new() -> Self {
        let key = SigningKey::generate().unwrap();
        let source = Issuer(Jwks { keys: vec![key.public_jwk().clone()] });
        let verifier = Verifier::new(ISSUER, AUDIENCE, Arc::new(source));
        verifier.refresh().await.unwrap();
        let now = now();
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": key.public_jwk().kid() });
        let claims = json!({
            "iss": ISSUER, "sub": "shop", "aud": AUDIENCE, "client_id": "shop", "scope": "ledger:read",
            "jti": "1", "iat": now, "exp": now + 60,
        });
        let good = sign_text(&key, &header.to_string(), &claims.to_string());
        verifier.verify(&good).unwrap();
        let foreign = SigningKey::generate().unwrap();
        Self { key, foreign, verifier, header, claims, good }
    }

    fn parts(&self) -> (&str, &str, &str) {
        let mut parts = self.good.split('.');
        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
    }

    /// With a good signature and this header.
    fn of_header(&self, header: &str) -> String {
        sign_text(&self.key, header, &self.claims.to_string())
    }

    /// With a good signature and these claims.
    fn of_claims(&self, claims: &str) -> String {
        sign_text(&self.key, &self.header.to_string(), claims)
    }

    fn with_header(&self, name: &str, value: Value) -> String {
        self.of_header(&change(&self.header, name, value).to_string())
    }

    fn with(&self, name: &str, value: Value) -> String {
        self.of_claims(&change(&self.claims, name, value).to_string())
    }

    /// Rows that all are refused for the same reason.
    fn all(
        error: JwsError,
        group: &str,
        tokens: impl IntoIterator<Item = (impl ToString, String)>,
    ) -> Vec<Row> {
        let row = |(what, token): (_, _)| -> Row {
            let what: &dyn ToString = &what;
            (format!("{group}: {}", what.to_string()), token, VerifyError::Jws(error))
        };
        tokens.into_iter().map(|(what, token)| row((what, token))).collect()
    }

    fn malformed(&self, name: &'static str, values: impl IntoIterator<Item = Value>) -> Vec<Row> {
        let error = || VerifyError::Claims(ClaimsError::Malformed(name));
        let row = |value: Value| (format!("{name} is {value}"), self.with(name, value), error());
        values.into_iter().map(row).collect()
    }
}

fn now() -> u64 {
    Timestamp::from_system_time(SystemTime::now()).unix_seconds()
}

/// Another character at this place.
fn flipped(text: &str, at: usize) -> String {
    let other = |character| if character == 'A' { 'B' } else { 'A' };
    let at_place = |(place, character)| if place == at { other(character) } else { character };
    text.chars().enumerate().map(at_place).collect()
}

/// The same bytes in a text that no encoder makes: the bits behind the last byte are set (RFC 4648 section 3.5).
fn with_bits_behind(part: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = part.chars().next_back().unwrap();
    let next = ALPHABET.chars().skip_while(|&character| character != last).nth(1).unwrap();
    format!("{}{next}", &part[..part.len() - 1])
}

/// RFC 7515 section 7.1, RFC 7516, RFC 7797: other forms, and what a lenient reader would put up with.
fn forms(attack: &Attack) -> Vec<Row> {
    let good = &attack.good;
    let (head, body, signature) = attack.parts();
    let json_form = json!({ "payload": body, "protected": head, "signature": signature });
    let general =
        json!({ "payload": body, "signatures": [{ "protected": head, "signature": signature }] });
    let rows = [
        ("nothing", String::new()),
        ("one part", head.to_owned()),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts, as JWE", format!("{head}.{body}.{body}.{body}.{signature}")),
        ("points alone", "..".to_owned()),
        ("no header", format!(".{body}.{signature}")),
        ("detached claims", format!("{head}..{signature}")),
        ("flattened JSON form", json_form.to_string()),
        ("general JSON form", general.to_string()),
        ("two points in a row", good.replacen('.', "..", 1)),
        ("other separators", good.replace('.', ":")),
        ("points in URL form", good.replace('.', "%2E")),
        ("a point in front", format!(".{good}")),
        ("a point behind", format!("{good}.")),
    ];
    let mut rows = Attack::all(JwsError::Parts, "form", rows);
    let long = |length: usize| {
        let rest = length - head.len() - signature.len() - 2;
        format!("{head}.{}.{signature}", "A".repeat(rest))
    };
    let too_long = [
        ("one byte too long", long(TOKEN_BYTES_MAX + 1)),
        ("a megabyte", long(1 << 20)),
        ("a megabyte of points", ".".repeat(1 << 20)),
    ];
    rows.extend(Attack::all(JwsError::TooLong, "size", too_long));
    let fits = [("as long as may be", long(TOKEN_BYTES_MAX))];
    rows.extend(Attack::all(JwsError::Signature, "size", fits));
    rows
}

/// RFC 7515 section 2: base64url without padding, white space or other characters.
fn encodings(attack: &Attack) -> Vec<Row> {
    let good = &attack.good;
    let (head, body, signature) = attack.parts();
    let rows = [
        ("padding in the header", format!("{head}=.{body}.{signature}")),
        ("padding in the signature", format!("{head}.{body}.{signature}==")),
        ("space in front", format!(" {good}")),
        ("space behind", format!("{good} ")),
        ("line break behind", format!("{good}\n")),
        (
            "line break in the middle",
            format!("{head}.{body}.{}\n{}", &signature[..9], &signature[9..]),
        ),
        ("zero byte behind", format!("{good}\0")),
        ("scheme in front", format!("DPoP {good}")),
        ("standard alphabet, +", format!("{head}.{body}.+{}", &signature[1..])),
        ("standard alphabet, /", format!("{head}.{body}./{}", &signature[1..])),
        ("letters of other scripts", format!("{head}.{body}.\u{410}{}", &signature[1..])),
        ("bits behind the signature", format!("{head}.{body}.{}", with_bits_behind(signature))),
        ("a length that no bytes have", format!("{head}.{body}.{}", &signature[..85])),
        ("a disclosure behind, as SD-JWT", format!("{good}~WyJhIl0")),
        ("the header as it stands", format!("{}.{body}.{signature}", attack.header)),
        ("quotes around", format!("\"{good}\"")),
    ];
    Attack::all(JwsError::Encoding, "encoding", rows)
}

/// RFC 8725 sections 2.1, 3.1, 3.2: what is signed by nobody, by somebody else, or was something else when it was signed.
fn signatures(attack: &Attack) -> Vec<Row> {
    let (head, body, signature) = attack.parts();
    let of = |bytes: &[u8]| format!("{head}.{body}.{}", encode(bytes));
    let document = attack.key.to_pkcs8().unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &document).unwrap();
    let der = pair.sign(&SystemRandom::new(), format!("{head}.{body}").as_bytes()).unwrap();
    let group_order = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63,
        0x25, 0x51,
    ];
    let admin = change(&attack.claims, "sub", json!("admin")).to_string();
    let other_header = change(&attack.header, "typ", json!("AT+JWT")).to_string();
    let foreign =
        sign_text(&attack.foreign, &attack.header.to_string(), &attack.claims.to_string());
    let rows = [
        ("none", format!("{head}.{body}.")),
        ("one byte short", of(&[1; 63])),
        ("three bytes more", format!("{head}.{body}.{signature}AAAA")),
        ("longer than any", of(&[1; 513])),
        ("flipped", format!("{head}.{body}.{}", flipped(signature, 5))),
        ("of zeros", of(&[0; 64])),
        ("of the group's order", of(&[group_order, group_order].concat())),
        ("of ones", of(&[0xff; 64])),
        ("in ASN.1", of(der.as_ref())),
        ("claims flipped", format!("{head}.{}.{signature}", flipped(body, 20))),
        ("claims of somebody else", format!("{head}.{}.{signature}", encode(admin.as_bytes()))),
        ("claims made longer", format!("{head}.{body}AAAA.{signature}")),
        ("another header", format!("{}.{body}.{signature}", encode(other_header.as_bytes()))),
        ("of a foreign key", foreign),
    ];
    Attack::all(JwsError::Signature, "signature", rows)
}

/// RFC 8725 sections 2.1, 3.1: the key says the algorithm, whatever the header says.
fn algorithms(attack: &Attack) -> Vec<Row> {
    let said = [
        json!(null),
        json!(""),
        json!("none"),
        json!("None"),
        json!("nOnE"),
        json!("none "),
        json!("HS256"),
        json!("HS512"),
        json!("RS256"),
        json!("ES384"),
        json!("ES512"),
        json!("ES256K"),
        json!("es256"),
        json!("ES256 "),
        json!("ES256\u{0}"),
        json!("ML-DSA-65"),
        json!("RSA1_5"),
        json!("dir"),
        json!("A128KW"),
        json!("EdDSA"),
        json!("PS256"),
        json!(1),
        json!(true),
        json!(["ES256"]),
        json!({ "name": "ES256" }),
    ];
    let of = |alg: &Value| (alg.to_string(), attack.with_header("alg", alg.clone()));
    let mut rows = Attack::all(JwsError::Algorithm, "alg", said.iter().map(of));
    let (_, body, _) = attack.parts();
    let unsigned = |alg: &str| {
        let header = change(&attack.header, "alg", json!(alg)).to_string();
        format!("{}.{body}.", encode(header.as_bytes()))
    };
    // The public key taken for the secret of a MAC.
    let header = change(&attack.header, "alg", json!("HS256")).to_string();
    let text = format!("{}.{body}", encode(header.as_bytes()));
    let jwk = serde_json::to_vec(attack.key.public_jwk()).unwrap();
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &jwk), text.as_bytes());
    let confused = [
        ("none, unsigned", unsigned("none")),
        ("HS256, unsigned", unsigned("HS256")),
        ("HS256 with the public key", format!("{text}.{}", encode(mac.as_ref()))),
        ("no header members", attack.of_header("{}")),
    ];
    rows.extend(Attack::all(JwsError::Algorithm, "alg", confused));
    rows
}

/// RFC 8725 sections 2.8, 3.11: a token for another purpose.
fn types(attack: &Attack) -> Vec<Row> {
    let said = [
        json!(null),
        json!(""),
        json!("JWT"),
        json!("jwt"),
        json!("id+jwt"),
        json!("dpop+jwt"),
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!("oauth-authz-req+jwt"),
        json!("token-introspection+jwt"),
        json!("client-authentication+jwt"),
        json!("at+jwt;v=1"),
        json!(" at+jwt"),
        json!("at+jwt "),
        json!("at jwt"),
        json!("text/at+jwt"),
        json!("application/application/at+jwt"),
        json!("at+jwt\u{0}"),
        json!(1),
        json!(["at+jwt"]),
        json!({}),
    ];
    let of = |typ: &Value| (typ.to_string(), attack.with_header("typ", typ.clone()));
    Attack::all(JwsError::Type, "typ", said.iter().map(of))
}

/// RFC 8725 sections 2.5, 3.10: a key is looked up, never interpreted.
fn key_ids(attack: &Attack) -> Vec<Row> {
    let said = [
        json!(null),
        json!(""),
        json!(7),
        json!(true),
        json!([attack.key.public_jwk().kid()]),
        json!({}),
        json!("k".repeat(129)),
        json!("k".repeat(4000)),
    ];
    let of = |kid: &Value| (kid.to_string(), attack.with_header("kid", kid.clone()));
    let mut rows = Attack::all(JwsError::KeyId, "kid", said.iter().map(of));
    let kid = attack.key.public_jwk().kid();
    let unknown = [
        "x",
        "../../etc/passwd",
        "/dev/null",
        "' OR '1'='1",
        "https://evil.example/key",
        "\u{0}",
        &format!("{kid} "),
        &kid.to_ascii_uppercase(),
        &kid[..42],
        attack.foreign.public_jwk().kid(),
    ];
    rows.extend(unknown.map(|kid| {
        (format!("kid is {kid:?}"), attack.with_header("kid", json!(kid)), VerifyError::UnknownKey)
    }));
    let own = attack.foreign.sign("at+jwt", attack.claims.to_string().as_bytes()).unwrap();
    rows.push(("a foreign key under its own kid".to_owned(), own, VerifyError::UnknownKey));
    rows
}

/// RFC 8725 sections 2.4, 2.9, 3.10, RFC 7515 section 4.1, RFC 7797: keys that come along, places to fetch them from, and what
/// changes how the rest is read.
fn header_members(attack: &Attack) -> Vec<Row> {
    let jwk = |key: &SigningKey| serde_json::to_value(key.public_jwk()).unwrap();
    let said = [
        ("jwk", jwk(&attack.foreign)),
        ("jwk", jwk(&attack.key)),
        ("jwk", json!({})),
        ("jwk", json!(1)),
        ("jku", json!("https://evil.example/keys")),
        ("jku", json!(format!("{ISSUER}/oauth/jwks"))),
        ("jku", json!("file:///etc/passwd")),
        ("jku", json!("http://169.254.169.254/")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["AAAA"])),
        ("x5c", json!([])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!(["alg"])),
        ("crit", json!(["b64"])),
        ("crit", json!("exp")),
        ("crit", json!(["unknown"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A256GCM")),
        ("epk", json!({})),
        ("apu", json!("AAAA")),
        ("p2c", json!(2_000_000_000)),
        ("iv", json!("AAAA")),
        ("tag", json!("AAAA")),
        ("nonce", json!("n")),
        ("url", json!(AUDIENCE)),
        ("iss", json!(ISSUER)),
        ("exp", json!(9_999_999_999u64)),
        ("trust_chain", json!(["x"])),
        ("ALG", json!("none")),
        ("Alg", json!("none")),
        ("alg\u{0}", json!("none")),
        ("", json!(1)),
        ("__proto__", json!({ "alg": "none" })),
    ];
    let of = |(name, value): &(&str, Value)| {
        (format!("{name}, {value}"), attack.with_header(name, value.clone()))
    };
    Attack::all(JwsError::HeaderMember, "header", said.iter().map(of))
}

/// RFC 8725 section 3.7, RFC 7515 section 4, RFC 8259: two readers must not read one text as two headers.
fn header_json(attack: &Attack) -> Vec<Row> {
    let good = attack.header.to_string();
    let put = |members: &str| good.replacen('{', &format!("{{{members},"), 1);
    let deep = format!("{}1{}", "[".repeat(9), "]".repeat(9));
    let rows = [
        ("alg twice", put(r#""alg":"none""#)),
        ("alg twice, the same", put(r#""alg":"ES256""#)),
        ("alg twice, one escaped", put(r#""\u0061lg":"none""#)),
        ("typ twice", put(r#""typ":"JWT""#)),
        ("kid twice", put(r#""kid":"x""#)),
        ("crit twice", put(r#""crit":[],"crit":[]"#)),
        ("a member of a member twice", put(r#""x":{"a":1,"a":1}"#)),
        ("nested too deeply", put(&format!(r#""x":{deep}"#))),
        ("no JSON", "alg=ES256".to_owned()),
        ("a list", "[]".to_owned()),
        ("null", "null".to_owned()),
        ("a text", r#""ES256""#.to_owned()),
        ("a number", "256".to_owned()),
        ("something behind", format!("{good} x")),
        ("two objects", format!("{good}{good}")),
        ("a byte order mark", format!("\u{feff}{good}")),
        ("a comma too many", good.replace('}', ",}")),
        ("a comment", good.replace('}', "/**/}")),
        ("single quotes", good.replace('"', "'")),
        ("cut off", good[..good.len() - 1].to_owned()),
        ("a control character", put("\"x\":\"\u{1}\"")),
        ("a lone surrogate", put(r#""x":"\ud800""#)),
        ("NaN", put(r#""x":NaN"#)),
    ];
    let of = |(what, header): (&'static str, String)| (what, attack.of_header(&header));
    Attack::all(JwsError::Header, "header", rows.map(of))
}

/// The same of the claims (RFC 7519 section 4), which are read only where the signature was good.
fn claims_json(attack: &Attack) -> Vec<Row> {
    let good = attack.claims.to_string();
    let put = |members: &str| good.replacen('{', &format!("{{{members},"), 1);
    let deep = format!("{}1{}", "[".repeat(9), "]".repeat(9));
    let rows = [
        ("sub twice", put(r#""sub":"admin""#)),
        ("sub twice, one escaped", put(r#""\u0073ub":"admin""#)),
        ("exp twice", put(r#""exp":9999999999"#)),
        ("scope twice", put(r#""scope":"admin""#)),
        ("a member of cnf twice", put(r#""cnf":{"jkt":"a","jkt":"b"}"#)),
        ("a member of act twice", put(r#""act":{"sub":"a","sub":"b"}"#)),
        ("a member in a list twice", put(r#""x":[{"a":1,"a":2}]"#)),
        ("nested too deeply", put(&format!(r#""x":{deep}"#))),
        ("nested very deeply", put(&format!(r#""x":{}"#, "[".repeat(3000)))),
        ("no JSON", "x".to_owned()),
        ("a list", "[]".to_owned()),
        ("null", "null".to_owned()),
        ("a token within", format!("\"{}\"", attack.good)),
        ("a number", "1".to_owned()),
        ("something behind", format!("{good}x")),
        ("two objects", format!("{good}{good}")),
        ("a byte order mark", format!("\u{feff}{good}")),
        ("a comma too many", good.replace('}', ",}")),
        ("cut off", good[..good.len() - 1].to_owned()),
        ("a zero byte", "\0".to_owned()),
        ("a number beyond all", put(r#""x":1e999"#)),
        ("a number with zeros in front", put(r#""x":007"#)),
        ("hexadecimal digits", put(r#""x":0x7f"#)),
        ("a lone surrogate", put(r#""x":"\udfff""#)),
    ];
    let of = |(what, claims): (&'static str, String)| (what, attack.of_claims(&claims));
    let mut rows = Attack::all(JwsError::Claims, "claims", rows.map(of));
    let latin =
        super::sign_bytes(&attack.key, attack.header.to_string().as_bytes(), b"{\"x\":\"\xe9\"}");
    rows.extend(Attack::all(JwsError::Claims, "claims", [("Latin-1", latin)]));
    rows
}

/// RFC 7519 section 4.1, RFC 9068 section 2.2: claims that are missing, or of another type.
fn claim_types(attack: &Attack) -> Vec<Row> {
    let mut rows = Vec::new();
    let no_text =
        || [json!(null), json!(""), json!(1), json!(true), json!(["a"]), json!({ "a": 1 })];
    for name in ["iss", "sub", "client_id", "jti", "scope"] {
        rows.extend(attack.malformed(name, no_text()));
    }
    let no_time = || {
        [
            json!(null),
            json!("9999999999"),
            json!(-1),
            json!(9_999_999_999.5),
            json!(1e30),
            json!(true),
            json!([1]),
            json!({}),
        ]
    };
    for name in ["iat", "exp"] {
        rows.extend(attack.malformed(name, no_time()));
    }
    // That it may be left out does not mean that it may be anything.
    rows.extend(attack.malformed("nbf", no_time().into_iter().skip(1)));
    rows.extend(attack.malformed(
        "scope",
        ["ledger", "ledger:", ":read", "ledger:re ad,x", "ledger:*:a*b"].map(|scope| json!(scope)),
    ));
    rows
}

/// RFC 8725 sections 3.8, 3.9: made by somebody else, or for somebody else.
fn parties(attack: &Attack) -> Vec<Row> {
    let mut rows = attack.malformed(
        "aud",
        [
            json!(null),
            json!(1),
            json!(true),
            json!({}),
            json!([]),
            json!([1]),
            json!([[AUDIENCE]]),
            json!([AUDIENCE, "https://other.example"]),
            json!([AUDIENCE, AUDIENCE]),
            json!({ "0": AUDIENCE }),
        ],
    );
    let audiences = [
        "*",
        "https://issuer.example",
        "https://issuer.example/v1",
        "https://issuer.example/v1/ledger/",
        "https://issuer.example/v1/ledger?x",
        "https://issuer.example/v1/Ledger",
        "HTTPS://issuer.example/v1/ledger",
        "https://issuer.example:443/v1/ledger",
        "https://user@issuer.example/v1/ledger",
        "https://issuer.example/v1/ledger https://other.example",
        "https://issuer.example/v1/%6cedger",
        "ledger",
        " https://issuer.example/v1/ledger",
    ];
    rows.extend(audiences.map(|audience| {
        let error = ClaimsError::Audience { audience: audience.into() };
        (
            format!("aud is {audience}"),
            attack.with("aud", json!(audience)),
            VerifyError::Claims(error),
        )
    }));
    let issuers = [
        "https://evil.example",
        "https://issuer.example/",
        "https://issuer.example.evil.example",
        "http://issuer.example",
        "https://ISSUER.example",
        "https://issuer.example:443",
        "issuer.example",
        "https://issuer.example#",
    ];
    rows.extend(issuers.map(|issuer| {
        let error = VerifyError::Claims(ClaimsError::Issuer);
        (format!("iss is {issuer}"), attack.with("iss", json!(issuer)), error)
    }));
    rows
}

/// RFC 7519 sections 4.1.4 to 4.1.6.
fn times(attack: &Attack) -> Vec<Row> {
    let at = Timestamp::from_unix_seconds;
    let mut rows: Vec<Row> = [0, 1000, now() - 31]
        .map(|exp| {
            let error = VerifyError::Claims(ClaimsError::Expired(at(exp)));
            (format!("exp is {exp}"), attack.with("exp", json!(exp)), error)
        })
        .into();
    for name in ["iat", "nbf"] {
        rows.extend([now() + 300, 9_000_000_000].map(|time| {
            let error = VerifyError::Claims(ClaimsError::NotYetValid(at(time)));
            (format!("{name} is {time}"), attack.with(name, json!(time)), error)
        }));
    }
    rows
}

/// RFC 9396, RFC 7800, RFC 8693 section 4.1, and the claims of persons' grants: what narrows a token must not be passed over.
fn narrowing(attack: &Attack) -> Vec<Row> {
    let thumbprint = attack.foreign.public_jwk().thumbprint();
    let payment = json!({
        "type": "payment", "amount": "1", "asset": "EUR", "debtor_account": "a", "creditor_account": "b", "uses": 1,
    });
    let mut rows = attack.malformed(
        "authorization_details",
        [
            json!(1),
            json!("x"),
            json!({}),
            json!([]),
            json!([1]),
            json!([{}]),
            json!([{ "type": 1 }]),
            json!([payment]),
            json!(vec![json!({ "type": "a" }); 9]),
        ],
    );
    rows.extend(attack.malformed(
        "cnf",
        [
            json!("x"),
            json!([]),
            json!({}),
            json!({ "jkt": 1 }),
            json!({ "jkt": "short" }),
            json!({ "jkt": format!("{thumbprint}A") }),
            json!({ "jwk": attack.foreign.public_jwk() }),
            json!({ "kid": "x" }),
            json!({ "jwe": "x" }),
            json!({ "x5t#S256": "short" }),
            json!({ "x5t#S256": 1 }),
            json!({ "x5t": thumbprint }),
            json!({ "jku": "https://evil.example" }),
            json!({ "jkt": thumbprint, "x5t#S256": thumbprint }),
            json!({ "jkt": thumbprint, "jwk": {} }),
        ],
    ));
    let nested = |inner: Value| json!({ "sub": "till", "act": inner });
    rows.extend(attack.malformed(
        "act",
        [
            json!("till"),
            json!([]),
            json!({}),
            json!({ "sub": "" }),
            json!({ "sub": 1 }),
            nested(json!({})),
            nested(json!("app")),
            nested(nested(json!({ "sub": [] }))),
        ],
    ));
    let grant = |name: &'static str, value: Value| {
        let whole = json!({ "gid": "g1", "sid": "s1", "auth_time": 7, "acr": "a" });
        let mut claims = attack.claims.clone();
        let members = change(&whole, name, value.clone());
        claims.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let token = attack.of_claims(&claims.to_string());
        (format!("{name} is {value}"), token, VerifyError::Claims(ClaimsError::Malformed(name)))
    };
    rows.extend([
        grant("gid", json!(1)),
        grant("gid", json!("")),
        grant("sid", json!(1)),
        grant("sid", json!("")),
        grant("auth_time", json!(null)),
        grant("auth_time", json!("7")),
        grant("auth_time", json!(-7)),
        grant("acr", json!(null)),
        grant("acr", json!(1)),
        grant("acr", json!([])),
    ]);
    rows
}

#[tokio::test]
async fn access_tokens() {
    let attack = Attack::new().await;
    let groups: [(Group, usize); 13] = [
        (forms, 19),
        (encodings, 16),
        (signatures, 14),
        (algorithms, 29),
        (types, 21),
        (key_ids, 19),
        (header_members, 39),
        (header_json, 23),
        (claims_json, 25),
        (claim_types, 58),
        (parties, 31),
        (times, 7),
        (narrowing, 42),
    ];
    let mut tried = BTreeSet::new();
    for (group, count) in groups {
        let rows = group(&attack);
        assert_eq!(rows.len(), count);
        for (what, token, expected) in rows {
            assert_eq!(attack.verifier.verify(&token).map(drop), Err(expected), "{what}: {token}");
            assert!(tried.insert(token), "{what} is tried twice");
        }
    }
    // After all of that, what is good still is.
    attack.verifier.verify(&attack.good).unwrap();
    let dated = attack.with("nbf", json!(now()));
    attack.verifier.verify(&dated).unwrap();
}

/// An ID token comes back as a hint only. Nothing that was signed for another purpose is taken for one.
#[tokio::test]
async fn id_tokens() {
    let attack = Attack::new().await;
    let id_token = |typ: &str| attack.key.sign(typ, attack.claims.to_string().as_bytes()).unwrap();
    verify_own_id_token(&id_token("JWT"), attack.key.public_jwk()).unwrap();
    let foreign = attack.foreign.sign("JWT", b"{}").unwrap();
    let header = change(&attack.header, "typ", json!("JWT"));
    let forged = sign_text(&attack.foreign, &header.to_string(), "{}");
    let table = [
        (attack.good.clone(), JwsError::Type),
        (id_token("logout+jwt"), JwsError::Type),
        (id_token("dpop+jwt"), JwsError::Type),
        (attack.of_header(&change(&header, "typ", json!(null)).to_string()), JwsError::Type),
        (attack.of_header(&change(&header, "kid", json!(null)).to_string()), JwsError::KeyId),
        (attack.of_header(&change(&header, "alg", json!("none")).to_string()), JwsError::Algorithm),
        (attack.of_header(&change(&header, "crit", json!([])).to_string()), JwsError::HeaderMember),
        (foreign, JwsError::KeyId),
        (forged, JwsError::Signature),
    ];
    for (token, expected) in table {
        assert_eq!(verify_own_id_token(&token, attack.key.public_jwk()), Err(expected), "{token}");
    }
}
