//! Signed checkpoints: what a log says of itself, in a form that others keep and compare.
//!
//! The text is that of C2SP [tlog-checkpoint](https://c2sp.org/tlog-checkpoint), signed as a
//! [signed note](https://c2sp.org/signed-note) with Ed25519:
//!
//! ```text
//! ledger.example.com/books/main           origin: which log
//! 20852163                                 size of the tree
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=      its root
//!
//! — ledger.example.com/books/main Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5...
//! ```
//!
//! A signature line holds the key's name and, in base64, the key's 4-byte id and the signature over all above the empty
//! line. Lines of other keys, such as witnesses', are kept out of the way: unknown keys are ignored, a known key whose
//! signature does not fit is an error.
//!
//! The parser is strict: one spelling of each checkpoint, so that what was signed is what was read.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    digest,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::merkle::TreeHash;

/// The name of the newest checkpoint beside a log's segments.
pub const CHECKPOINT_FILE: &str = "checkpoint";
/// The name of the key that verifies it, beside it.
pub const CHECKPOINT_KEY_FILE: &str = "checkpoint.vkey";

/// Of a whole note, at most.
const NOTE_BYTES_MAX: usize = 64 << 10;
/// Signatures of a note, at most: what a verifier can be made to do.
const SIGNATURES_MAX: usize = 64;
/// The note's word for Ed25519.
const ALGORITHM: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
const SIGNATURE_MARK: &str = "\u{2014} ";

/// How far a log had come, and what it held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a name that no other has, such as a URL without scheme.
    pub origin: String,
    /// How many records.
    pub size: u64,
    /// The root over them.
    pub root: TreeHash,
    /// Further lines, whose meaning is the origin's; none is empty.
    pub extensions: Vec<String>,
}

/// Why a text is not a checkpoint to rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Longer than any checkpoint.
    #[error("the note is over the limit of {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// Not UTF-8, or with control characters.
    #[error("the note is not plain text")]
    NotText,
    /// No empty line before the signatures.
    #[error("the note has no signatures")]
    NoSignatures,
    /// More signatures than a note may have.
    #[error("the note has over {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// A line of the signatures is not one.
    #[error("signature line {line} is malformed")]
    MalformedSignature {
        /// Counted from 1.
        line: usize,
    },
    /// The first line is empty or no name.
    #[error("the origin is malformed")]
    Origin,
    /// The second line is not a number without leading zeros.
    #[error("the size is malformed")]
    Size,
    /// The third line is not a hash in base64.
    #[error("the root hash is malformed")]
    Root,
    /// A further line is empty.
    #[error("an extension line is empty")]
    Extension,
    /// A signature under the trusted key's name and id does not fit.
    #[error("the signature does not fit")]
    WrongSignature,
    /// No signature is of the trusted key.
    #[error("no signature is of the trusted key")]
    UnknownKey,
}

/// Why a key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed checkpoint key")]
pub struct KeyError;

// === impl Checkpoint ===

impl Checkpoint {
    /// The text that is signed; ends with a newline.
    fn body(&self) -> Result<String, CheckpointError> {
        if !is_name(&self.origin, |_| false) {
            return Err(CheckpointError::Origin);
        }
        let root = BASE64_STANDARD.encode(self.root.as_bytes());
        let mut body = format!("{}\n{}\n{root}\n", self.origin, self.size);
        for line in &self.extensions {
            if line.is_empty() || !is_plain(line) {
                return Err(CheckpointError::Extension);
            }
            body.push_str(line);
            body.push('\n');
        }
        Ok(body)
    }

    /// The signed note. Refuses an origin or an extension that could not be read back.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CheckpointError> {
        let body = self.body()?;
        let mut signature = key.public.id().to_vec();
        signature.extend_from_slice(key.pair.sign(body.as_bytes()).as_ref());
        let signature = BASE64_STANDARD.encode(signature);
        let note = format!("{body}\n{SIGNATURE_MARK}{} {signature}\n", key.public.name);
        if note.len() > NOTE_BYTES_MAX { Err(CheckpointError::TooLong) } else { Ok(note) }
    }

    /// Reads a note and believes it iff the key signed it.
    pub fn verify(note: &[u8], key: &VerifyingKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let mut is_signed = false;
        for signature in &note.signatures {
            if signature.name == key.name && signature.key_id == key.id() {
                // A key of this name that signs something else is not a matter of taste.
                if !key.fits(note.body, &signature.bytes) {
                    return Err(CheckpointError::WrongSignature);
                }
                is_signed = true;
            }
        }
        if is_signed { Self::parse_body(note.body) } else { Err(CheckpointError::UnknownKey) }
    }

    /// Reads a note without believing it.
    pub fn parse_unverified(note: &[u8]) -> Result<Self, CheckpointError> {
        Self::parse_body(Note::parse(note)?.body)
    }

    fn parse_body(body: &str) -> Result<Self, CheckpointError> {
        let mut lines = body.strip_suffix('\n').unwrap_or(body).split('\n');
        let origin = lines
            .next()
            .filter(|origin| is_name(origin, |_| false))
            .ok_or(CheckpointError::Origin)?
            .to_owned();
        let size = lines.next().and_then(parse_size).ok_or(CheckpointError::Size)?;
        let root = lines
            .next()
            .and_then(|line| BASE64_STANDARD.decode(line).ok())
            .and_then(|bytes| <[u8; TreeHash::BYTES]>::try_from(bytes).ok())
            .map(TreeHash::new)
            .ok_or(CheckpointError::Root)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Extension);
        }
        Ok(Self { origin, size, root, extensions })
    }
}

struct Note<'a> {
    /// With the newline at its end.
    body: &'a str,
    signatures: Vec<Signature<'a>>,
}

struct Signature<'a> {
    name: &'a str,
    key_id: [u8; KEY_ID_BYTES],
    bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    fn parse(note: &'a [u8]) -> Result<Self, CheckpointError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(CheckpointError::TooLong);
        }
        let text = std::str::from_utf8(note).map_err(|_| CheckpointError::NotText)?;
        if !text.split('\n').all(is_plain) {
            return Err(CheckpointError::NotText);
        }
        // The last empty line: a body may have others as far as the note is concerned.
        let end = text.rfind("\n\n").ok_or(CheckpointError::NoSignatures)?;
        let (body, rest) = text.split_at_checked(end + 1).ok_or(CheckpointError::NoSignatures)?;
        let lines = rest
            .strip_prefix('\n')
            .and_then(|lines| lines.strip_suffix('\n'))
            .filter(|lines| !lines.is_empty())
            .ok_or(CheckpointError::NoSignatures)?;
        if lines.split('\n').count() > SIGNATURES_MAX {
            return Err(CheckpointError::TooManySignatures);
        }
        let signatures = (1..)
            .zip(lines.split('\n'))
            .map(|(line, text)| {
                Signature::parse(text).ok_or(CheckpointError::MalformedSignature { line })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { body, signatures })
    }
}

impl<'a> Signature<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        let bytes = BASE64_STANDARD.decode(encoded).ok()?;
        let (key_id, bytes) = bytes.split_first_chunk::<KEY_ID_BYTES>()?;
        let is_sound = is_key_name(name) && !bytes.is_empty();
        is_sound.then(|| Self { name, key_id: *key_id, bytes: bytes.to_vec() })
    }
}

/// Digits without a sign, without leading zeros.
fn parse_size(line: &str) -> Option<u64> {
    let is_decimal = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = line == "0" || !line.starts_with('0');
    (is_decimal && is_short).then(|| line.parse().ok()).flatten()
}

fn is_plain(line: &str) -> bool {
    !line.chars().any(|character| character.is_ascii_control())
}

fn is_name(name: &str, is_refused: impl Fn(char) -> bool) -> bool {
    !name.is_empty() && is_plain(name) && !name.chars().any(is_refused)
}

fn is_key_name(name: &str) -> bool {
    is_name(name, |character| character.is_whitespace() || character == '+')
}

// === impl VerifyingKey ===

/// The public half of a key, with its name: `name+id+key`, as signed notes write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    public: [u8; KEY_BYTES],
}

impl VerifyingKey {
    /// A key; its name is neither empty nor holds spaces or plus signs.
    pub fn new(name: &str, public: [u8; KEY_BYTES]) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError);
        }
        Ok(Self { name: name.to_owned(), public })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads `name+id+key`: the id in 8 hexadecimal digits, the key in base64.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError);
        };
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| KeyError)?;
        let Some((&ALGORITHM, public)) = bytes.split_first() else { return Err(KeyError) };
        let key = Self::new(name, public.try_into().map_err(|_| KeyError)?)?;
        if key.id_hex() == id { Ok(key) } else { Err(KeyError) }
    }

    fn id(&self) -> [u8; KEY_ID_BYTES] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.name.as_bytes());
        context.update(&[b'\n', ALGORITHM]);
        context.update(&self.public);
        let mut id = [0; KEY_ID_BYTES];
        id.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        id
    }

    fn id_hex(&self) -> String {
        self.id().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn fits(&self, body: &str, signature: &[u8]) -> bool {
        signature.len() == SIGNATURE_BYTES
            && UnparsedPublicKey::new(&ED25519, &self.public)
                .verify(body.as_bytes(), signature)
                .is_ok()
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ALGORITHM];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, self.id_hex(), BASE64_STANDARD.encode(key))
    }
}

// === impl SigningKey ===

/// A key that signs checkpoints.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: VerifyingKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The key that follows from 32 secret bytes (RFC 8032, section 5.1.5).
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError)?;
        Ok(Self { pair, public: VerifyingKey::new(name, public)? })
    }

    /// What verifies its signatures.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }
}

#[cfg(test)]
mod tests;
