//! What a client must do beyond what all must.

use crate::{Authentication, Client, GrantType};

/// What a client is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// The FAPI 2.0 Security Profile (section 5.3): a private key or a certificate, pushed requests, tokens that are bound to one. The
    /// default of confidential clients.
    Fapi2,
    /// OAuth 2.1 and what RFC 9700 makes of it, which all clients must do anyway.
    OAuth21,
}

/// A client is not what its profile makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// It authenticates with neither a private key nor a certificate (FAPI 2.0 section 5.3.2.1).
    #[error(
        "a client of fapi-2.0 authenticates with private_key_jwt or a certificate: send its public key as jwk, or say the profile \
         oauth-2.1"
    )]
    NoKey,
    /// It may use the device grant, in which nothing ties the person's browser to the device.
    #[error("a client of fapi-2.0 cannot use the device grant: or say the profile oauth-2.1")]
    DeviceGrant,
    /// One of its redirect URIs is not https.
    #[error("redirect URIs of a client of fapi-2.0 are https: or say the profile oauth-2.1")]
    NotHttps,
}

impl Profile {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fapi2, Self::OAuth21];

    /// Its name, as administrators say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fapi2 => "fapi-2.0",
            Self::OAuth21 => "oauth-2.1",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Whether authorization requests come by way of the endpoint for pushed requests only (RFC 9126 section 5).
    pub const fn requires_pushed_requests(self) -> bool {
        matches!(self, Self::Fapi2)
    }

    /// Whether tokens are bound to a key that the client proves (RFC 9449 section 5.2), or to its certificate (RFC 8705).
    pub const fn requires_bound_tokens(self) -> bool {
        matches!(self, Self::Fapi2)
    }

    /// Whether each use of a refresh token gives another one. FAPI 2.0 section 5.3.2.1 forbids it, since a thief has
    /// nothing of a token without the client's key, and a lost answer costs nothing.
    pub const fn rotates_refresh_tokens(self) -> bool {
        matches!(self, Self::OAuth21)
    }
}

impl Client {
    /// Whether it can be what its profile makes it.
    pub fn check_profile(&self) -> Result<(), ProfileError> {
        match self.profile {
            Profile::OAuth21 => Ok(()),
            Profile::Fapi2
                if matches!(
                    self.authentication,
                    Authentication::Secret { .. } | Authentication::Nothing
                ) =>
            {
                Err(ProfileError::NoKey)
            }
            Profile::Fapi2 if self.may_use(GrantType::DeviceCode) => Err(ProfileError::DeviceGrant),
            Profile::Fapi2 => {
                let is_https = |uri: &crate::RedirectUri| uri.as_str().starts_with("https://");
                if self.redirect_uris.iter().all(is_https) {
                    Ok(())
                } else {
                    Err(ProfileError::NotHttps)
                }
            }
        }
    }
}
