//! Everything that the page shows, read in parallel.

use std::sync::Arc;

use futures_util::future::join_all;
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::{
    Account, Http, Role, Service, ServiceList, Stream, Transfer, TrialBalance, Unreadable,
    ledger::Items,
    registry::{Instances, ServiceEntry, Services, path_of},
    roles,
};
use crate::{
    Config,
    credentials::Credentials,
    tokens::{AccessToken, Resource, TokenError, Tokens},
};

/// What the page shows. A part that could not be read says why.
#[derive(Clone, Debug)]
pub(crate) struct Overview {
    /// Whether any token was issued, so that somebody of the platform looks at the page.
    pub(crate) is_authenticated: bool,
    pub(crate) roles: Vec<Role>,
    pub(crate) services: Result<ServiceList, Unreadable>,
    pub(crate) trial_balance: Result<TrialBalance, Unreadable>,
    pub(crate) transfers: Result<Vec<Transfer>, Unreadable>,
    pub(crate) accounts: Result<Vec<Account>, Unreadable>,
    pub(crate) streams: Result<Vec<Stream>, Unreadable>,
}

/// The client's id or secret is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongCredentials;

/// Reads overviews. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) http: Http,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) config: Arc<Config>,
}

type Token = Result<AccessToken, Unreadable>;

impl Reader {
    pub(crate) async fn read(
        &self,
        credentials: &Credentials,
    ) -> Result<Overview, WrongCredentials> {
        // The first one alone: whoever guesses secrets gets one try for each request, not three.
        let ledger = self.token(credentials, Resource::Ledger).await?;
        let (registry, eventstore) = tokio::join!(
            self.token(credentials, Resource::Registry),
            self.token(credentials, Resource::EventStore),
        );
        let (registry, eventstore) = (registry?, eventstore?);
        let is_authenticated = ledger.is_ok() || registry.is_ok() || eventstore.is_ok();
        let config = &self.config;
        let at_ledger =
            Access { reader: self, credentials, resource: Resource::Ledger, token: &ledger };
        let at_registry = Access { resource: Resource::Registry, token: &registry, ..at_ledger };
        let at_eventstore =
            Access { resource: Resource::EventStore, token: &eventstore, ..at_ledger };
        let transfers_path = format!("/transfers?limit={}", config.transfers_max);
        let accounts_path = format!("/accounts?limit={}", config.accounts_max);
        let streams_path = format!("/streams?limit={}", config.streams_max);
        let (roles, services, trial_balance, transfers, accounts, streams) = tokio::join!(
            roles::read(&self.http, &config.roles),
            at_registry.services(config.services_max),
            at_ledger.get("/trial-balance"),
            at_ledger.items(&transfers_path),
            at_ledger.items(&accounts_path),
            at_eventstore.items(&streams_path),
        );
        Ok(Overview {
            is_authenticated,
            roles,
            services,
            trial_balance,
            transfers,
            accounts,
            streams,
        })
    }

    async fn token(
        &self,
        credentials: &Credentials,
        resource: Resource,
    ) -> Result<Token, WrongCredentials> {
        match self.tokens.get(credentials, resource).await {
            Ok(token) => Ok(Ok(token)),
            Err(TokenError::NoToken(why)) => Ok(Err(why)),
            Err(TokenError::WrongCredentials) => Err(WrongCredentials),
        }
    }
}

/// One resource, with the token for it or why there is none.
#[derive(Clone, Copy)]
struct Access<'a> {
    reader: &'a Reader,
    credentials: &'a Credentials,
    resource: Resource,
    token: &'a Token,
}

impl Access<'_> {
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Unreadable> {
        let token = self.token.as_ref().map_err(Clone::clone)?;
        let Reader { http, tokens, config } = self.reader;
        let url = format!("{}{}{path}", config.issuer, self.resource.prefix());
        let request = http.get(&url).bearer_auth(token.secret());
        let answer = http.send(self.resource.name(), request).await?;
        match answer.status {
            StatusCode::OK => answer.json(),
            StatusCode::UNAUTHORIZED => {
                tokens.forget(self.credentials, self.resource);
                Err(answer.refused())
            }
            _ => Err(answer.refused()),
        }
    }

    async fn items<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Unreadable> {
        self.get::<Items<T>>(path).await.map(|page| page.items)
    }

    async fn services(&self, services_max: usize) -> Result<ServiceList, Unreadable> {
        let Services { services } = self.get("/services").await?;
        let rest = services.len().saturating_sub(services_max);
        let shown = services.into_iter().take(services_max);
        let shown = join_all(shown.map(|ServiceEntry { service }| self.service(service))).await;
        Ok(ServiceList { shown, rest })
    }

    async fn service(&self, name: String) -> Service {
        let instances = match path_of(&name) {
            Some(path) => self.get::<Instances>(&path).await.map(|found| found.instances),
            None => Err(Unreadable::Misunderstood { who: self.resource.name() }),
        };
        Service { name, instances }
    }
}
