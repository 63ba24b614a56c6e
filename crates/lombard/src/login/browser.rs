//! A login in a browser on this machine: the answer comes to a loopback address (RFC 8252 section 7.3).

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::Html,
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_client::Error;
use serde::Deserialize;
use tokio::{net::TcpListener, sync::mpsc};
use zeroize::Zeroizing;

use super::endpoint::{Endpoint, Issued};

/// How long the person has.
const PATIENCE: Duration = Duration::from_secs(600);
/// Where the browser comes back to; its port is whatever is free.
const PATH: &str = "/callback";

/// What the browser brings (RFC 6749 section 4.1.2, RFC 9207).
#[derive(Deserialize)]
struct Answer {
    state: Option<String>,
    iss: Option<String>,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

pub(super) async fn ask(endpoint: &Endpoint, asked: &[(&str, String)]) -> anyhow::Result<Issued> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("failed to listen")?;
    let redirect_uri = format!("http://{}{PATH}", listener.local_addr()?);
    let (verifier, state) = (random()?, random()?);
    let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    let own = [
        ("response_type", "code"),
        ("redirect_uri", &redirect_uri),
        ("state", &state),
        ("code_challenge", &URL_SAFE_NO_PAD.encode(challenge)),
        ("code_challenge_method", "S256"),
    ];
    let parameters = asked.iter().map(|(name, value)| (*name, &**value)).chain(own);
    let mut url = reqwest::Url::parse(&endpoint.metadata.authorization_endpoint)?;
    url.query_pairs_mut().extend_pairs(parameters);
    println!("Open this in your browser:\n\n{url}\n");
    let code = code(listener, &state, &endpoint.issuer).await?;
    let client_id = asked.iter().find(|(name, _)| *name == "client_id").map_or("", |(_, id)| id);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", &redirect_uri),
        ("code_verifier", &verifier),
        ("client_id", client_id),
    ];
    endpoint.token(&form).await?.context("the login was refused")
}

fn random() -> anyhow::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| anyhow::anyhow!("no randomness"))?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

/// Serves the one page that the browser comes back to. What does not come of this very request is passed over: whatever
/// runs on this machine can send it.
async fn code(
    listener: TcpListener,
    state: &str,
    issuer: &str,
) -> anyhow::Result<Zeroizing<String>> {
    let (answers, mut answered) = mpsc::channel::<Answer>(1);
    let expected = (answers, state.to_owned());
    let router = Router::new().route(PATH, get(take)).with_state(expected);
    let serving = async { axum::serve(listener, router).await.context("failed to serve") };
    let answer = tokio::select! {
        served = serving => { served?; None }
        answer = answered.recv() => answer,
        () = tokio::time::sleep(PATIENCE) => bail!("nobody has decided in time"),
    };
    let answer = answer.context("the browser brought no answer")?;
    // RFC 9207 section 2.4: an answer of another server is not taken to this one.
    ensure!(answer.iss.as_deref() == Some(issuer), "the answer is of another server");
    match (answer.code, answer.error) {
        (Some(code), None) => Ok(Zeroizing::new(code)),
        (_, Some(error)) => {
            let (client_id, description) = (String::new(), answer.error_description);
            Err(Error::TokenRefused { client_id, error, description })
                .context("the login was refused")
        }
        (None, None) => bail!("the answer has no code"),
    }
}

async fn take(
    State((answers, state)): State<(mpsc::Sender<Answer>, String)>,
    Query(answer): Query<Answer>,
) -> (StatusCode, Html<&'static str>) {
    let fits = answer.state.as_deref().is_some_and(|said| {
        aws_lc_rs::constant_time::verify_slices_are_equal(said.as_bytes(), state.as_bytes()).is_ok()
    });
    if fits && answers.try_send(answer).is_ok() {
        return (
            StatusCode::OK,
            Html("<!DOCTYPE html><title>Done</title><p id=done>You can close this page."),
        );
    }
    (
        StatusCode::BAD_REQUEST,
        Html("<!DOCTYPE html><title>No</title><p>This is no answer to the login."),
    )
}
