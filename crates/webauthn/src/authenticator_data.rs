//! What the authenticator says of itself and its user (section 6.1).
//!
//! ```text
//!  SHA-256 of the relying party's id, 32 bytes | flags u8 | sign count u32, big endian |
//!  with the flag AT: AAGUID, 16 bytes | length of the credential's id u16, big endian | the id | its COSE key |
//!  with the flag ED: extensions, a CBOR map
//! ```

use crate::{CREDENTIAL_ID_BYTES_MAX, CredentialKey, Refusal, cbor::Reader};

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

/// All of it, read.
pub(crate) struct AuthenticatorData<'a> {
    pub(crate) sign_count: u32,
    pub(crate) is_backed_up: bool,
    /// The new credential, where one was made.
    pub(crate) credential: Option<(&'a [u8], CredentialKey)>,
}

impl<'a> AuthenticatorData<'a> {
    /// Reads it, and checks that it is for this relying party and that the user was verified.
    pub(crate) fn read(bytes: &'a [u8], id_sha256: &[u8; 32]) -> Result<Self, Refusal> {
        let malformed = Refusal::Malformed;
        let (party, rest) = bytes.split_first_chunk::<32>().ok_or(malformed)?;
        let (&[flags], rest) = rest.split_first_chunk::<1>().ok_or(malformed)?;
        let (sign_count, rest) = rest.split_first_chunk::<4>().ok_or(malformed)?;
        if party != id_sha256 {
            return Err(Refusal::OtherParty);
        }
        if flags & USER_PRESENT == 0 || flags & USER_VERIFIED == 0 {
            return Err(Refusal::UserNotVerified);
        }
        // Section 6.1.3: what cannot be backed up is not backed up.
        if flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0 {
            return Err(malformed);
        }
        let mut reader = Reader(rest);
        let credential = match flags & ATTESTED {
            0 => None,
            _ => Some(Self::credential(&mut reader)?),
        };
        if flags & EXTENSIONS != 0 {
            // None was asked for. What is there must be a map, and says nothing here.
            reader.clone().map().map_err(|_| malformed)?;
            reader.skip().map_err(|_| malformed)?;
        }
        reader.end().map_err(|_| malformed)?;
        let sign_count = u32::from_be_bytes(*sign_count);
        Ok(Self { sign_count, is_backed_up: flags & BACKED_UP != 0, credential })
    }

    fn credential(reader: &mut Reader<'a>) -> Result<(&'a [u8], CredentialKey), Refusal> {
        let malformed = Refusal::Malformed;
        let (_aaguid, rest) = reader.0.split_first_chunk::<16>().ok_or(malformed)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || length > CREDENTIAL_ID_BYTES_MAX {
            return Err(malformed);
        }
        let (id, rest) = rest.split_at_checked(length).ok_or(malformed)?;
        reader.0 = rest;
        let key = CredentialKey::read(reader).map_err(|_| Refusal::OtherKey)?;
        Ok((id, key))
    }
}
