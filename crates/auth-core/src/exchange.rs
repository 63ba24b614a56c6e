//! What of a token a client may get as a token of its own (RFC 8693): never more, never for longer, never elsewhere.

use lombard_token::{Actor, Claims, DetailType, Scope, ScopeSet};

use crate::{Client, Granted};

/// Why nothing is exchanged. Checked in this order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Another resource than the token's.
    #[error("the token is for {audience}, and so is what it is exchanged for")]
    OtherResource {
        /// What it is for.
        audience: Box<str>,
    },
    /// More than the token permits.
    #[error("more than the token permits is asked for")]
    MoreThanTheToken,
    /// The client is not registered for what is asked for.
    #[error("the client may not ask for that scope")]
    NotAllowed,
    /// The client is not registered for the token's details.
    #[error("the client may not ask for authorization details of type {0}")]
    TypeNotAllowed(DetailType),
    /// Nothing would be permitted.
    #[error("nothing of the token is left")]
    Nothing,
    /// So many have acted for each other that it cannot be told any more.
    #[error("more than {} actors in a row", Actor::DEPTH_MAX)]
    TooManyActors,
}

/// Settles what `client` gets for `subject`, a token that was verified, and who acts then. Without a scope it is what the
/// token permits and the client may ask for. Details go along as they are, so that a payment is counted as the same one.
pub fn exchange(
    client: &Client,
    subject: &Claims,
    requested: Option<&ScopeSet>,
    resource: Option<&str>,
) -> Result<(Granted, Actor), ExchangeError> {
    if resource.is_some_and(|resource| *resource != *subject.audience) {
        return Err(ExchangeError::OtherResource { audience: subject.audience.clone() });
    }
    let scope = match requested {
        Some(requested) if !subject.scope.covers(requested) => {
            return Err(ExchangeError::MoreThanTheToken);
        }
        Some(requested) if !client.scope.covers(requested) => {
            return Err(ExchangeError::NotAllowed);
        }
        Some(requested) => requested.clone(),
        None => {
            // What is about the person too: the client must be registered for all of it.
            let may_ask = |scope: &&Scope| client.scope.iter().any(|own| own.covers(scope));
            subject.scope.within(&client.scope).iter().filter(may_ask).cloned().collect()
        }
    };
    let mut types = subject.authorization_details.iter().map(|detail| detail.detail_type());
    if let Some(other) = types.find(|name| !client.authorization_details_types.contains(name)) {
        return Err(ExchangeError::TypeNotAllowed(other));
    }
    if scope.is_empty() && subject.authorization_details.is_empty() {
        return Err(ExchangeError::Nothing);
    }
    let before = subject.actor.clone();
    let actor = Actor { subject: client.id.as_str().into(), actor: before };
    if actor.depth() > Actor::DEPTH_MAX {
        return Err(ExchangeError::TooManyActors);
    }
    let granted = Granted {
        audience: subject.audience.to_string(),
        scope,
        authorization_details: subject.authorization_details.clone(),
    };
    Ok((granted, actor))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AUDIENCE: &str = "https://bank.example/v1/ledger";

    fn client(scope: &str) -> Client {
        Client { scope: scope.parse().unwrap(), ..Client::of_secret([0; 32]) }
    }

    fn subject(scope: &str) -> Claims {
        Claims { audience: AUDIENCE.into(), scope: scope.parse().unwrap(), ..Claims::default() }
    }

    #[test]
    fn only_less_is_given() {
        let elsewhere = ExchangeError::OtherResource { audience: AUDIENCE.into() };
        for (of_client, of_token, requested, resource, expected) in [
            ("ledger:read", "ledger:read", None, None, Ok("ledger:read")),
            ("ledger:write", "ledger:write:a/*", None, Some(AUDIENCE), Ok("ledger:write:a/*")),
            ("ledger:write:a/b", "ledger:write:a/*", None, None, Ok("ledger:write:a/b")),
            (
                "ledger:write",
                "ledger:write:a/*",
                Some("ledger:write:a/b"),
                None,
                Ok("ledger:write:a/b"),
            ),
            (
                "ledger:write",
                "ledger:write:a/*",
                Some("ledger:write"),
                None,
                Err(ExchangeError::MoreThanTheToken),
            ),
            ("admin", "ledger:read", Some("admin"), None, Err(ExchangeError::MoreThanTheToken)),
            (
                "ledger:read",
                "ledger:write",
                Some("ledger:write"),
                None,
                Err(ExchangeError::NotAllowed),
            ),
            ("ledger:read", "ledger:write", None, None, Err(ExchangeError::Nothing)),
            (
                "ledger:read",
                "ledger:read",
                None,
                Some("https://bank.example/v1/auth"),
                Err(elsewhere),
            ),
        ] {
            let requested: Option<ScopeSet> = requested.map(|scope: &str| scope.parse().unwrap());
            let result =
                exchange(&client(of_client), &subject(of_token), requested.as_ref(), resource);
            let scope = result.map(|(granted, _)| granted.scope.to_string());
            assert_eq!(scope, expected.map(str::to_owned), "{of_client} {of_token}");
        }
    }

    #[test]
    fn who_acts_is_told_and_before_whom() {
        let mut claims = subject("ledger:read");
        for depth in 1..=Actor::DEPTH_MAX {
            let (_, actor) = exchange(&client("ledger:read"), &claims, None, None).unwrap();
            assert_eq!((actor.depth(), &*actor.subject), (depth, "shop"));
            claims.actor = Some(Box::new(actor));
        }
        let refused = exchange(&client("ledger:read"), &claims, None, None);
        assert_eq!(refused.map(drop), Err(ExchangeError::TooManyActors));
    }

    #[test]
    fn details_go_along_as_they_are_or_not_at_all() {
        let details = r#"[{"type":"payment","id":"00000000000000000000000000000001","amount":"1.00","asset":"EUR","debtor_account":"a","creditor_account":"b","uses":1}]"#;
        let details = lombard_token::AuthorizationDetails::parse_granted(details).unwrap();
        let claims = Claims {
            audience: AUDIENCE.into(),
            authorization_details: details.clone(),
            ..Claims::default()
        };
        let payment: DetailType = "payment".parse().unwrap();
        let refused = exchange(&client("ledger:write"), &claims, None, None);
        assert_eq!(refused.map(drop), Err(ExchangeError::TypeNotAllowed(payment.clone())));
        let client =
            Client { authorization_details_types: [payment].into(), ..client("ledger:write") };
        let (granted, _) = exchange(&client, &claims, None, None).unwrap();
        assert_eq!(granted.authorization_details, details);
    }

    fn scopes() -> impl Strategy<Value = ScopeSet> {
        let scope = prop::sample::select(vec![
            "ledger:read",
            "ledger:read:a/*",
            "ledger:read:a/b",
            "ledger:write",
            "ledger:write:a/*",
            "ledger:write:a/b",
            "registry:read",
            "auth:write",
            "admin",
            "openid",
        ]);
        prop::collection::vec(scope, 0..4)
            .prop_map(|scopes| scopes.join(" ").parse().unwrap_or_default())
    }

    proptest! {
        #[test]
        fn never_wider_than_the_token_nor_than_the_client(
            of_client in scopes(), of_token in scopes(), requested in prop::option::of(scopes()),
        ) {
            let client = Client { scope: of_client, ..Client::of_secret([0; 32]) };
            let claims = Claims { audience: "a".into(), scope: of_token, ..Claims::default() };
            if let Ok((granted, _)) = exchange(&client, &claims, requested.as_ref(), None) {
                prop_assert!(claims.scope.covers(&granted.scope));
                prop_assert!(client.scope.covers(&granted.scope));
                prop_assert_eq!(&*granted.audience, "a");
            }
        }
    }
}
