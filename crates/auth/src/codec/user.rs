//! The stored form of persons and groups.
//!
//! ```text
//!  5 created       v1: a person
//!  6 changed       v1: id, 16 bytes | profile
//!  7 password set  v1: id, 16 bytes | PHC string
//!  8 disabled set  v1: id, 16 bytes | whether u8
//!  9 removed       v1: id, 16 bytes
//!  10 group put    v1: name text | scope text
//!  11 group removed v1: name text
//!
//!  person   id, 16 bytes | name text | profile | password: option of PHC string | is disabled u8 | created at u64 |
//!           created by text
//!  profile  display name: option of text | email: option of text | scope text | groups: byte string of texts
//!  option   0  |  1, the thing
//! ```

use std::ops::RangeInclusive;

use lombard_auth_core::{
    User, UserId,
    users::{Event, Profile},
};
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};

use super::{VERSION_1, flag, option, parse, put_option, put_time, time};

const CREATED: u8 = 5;
const CHANGED: u8 = 6;
const PASSWORD_SET: u8 = 7;
const DISABLED_SET: u8 = 8;
const REMOVED: u8 = 9;
const GROUP_PUT: u8 = 10;
const GROUP_REMOVED: u8 = 11;
pub(super) const KINDS: RangeInclusive<u8> = CREATED..=GROUP_REMOVED;

pub(super) fn put_event(writer: &mut Writer<'_>, event: &Event) {
    match event {
        Event::Created(user) => {
            writer.put(&[CREATED, VERSION_1]);
            put(writer, user);
        }
        Event::Changed { id, profile } => {
            writer.put(&[CHANGED, VERSION_1]);
            writer.put(&id.0);
            put_profile(writer, profile);
        }
        Event::PasswordSet { id, password } => {
            writer.put(&[PASSWORD_SET, VERSION_1]);
            writer.put(&id.0);
            writer.text(password.as_str());
        }
        Event::DisabledSet { id, is_disabled } => {
            writer.put(&[DISABLED_SET, VERSION_1]);
            writer.put(&id.0);
            writer.put(&[u8::from(*is_disabled)]);
        }
        Event::Removed { id } => {
            writer.put(&[REMOVED, VERSION_1]);
            writer.put(&id.0);
        }
        Event::GroupPut { name, scope } => {
            writer.put(&[GROUP_PUT, VERSION_1]);
            writer.text(name.as_str());
            writer.text(&scope.to_string());
        }
        Event::GroupRemoved { name } => {
            writer.put(&[GROUP_REMOVED, VERSION_1]);
            writer.text(name.as_str());
        }
    }
}

pub(super) fn event(kind: u8, reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    let id = |reader: &mut Reader<'_>| reader.array().map(UserId);
    Ok(match kind {
        CREATED => Event::Created(read(reader)?.into()),
        CHANGED => Event::Changed { id: id(reader)?, profile: profile(reader)? },
        PASSWORD_SET => Event::PasswordSet { id: id(reader)?, password: parse(reader.text()?)? },
        DISABLED_SET => Event::DisabledSet { id: id(reader)?, is_disabled: flag(reader)? },
        REMOVED => Event::Removed { id: id(reader)? },
        GROUP_PUT => {
            Event::GroupPut { name: parse(reader.text()?)?, scope: parse(reader.text()?)? }
        }
        GROUP_REMOVED => Event::GroupRemoved { name: parse(reader.text()?)? },
        _ => return Err(DecodeError("unknown kind of event about a person")),
    })
}

pub(super) fn put(writer: &mut Writer<'_>, user: &User) {
    writer.put(&user.id.0);
    writer.text(user.name.as_str());
    put_profile(writer, &Profile::of(user));
    put_option(writer, user.password.as_ref(), |writer, hash| writer.text(hash.as_str()));
    writer.put(&[u8::from(user.is_disabled)]);
    put_time(writer, user.created_at);
    writer.text(&user.created_by);
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<User, DecodeError> {
    let (id, name) = (UserId(reader.array()?), parse(reader.text()?)?);
    let Profile { display_name, email, scope, groups } = profile(reader)?;
    Ok(User {
        id,
        name,
        display_name,
        email,
        scope,
        groups,
        password: option(reader, |reader| parse(reader.text()?))?,
        is_disabled: flag(reader)?,
        created_at: time(reader)?,
        created_by: reader.text()?.into(),
    })
}

fn put_profile(writer: &mut Writer<'_>, profile: &Profile) {
    for text in [&profile.display_name, &profile.email] {
        put_option(writer, text.as_ref(), |writer, text| writer.text(text.as_str()));
    }
    writer.text(&profile.scope.to_string());
    let mut groups = Vec::new();
    profile.groups.iter().for_each(|name| Writer(&mut groups).text(name.as_str()));
    writer.bytes(&groups);
}

fn profile(reader: &mut Reader<'_>) -> Result<Profile, DecodeError> {
    let mut profile = Profile {
        display_name: option(reader, |reader| parse(reader.text()?))?,
        email: option(reader, |reader| parse(reader.text()?))?,
        scope: parse(reader.text()?)?,
        groups: Default::default(),
    };
    let mut groups = Reader(reader.bytes()?);
    while !groups.0.is_empty() {
        profile.groups.insert(parse(groups.text()?)?);
    }
    Ok(profile)
}

/// One event of each kind, for tests.
#[cfg(test)]
pub(super) fn samples() -> Vec<Event> {
    let id = UserId([3; 16]);
    let user = User {
        id,
        name: "ada".parse().unwrap(),
        display_name: Some("Ada Lovelace".parse().unwrap()),
        email: None,
        scope: "ledger:read".parse().unwrap(),
        groups: ["staff".parse().unwrap(), "board".parse().unwrap()].into(),
        password: Some("$argon2id$x".parse().unwrap()),
        is_disabled: true,
        created_at: lombard_types::Timestamp::from_unix_nanos(5),
        created_by: "admin".into(),
    };
    let profile = Profile::of(&user);
    let scope: lombard_token::ScopeSet = "registry:read".parse().unwrap();
    vec![
        Event::Created(user.into()),
        Event::Changed { id, profile },
        Event::PasswordSet { id, password: "$argon2id$y".parse().unwrap() },
        Event::DisabledSet { id, is_disabled: false },
        Event::Removed { id },
        Event::GroupPut { name: "staff".parse().unwrap(), scope },
        Event::GroupRemoved { name: "staff".parse().unwrap() },
    ]
}
