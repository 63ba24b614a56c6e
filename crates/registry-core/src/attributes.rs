//! What an instance says about itself beside its address.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU16,
    sync::Arc,
};

use crate::Check;

/// Version, zone, weight, tags, metadata and check of an instance: bounded, opaque to the rules. Cheap to clone: an event and
/// the instance that it makes share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Arc<Said>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    version: Option<Box<str>>,
    zone: Option<Box<str>>,
    weight: Weight,
    tags: BTreeSet<Box<str>>,
    metadata: BTreeMap<Box<str>, Box<str>>,
    check: Option<Check>,
}

/// The share of the traffic that an instance is to get, beside the others: 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(NonZeroU16);

impl Weight {
    /// This share; `None` for 0.
    pub fn new(share: u16) -> Option<Self> {
        NonZeroU16::new(share).map(Self)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl Default for Weight {
    /// The same as everybody's.
    fn default() -> Self {
        Self(NonZeroU16::MIN)
    }
}

/// How much of it an instance may say. What is stored may have been accepted under other limits than today's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeLimits {
    /// Tags of one instance.
    pub tags_max: usize,
    /// Bytes of all metadata keys and values of one instance together.
    pub metadata_bytes_max: usize,
}

impl AttributeLimits {
    /// The most that a record can hold.
    pub const MAX: Self = Self { tags_max: 1024, metadata_bytes_max: 64 << 10 };
}

/// Why attributes are refused. Checked in this order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributesError {
    /// The version is empty, too long or not of visible ASCII.
    #[error("a version is 1 to {} visible ASCII characters", Attributes::WORD_BYTES_MAX)]
    Version,
    /// The zone is empty, too long or not of visible ASCII.
    #[error("a zone is 1 to {} visible ASCII characters", Attributes::WORD_BYTES_MAX)]
    Zone,
    /// A tag is empty, too long or not of visible ASCII.
    #[error("a tag is 1 to {} visible ASCII characters", Attributes::WORD_BYTES_MAX)]
    Tag,
    /// A tag is said twice.
    #[error("a tag is said twice")]
    TagTwice,
    /// More tags than the limit.
    #[error("{count} tags are over the limit of {count_max}")]
    TooManyTags {
        /// How many there are.
        count: usize,
        /// The limit.
        count_max: usize,
    },
    /// A metadata key is empty, too long or not of visible ASCII.
    #[error("a metadata key is 1 to {} visible ASCII characters", Attributes::WORD_BYTES_MAX)]
    MetadataKey,
    /// A metadata value has a control character.
    #[error("a metadata value must not have control characters")]
    MetadataValue,
    /// More metadata than the limit.
    #[error("metadata of {bytes} bytes is over the limit of {bytes_max}")]
    MetadataTooLarge {
        /// Bytes of all keys and values.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}

impl Attributes {
    /// Longest version, zone, tag or metadata key, in bytes.
    pub const WORD_BYTES_MAX: usize = 64;

    /// Attributes within `limits`.
    pub fn new<T: Into<Box<str>>>(
        version: Option<T>,
        tags: impl IntoIterator<Item = T>,
        metadata: impl IntoIterator<Item = (T, T)>,
        limits: AttributeLimits,
    ) -> Result<Self, AttributesError> {
        let version = version.map(Into::into);
        if version.as_deref().is_some_and(|version| !is_word(version)) {
            return Err(AttributesError::Version);
        }
        Ok(Self(Arc::new(Said {
            version,
            zone: None,
            weight: Weight::default(),
            tags: checked_tags(tags.into_iter().map(Into::into), limits.tags_max)?,
            metadata: checked_metadata(
                metadata.into_iter().map(|(key, value)| (key.into(), value.into())),
                limits.metadata_bytes_max,
            )?,
            check: None,
        })))
    }

    /// The same in this zone, or in none.
    pub fn in_zone(mut self, zone: Option<impl Into<Box<str>>>) -> Result<Self, AttributesError> {
        let zone = zone.map(Into::into);
        if zone.as_deref().is_some_and(|zone| !is_word(zone)) {
            return Err(AttributesError::Zone);
        }
        Arc::make_mut(&mut self.0).zone = zone;
        Ok(self)
    }

    /// The same with another weight.
    #[must_use]
    pub fn with_weight(mut self, weight: Weight) -> Self {
        Arc::make_mut(&mut self.0).weight = weight;
        self
    }

    /// The same with a check that the registry makes, or with none.
    #[must_use]
    pub fn with_check(mut self, check: Option<Check>) -> Self {
        Arc::make_mut(&mut self.0).check = check;
        self
    }

    /// The check that the registry makes itself, where there is one.
    pub fn check(&self) -> Option<&Check> {
        self.0.check.as_ref()
    }

    /// Where it runs: what is in one zone is near to each other.
    pub fn zone(&self) -> Option<&str> {
        self.0.zone.as_deref()
    }

    /// Its share of the traffic.
    pub fn weight(&self) -> Weight {
        self.0.weight
    }

    /// Which version of the service runs.
    pub fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// The tags, in alphabetical order.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.tags.iter().map(AsRef::as_ref)
    }

    /// The metadata, in alphabetical order of the keys.
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.metadata.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }
}

fn checked_tags(
    tags: impl Iterator<Item = Box<str>>,
    count_max: usize,
) -> Result<BTreeSet<Box<str>>, AttributesError> {
    let mut checked = BTreeSet::new();
    for tag in tags {
        if !is_word(&tag) {
            return Err(AttributesError::Tag);
        }
        if !checked.insert(tag) {
            return Err(AttributesError::TagTwice);
        }
    }
    if checked.len() > count_max {
        return Err(AttributesError::TooManyTags { count: checked.len(), count_max });
    }
    Ok(checked)
}

fn checked_metadata(
    metadata: impl Iterator<Item = (Box<str>, Box<str>)>,
    bytes_max: usize,
) -> Result<BTreeMap<Box<str>, Box<str>>, AttributesError> {
    let mut checked = BTreeMap::new();
    let mut bytes = 0;
    for (key, value) in metadata {
        if !is_word(&key) {
            return Err(AttributesError::MetadataKey);
        }
        if value.chars().any(char::is_control) {
            return Err(AttributesError::MetadataValue);
        }
        bytes += key.len() + value.len();
        checked.insert(key, value);
    }
    if bytes > bytes_max {
        return Err(AttributesError::MetadataTooLarge { bytes, bytes_max });
    }
    Ok(checked)
}

fn is_word(text: &str) -> bool {
    (1..=Attributes::WORD_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AttributeLimits = AttributeLimits { tags_max: 2, metadata_bytes_max: 10 };

    #[test]
    fn limits_and_grammars() {
        use AttributesError as E;
        let long = "x".repeat(65);
        let check = |version, tags: &[&str], metadata: &[(&str, &str)]| {
            let tags = tags.iter().copied();
            Attributes::new(version, tags, metadata.iter().copied(), LIMITS).err()
        };
        assert_eq!(check(Some("1.2.3"), &["b", "a"], &[("zone", "a b ä")]), None);
        assert_eq!(check(None, &[], &[]), None);
        for version in ["", "1 2", "1\n", "ä", &long] {
            assert_eq!(check(Some(version), &[], &[]), Some(E::Version), "{version:?}");
        }
        for tag in ["", "a b", &long] {
            assert_eq!(check(None, &[tag], &[]), Some(E::Tag), "{tag:?}");
        }
        let nowhere = Attributes::default();
        assert_eq!(nowhere.clone().in_zone(Some("eu-1")).unwrap().zone(), Some("eu-1"));
        assert_eq!(nowhere.clone().in_zone(Some("eu 1")), Err(E::Zone));
        assert_eq!(nowhere.weight().get(), 1);
        assert_eq!(check(None, &["a", "a"], &[]), Some(E::TagTwice));
        let too_many = E::TooManyTags { count: 3, count_max: 2 };
        assert_eq!(check(None, &["a", "b", "c"], &[]), Some(too_many));
        assert_eq!(check(None, &[], &[("", "x")]), Some(E::MetadataKey));
        assert_eq!(check(None, &[], &[("a", "\n")]), Some(E::MetadataValue));
        let too_large = E::MetadataTooLarge { bytes: 11, bytes_max: 10 };
        assert_eq!(check(None, &[], &[("a", "0123456789")]), Some(too_large));
    }
}
