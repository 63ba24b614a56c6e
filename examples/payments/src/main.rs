//! A payment service: takes payments from other services and books them in the ledger.
//!
//! It registers itself under a lease, verifies its callers' tokens, and moves the money under the caller's own
//! idempotency key, so that a payment that is sent twice is booked once, whatever fails in between.
//!
//! Environment: `LOMBARD_URL`, `LOMBARD_CLIENT_ID`, `LOMBARD_CLIENT_SECRET`, and optionally `PAYMENTS_LISTEN`.

use std::{error::Error, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use lombard_client::{Error as PlatformError, NewTransfer, Platform, Unauthorized, Verifier};
use serde::Deserialize;
use serde_json::json;

const SERVICE: &str = "payments";

#[derive(Clone)]
struct Payments {
    platform: Platform,
    verifier: Verifier,
}

/// What a caller sends: `POST /v1/payments`, with an `Idempotency-Key`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    payer: String,
    payee: String,
    currency: String,
    amount: String,
    reference: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let platform = Platform::from_env().await?;
    let verifier = platform.verifier(SERVICE).await?;
    let listen = std::env::var("PAYMENTS_LISTEN").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new()
        .route("/v1/payments", post(pay))
        .route("/livez", get(async || "ok\n"))
        .with_state(Payments { platform: platform.clone(), verifier });

    let instance = format!("payments-{}", std::process::id());
    let lease =
        platform.registry().register(SERVICE, &instance, &url, Duration::from_secs(10)).await?;
    eprintln!("payments: registered {instance} at {url}");
    axum::serve(listener, app).with_graceful_shutdown(asked_to_stop()).await?;
    lease.release().await?;
    Ok(())
}

/// SIGTERM or Ctrl-C: finish what is under way, then take the registration back.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

async fn pay(
    State(payments): State<Payments>,
    headers: HeaderMap,
    body: Result<Json<Payment>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let caller = match payments.verifier.authorize(header("authorization"), SERVICE, "write").await
    {
        Ok(caller) => caller,
        Err(error @ Unauthorized::Unauthenticated(_)) => {
            return problem(StatusCode::UNAUTHORIZED, "unauthenticated", &error.to_string());
        }
        Err(error) => {
            return problem(StatusCode::FORBIDDEN, "insufficient-scope", &error.to_string());
        }
    };
    let payment = match body {
        Ok(Json(payment)) => payment,
        Err(error) => return problem(error.status(), "invalid-body", &error.body_text()),
    };
    let Some(key) = header("idempotency-key") else {
        return problem(
            StatusCode::BAD_REQUEST,
            "idempotency-key-missing",
            "send an Idempotency-Key",
        );
    };
    let transfer = NewTransfer::new(payment.payer, payment.payee, payment.currency, payment.amount)
        .metadata(json!({ "reference": payment.reference, "paid_by": caller.client_id }))
        .on_behalf_of(header("x-request-id"), header("traceparent"));
    // Two callers may choose the same key for different payments.
    let key = format!("{}:{key}", caller.client_id);
    match payments.platform.ledger().send_transfer(&transfer, &key).await {
        Ok(booked) => (booked.status, Json(booked.body)).into_response(),
        Err(error) => refused(&error),
    }
}

/// The ledger's refusal is the caller's answer; anything else may be tried again with the same key.
fn refused(error: &PlatformError) -> Response {
    match error {
        PlatformError::Refused(cause) if cause.status < 500 => {
            let status = StatusCode::from_u16(cause.status).unwrap_or(StatusCode::BAD_GATEWAY);
            problem(status, cause.slug(), cause.detail.as_deref().unwrap_or(&cause.title))
        }
        error => {
            eprintln!("payments: {error}");
            problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "ledger-away",
                "try again with the same Idempotency-Key",
            )
        }
    }
}

fn problem(status: StatusCode, slug: &str, detail: &str) -> Response {
    let body = json!({
        "type": format!("urn:payments:error:{slug}"),
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
    });
    let media_type = [("content-type", "application/problem+json")];
    let mut response = (status, media_type, body.to_string()).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert("retry-after", HeaderValue::from_static("1"));
    }
    response
}
