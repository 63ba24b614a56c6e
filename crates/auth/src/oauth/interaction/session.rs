//! A person has shown all that is asked for: a session begins, and the request goes on.

use axum::response::Response;
use lombard_auth_core::{
    Acr, Command, Reply, Session, SessionId, User,
    sessions::{self, Reply as SessionReply},
};
use lombard_types::Timestamp;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Browser;
use crate::{secret, service::Api, submit::submit};

/// A session that has begun. Its secret is the browser's.
pub(super) struct Begun<'a> {
    secret: Zeroizing<String>,
    user: &'a User,
}

impl Begun<'_> {
    /// The same answer, with what the browser is to keep.
    pub(super) fn tell(&self, api: &Api, browser: &Browser, response: Response) -> Response {
        let response = Browser::set_session(api, response, &self.secret);
        browser.set_known(api, response, self.user.id)
    }
}

/// Begins a session under a new secret, whatever the browser has shown before. None where that cannot be now.
pub(super) async fn begin<'a>(
    api: &Api,
    browser: &Browser,
    user: &'a User,
    acr: Acr,
    now: Timestamp,
) -> Option<Begun<'a>> {
    let secret = secret::generate("").ok()?;
    // The decision sets the times.
    let none = Timestamp::EPOCH;
    let session = Session {
        id: SessionId(Uuid::new_v4().into_bytes()),
        secret_sha256: secret::sha256(secret.as_bytes()),
        user: user.id,
        acr,
        authenticated_at: none,
        expires_at: none,
    };
    let config = &api.config;
    let command = sessions::Command::Start {
        session,
        replaces: browser.session(api, now).map(|(session, _)| session.id),
        life: config.session_life(),
        per_user_max: config.sessions_per_user_max,
        sessions_max: config.sessions_max,
    };
    let committed = submit(api, Command::Session(command, config.lives())).await.ok()?;
    let is_begun = matches!(committed.reply, Reply::Session(SessionReply::Started(_)));
    is_begun.then_some(Begun { secret, user })
}
