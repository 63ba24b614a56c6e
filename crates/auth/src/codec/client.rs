//! A client's stored form.
//!
//! ```text
//!  v1  id text | name text | scope text | authentication | registered at u64 | registered by text
//!  v2  v1 | count of attributes u8 | attributes: kind u8, byte string
//!
//!  authentication  0, SHA-256 of the secret, 32 bytes  |  1, public JWK as JSON text
//!  attribute       1, types of authorization details: texts  (in the order of their kinds; one that is empty is left out)
//! ```

use std::collections::BTreeSet;

use lombard_auth_core::{Authentication, Client, ClientName};
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_token::PublicJwk;

use super::{parse, put_time, time};

const SECRET: u8 = 0;
const KEY: u8 = 1;
const DETAILS_TYPES: u8 = 1;

/// Writes the newest version.
pub(super) fn put(writer: &mut Writer<'_>, client: &Client) {
    writer.text(client.id.as_str());
    writer.text(client.name.as_str());
    writer.text(&client.scope.to_string());
    match &client.authentication {
        Authentication::Secret { sha256 } => {
            writer.put(&[SECRET]);
            writer.put(sha256);
        }
        Authentication::Key(key) => {
            writer.put(&[KEY]);
            writer.text(&serde_json::to_string(key).unwrap_or_default());
        }
    }
    put_time(writer, client.registered_at);
    writer.text(&client.registered_by);
    put_attributes(writer, client);
}

fn put_attributes(writer: &mut Writer<'_>, client: &Client) {
    let mut attributes: Vec<(u8, Vec<u8>)> = Vec::new();
    if !client.authorization_details_types.is_empty() {
        let types = client.authorization_details_types.iter().map(|name| name.as_str());
        attributes.push((DETAILS_TYPES, texts(types)));
    }
    writer.put(&[u8::try_from(attributes.len()).unwrap_or(u8::MAX)]);
    for (kind, value) in attributes {
        writer.put(&[kind]);
        writer.bytes(&value);
    }
}

fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer(&mut bytes);
    texts.for_each(|text| writer.text(text));
    bytes
}

pub(super) fn v1(reader: &mut Reader<'_>) -> Result<Client, DecodeError> {
    Ok(Client {
        id: parse(reader.text()?)?,
        name: ClientName::new(reader.text()?).map_err(|_| DecodeError("client name"))?,
        scope: parse(reader.text()?)?,
        authorization_details_types: BTreeSet::new(),
        authentication: match reader.byte()? {
            SECRET => Authentication::Secret { sha256: reader.array()? },
            KEY => {
                let key = PublicJwk::parse(reader.text()?.as_bytes());
                Authentication::Key(Box::new(key.map_err(|_| DecodeError("public key"))?))
            }
            _ => return Err(DecodeError("unknown kind of authentication")),
        },
        registered_at: time(reader)?,
        registered_by: reader.text()?.into(),
    })
}

pub(super) fn v2(reader: &mut Reader<'_>) -> Result<Client, DecodeError> {
    let mut client = v1(reader)?;
    for _ in 0..reader.byte()? {
        match reader.byte()? {
            DETAILS_TYPES => {
                let mut types = Reader(reader.bytes()?);
                while !types.0.is_empty() {
                    client.authorization_details_types.insert(parse(types.text()?)?);
                }
            }
            _ => return Err(DecodeError("unknown kind of attribute of a client")),
        }
    }
    Ok(client)
}
