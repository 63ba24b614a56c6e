//! All that persons have allowed clients, and the codes and refresh tokens that come of it.
//!
//! A code is redeemed once, and a refresh token is followed by one other: both are decided here, by one writer, so that of
//! many requests at once exactly one is the first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use lombard_token::ScopeSet;
use lombard_types::{ClientId, Timestamp};

use crate::{Code, GrantId, Refresh, RestoreError, SessionId, UserGrant, UserId};

/// The grants that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    by_id: BTreeMap<GrantId, Arc<UserGrant>>,
    by_code: BTreeMap<[u8; 32], GrantId>,
    by_user: BTreeSet<(UserId, GrantId)>,
    by_session: BTreeSet<(SessionId, GrantId)>,
    by_client: BTreeSet<(ClientId, GrantId)>,
    /// When a grant must be looked at, because it, or its code, may be over.
    alarms: BTreeSet<(Timestamp, GrantId)>,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Begins a grant with a code. The person and the session must be there still.
    Start {
        /// The grant with its code; their times are set by the decision.
        grant: Box<UserGrant>,
        /// How long the code can be redeemed.
        code_life: Duration,
        /// How long a replay of the code is noticed.
        code_memory: Duration,
        /// Most grants of one person.
        per_user_max: usize,
        /// Most grants of all.
        grants_max: usize,
    },
    /// Redeems a code.
    Redeem(Redemption),
    /// Asks for the successor of a refresh token.
    Refresh(Refreshing),
    /// Ends a grant: its tokens are good no more.
    End {
        /// Which.
        id: GrantId,
    },
}

/// A code, and what redeems it (RFC 6749 section 4.1.3, RFC 7636 section 4.6).
#[derive(Clone, Debug)]
pub struct Redemption {
    /// SHA-256 of the code.
    pub code_sha256: [u8; 32],
    /// Who asks.
    pub client: ClientId,
    /// The redirect URI that is named; OAuth 2.1 lets it be left out.
    pub redirect_uri: Option<Box<str>>,
    /// SHA-256 of the verifier.
    pub challenge: [u8; 32],
    /// Thumbprint of the key that is proved.
    pub key_thumbprint: Option<Box<str>>,
    /// Whether refresh tokens are bound to that key.
    pub binds_refresh: bool,
    /// Whether the client may have refresh tokens.
    pub may_refresh: bool,
}

/// A refresh token, and who shows it.
#[derive(Clone, Debug)]
pub struct Refreshing {
    /// The grant that it is of.
    pub id: GrantId,
    /// Its number.
    pub generation: u32,
    /// Who asks.
    pub client: ClientId,
    /// Thumbprint of the key that is proved.
    pub key_thumbprint: Option<Box<str>>,
    /// Whether another token takes its place.
    pub rotates: bool,
    /// How long the one before is followed by the same successor again.
    pub grace: Duration,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A person allowed a client something.
    Started(Arc<UserGrant>),
    /// The client redeemed the code.
    Redeemed {
        /// The grant.
        id: GrantId,
        /// When.
        at: Timestamp,
        /// Whether there are refresh tokens.
        has_refresh: bool,
        /// Thumbprint of the key that refresh tokens are bound to.
        key_thumbprint: Option<Box<str>>,
    },
    /// A refresh token took the place of the one before.
    Rotated {
        /// The grant.
        id: GrantId,
        /// Its number.
        generation: u32,
        /// When.
        at: Timestamp,
    },
    /// A grant ended before its time.
    Ended {
        /// Which.
        id: GrantId,
        /// Why.
        reason: EndReason,
    },
}

/// Why a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// It was asked for.
    Revoked,
    /// Its code was shown a second time.
    CodeReplayed,
    /// A refresh token was shown that another had long taken the place of.
    RefreshReused,
}

/// What took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The grant is there.
    Started(Arc<UserGrant>),
    /// The code was good: tokens of this grant may be issued.
    Redeemed(Arc<UserGrant>),
    /// The code had been redeemed before. What it gave is good no more.
    CodeReplayed(GrantId),
    /// The refresh token was good, and is followed by the one with this number.
    Refreshed(Arc<UserGrant>, u32),
    /// The refresh token had been used before. The whole family is good no more.
    RefreshReused(GrantId),
    /// The grant is over.
    Ended,
}

/// Why a command has no effect. Checked in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The person may not log in, the session is over, or the client is gone.
    LoggedOut,
    /// There are as many grants as there may be.
    TooManyGrants,
    /// No such code, or it is too old, or its grant is over.
    CodeUnknown,
    /// No such refresh token, or it is too old, or its grant is over.
    RefreshUnknown,
    /// It is another client's.
    OtherClient,
    /// The code was sent to another redirect URI.
    OtherRedirectUri,
    /// The verifier is not the one that the challenge was made from.
    OtherVerifier,
    /// It is bound to another key, or to one where none is proved.
    OtherKey,
}

type Decision = crate::Decision<Event, Reply>;

impl Grants {
    /// The grant, if it is not over.
    pub fn get(&self, id: GrantId, now: Timestamp) -> Option<&Arc<UserGrant>> {
        self.by_id.get(&id).filter(|grant| grant.expires_at > now)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<UserGrant>> {
        self.by_id.values()
    }

    /// A person's, by id.
    pub fn of_user(&self, user: UserId) -> impl Iterator<Item = &Arc<UserGrant>> {
        let from = (user, GrantId([0; 16]));
        let own = self.by_user.range(from..=(user, GrantId([0xff; 16])));
        own.filter_map(|(_, id)| self.by_id.get(id))
    }

    /// Those that were made in a session, by id.
    pub fn of_session(&self, session: SessionId) -> impl Iterator<Item = &Arc<UserGrant>> {
        let from = (session, GrantId([0; 16]));
        let own = self.by_session.range(from..=(session, GrantId([0xff; 16])));
        own.filter_map(|(_, id)| self.by_id.get(id))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Whether a person has allowed a client, in a grant that is not over, all of `scope` at `audience`.
    pub fn has_consent(
        &self,
        (user, client): (UserId, &ClientId),
        (audience, scope): (&str, &ScopeSet),
        now: Timestamp,
    ) -> bool {
        self.of_user(user).any(|grant| {
            grant.client == *client
                && *grant.audience == *audience
                && grant.expires_at > now
                && grant.is_active()
                && scope.iter().all(|scope| grant.scope.iter().any(|own| own.covers(scope)))
        })
    }

    pub(crate) fn decide(&self, command: Command, now: Timestamp) -> Result<Decision, Rejection> {
        match command {
            Command::Start { grant, code_life, code_memory, per_user_max, grants_max } => {
                let own_count = self.of_user(grant.user).take(per_user_max).count();
                if own_count >= per_user_max || self.count() >= grants_max {
                    return Err(Rejection::TooManyGrants);
                }
                let expires_at = now.plus(code_life);
                let remembered_until = expires_at.plus(code_memory);
                let code =
                    grant.code.map(|code| Box::new(Code { expires_at, remembered_until, ..*code }));
                let grant = Arc::new(UserGrant { started_at: now, expires_at, code, ..*grant });
                let event = Event::Started(Arc::clone(&grant));
                Ok(Decision::Commit(vec![event], Reply::Started(grant)))
            }
            Command::Redeem(redemption) => self.redeem(redemption, now),
            Command::Refresh(refreshing) => self.refresh(&refreshing, now),
            Command::End { id } => Ok(match self.by_id.get(&id) {
                Some(_) => {
                    let event = Event::Ended { id, reason: EndReason::Revoked };
                    Decision::Commit(vec![event], Reply::Ended)
                }
                None => Decision::Answer(Reply::Ended),
            }),
        }
    }

    fn redeem(&self, redemption: Redemption, now: Timestamp) -> Result<Decision, Rejection> {
        let id = self.by_code.get(&redemption.code_sha256).ok_or(Rejection::CodeUnknown)?;
        let grant = self.get(*id, now).ok_or(Rejection::CodeUnknown)?;
        let code = grant.code.as_ref().ok_or(Rejection::CodeUnknown)?;
        // Whoever shows a code a second time cannot be told from a thief, whatever else is shown with it.
        if code.redeemed_at.is_some() {
            let event = Event::Ended { id: *id, reason: EndReason::CodeReplayed };
            return Ok(Decision::Commit(vec![event], Reply::CodeReplayed(*id)));
        }
        if code.expires_at <= now {
            return Err(Rejection::CodeUnknown);
        }
        if grant.client != redemption.client {
            return Err(Rejection::OtherClient);
        }
        if redemption.redirect_uri.is_some_and(|uri| uri != code.redirect_uri) {
            return Err(Rejection::OtherRedirectUri);
        }
        if code.challenge != redemption.challenge {
            return Err(Rejection::OtherVerifier);
        }
        if code.key_thumbprint.is_some() && code.key_thumbprint != redemption.key_thumbprint {
            return Err(Rejection::OtherKey);
        }
        let event = Event::Redeemed {
            id: *id,
            at: now,
            has_refresh: redemption.may_refresh && grant.is_offline,
            key_thumbprint: redemption.key_thumbprint.filter(|_| redemption.binds_refresh),
        };
        let mut redeemed = UserGrant::clone(grant);
        redeemed.apply(&event);
        Ok(Decision::Commit(vec![event], Reply::Redeemed(Arc::new(redeemed))))
    }

    fn refresh(&self, refreshing: &Refreshing, now: Timestamp) -> Result<Decision, Rejection> {
        let id = refreshing.id;
        let grant = self.get(id, now).ok_or(Rejection::RefreshUnknown)?;
        let refresh = grant.refresh.ok_or(Rejection::RefreshUnknown)?;
        if grant.client != refreshing.client {
            return Err(Rejection::OtherClient);
        }
        // Checked before reuse: without the key a stolen token cannot even end the family.
        if grant.key_thumbprint.is_some() && grant.key_thumbprint != refreshing.key_thumbprint {
            return Err(Rejection::OtherKey);
        }
        if refreshing.generation > refresh.generation {
            return Err(Rejection::RefreshUnknown);
        }
        if refreshing.generation == refresh.generation && !refreshing.rotates {
            let reply = Reply::Refreshed(Arc::clone(grant), refresh.generation);
            return Ok(Decision::Answer(reply));
        }
        if refreshing.generation == refresh.generation {
            let generation = refresh.generation.saturating_add(1);
            let event = Event::Rotated { id, generation, at: now };
            let mut rotated = UserGrant::clone(grant);
            rotated.apply(&event);
            return Ok(Decision::Commit(
                vec![event],
                Reply::Refreshed(Arc::new(rotated), generation),
            ));
        }
        // A retry, whose first answer was lost, or which was sent at the same time: the same successor again.
        let is_one_before = refreshing.generation + 1 == refresh.generation;
        if is_one_before && now <= refresh.rotated_at.plus(refreshing.grace) {
            let reply = Reply::Refreshed(Arc::clone(grant), refresh.generation);
            return Ok(Decision::Answer(reply));
        }
        let event = Event::Ended { id, reason: EndReason::RefreshReused };
        Ok(Decision::Commit(vec![event], Reply::RefreshReused(id)))
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Started(grant) => self.insert(Arc::clone(grant)),
            Event::Ended { id, .. } => self.remove(*id),
            Event::Redeemed { id, .. } | Event::Rotated { id, .. } => {
                if let Some(grant) = self.by_id.get_mut(id) {
                    self.alarms.remove(&(grant.expires_at, *id));
                    Arc::make_mut(grant).apply(event);
                    self.alarms.insert((grant.expires_at, *id));
                }
            }
        }
    }

    fn insert(&mut self, grant: Arc<UserGrant>) {
        let id = grant.id;
        self.remove(id);
        if let Some(code) = &grant.code {
            self.by_code.insert(code.sha256, id);
            self.alarms.insert((code.remembered_until, id));
        }
        self.alarms.insert((grant.expires_at, id));
        self.by_user.insert((grant.user, id));
        self.by_session.insert((grant.session, id));
        self.by_client.insert((grant.client.clone(), id));
        self.by_id.insert(id, grant);
    }

    fn remove(&mut self, id: GrantId) {
        let Some(grant) = self.by_id.remove(&id) else { return };
        if let Some(code) = &grant.code {
            self.by_code.remove(&code.sha256);
            self.alarms.remove(&(code.remembered_until, id));
        }
        self.alarms.remove(&(grant.expires_at, id));
        self.by_user.remove(&(grant.user, id));
        self.by_session.remove(&(grant.session, id));
        self.by_client.remove(&(grant.client.clone(), id));
    }

    pub(crate) fn end_all_of_user(&mut self, user: UserId) {
        let ids: Vec<GrantId> = self.of_user(user).map(|grant| grant.id).collect();
        ids.into_iter().for_each(|id| self.remove(id));
    }

    pub(crate) fn end_all_of_client(&mut self, client: &ClientId) {
        let from = (client.clone(), GrantId([0; 16]));
        let to = (client.clone(), GrantId([0xff; 16]));
        let ids: Vec<GrantId> = self.by_client.range(from..=to).map(|(_, id)| *id).collect();
        ids.into_iter().for_each(|id| self.remove(id));
    }

    /// Ends those that do not go on without the session.
    pub(crate) fn end_all_of_session(&mut self, session: SessionId) {
        let from = (session, GrantId([0; 16]));
        let own = self.by_session.range(from..=(session, GrantId([0xff; 16])));
        let ids: Vec<GrantId> = own
            .map(|(_, id)| *id)
            .filter(|id| self.by_id.get(id).is_some_and(|grant| !grant.is_offline))
            .collect();
        ids.into_iter().for_each(|id| self.remove(id));
    }

    /// Forgets what is over, and codes that cannot be replayed any more.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        while let Some(&(at, id)) = self.alarms.first()
            && at <= now
        {
            self.alarms.pop_first();
            let Some(grant) = self.by_id.get_mut(&id) else { continue };
            if grant.expires_at <= now {
                self.remove(id);
            } else if let Some(code) =
                Arc::make_mut(grant).code.take_if(|code| code.remembered_until <= now)
            {
                self.by_code.remove(&code.sha256);
            }
        }
    }

    /// Adds a grant as it was.
    pub fn restore(&mut self, grant: UserGrant) -> Result<(), RestoreError> {
        let has_code =
            grant.code.as_ref().is_some_and(|code| self.by_code.contains_key(&code.sha256));
        if has_code || self.by_id.contains_key(&grant.id) {
            return Err(RestoreError::Twice);
        }
        self.insert(Arc::new(grant));
        Ok(())
    }
}

impl UserGrant {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Redeemed { at, has_refresh, key_thumbprint, .. } => {
                if let Some(code) = &mut self.code {
                    code.redeemed_at = Some(*at);
                }
                self.expires_at = self.lasts_until;
                self.refresh = has_refresh.then_some(Refresh { generation: 0, rotated_at: *at });
                self.key_thumbprint.clone_from(key_thumbprint);
            }
            Event::Rotated { generation, at, .. } => {
                self.refresh = Some(Refresh { generation: *generation, rotated_at: *at });
            }
            Event::Started(_) | Event::Ended { .. } => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
