//! `/oauth/consent`: what exactly a client may do, and the person's decision.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use lombard_auth_core::{Granted, User};
use lombard_chassis::{Problem, RawBody};
use lombard_token::{AuthorizationDetail, Payment, Scope};
use maud::{Markup, html};

use super::{
    Browser, Posted,
    advance::{login, settle},
    answer::{self, Allowed, refuse},
    new_passkey, page, posted, request_id, see,
};
use crate::{
    audit::Facts,
    oauth::{
        AnswerTo, AuthorizationRequest,
        error::{Code, OAuthError},
    },
    secret,
    service::Api,
};

/// What a form's token is about.
const CONSENT: &str = "consent";

pub(super) async fn show(State(api): State<Api>, headers: HeaderMap, uri: Uri) -> Response {
    let (browser, id, now) = (Browser::of(&api, &headers), request_id(&uri), api.now());
    let Some(pending) = api.pending.of_browser(&id, browser.sha256(), now) else {
        return page::gone();
    };
    let request = &pending.request;
    let Some((_, user)) = login(&api, &browser, &pending, now) else { return see("login", &id) };
    match settle(&api, request, &user) {
        Ok(granted) => {
            let may_make = new_passkey::may_make(&api, &browser, &pending, now).is_some();
            let terms = terms(&api, request, &user, &granted);
            show_form(&api, &browser, &id, request, (&terms, may_make))
        }
        Err(error) => {
            api.pending.close(&id);
            refuse(&api, request, &error)
        }
    }
}

fn show_form(
    api: &Api,
    browser: &Browser,
    id: &str,
    request: &AuthorizationRequest,
    (terms, may_make_passkey): (&Markup, bool),
) -> Response {
    let shown = hex(&secret::sha256(terms.0.as_bytes()));
    let token = browser.csrf_token(api, &[CONSENT, id, &shown]);
    let content = html! {
        (terms)
        form id="consent" method="post" action="consent" {
            input type="hidden" name="request" value=(id);
            input type="hidden" name="shown" value=(shown);
            input type="hidden" name="csrf" value=(token);
            div class="actions" {
                button id="deny" type="submit" name="decision" value="deny" { "Deny" }
                button id="allow" type="submit" name="decision" value="allow" { "Allow" }
            }
        }
        @if may_make_passkey {
            p { a id="new-passkey" href=(format!("new-passkey?request={id}")) { "Make a passkey first, to log in without a password" } }
        }
    };
    page::page(StatusCode::OK, "Allow access", request.leads_to(), &content)
}

/// All that the decision is about. Its SHA-256 is kept with the grant: who has this text can prove what was allowed.
fn terms(api: &Api, request: &AuthorizationRequest, user: &User, granted: &Granted) -> Markup {
    let audience = granted.audience.strip_prefix(&*api.issuer).unwrap_or(&granted.audience);
    html! {
        h1 { "Allow " (request.client.name.as_str()) " access?" }
        p { "You are logged in as " strong id="user" { (user.name.as_str()) } "." }
        @for detail in granted.authorization_details.iter() {
            @match detail {
                AuthorizationDetail::Payment(payment) => { (self::payment(payment)) }
                AuthorizationDetail::Opaque(detail) => {
                    dl class="detail" {
                        dt { "Permission" } dd { (detail.detail_type().as_str()) }
                        dt { "Exactly" } dd { code { (detail.to_json()) } }
                    }
                }
            }
        }
        @if let AnswerTo::Device { .. } = &request.answer_to {
            p id="device-warning" {
                "A device asks for this. Allow it only if the device is before you and shows the code below: whoever sent you this code would get what you allow."
            }
        }
        @if granted.scope.iter().next().is_some() {
            p { (request.client.name.as_str()) " may:" }
            ul id="scopes" { @for scope in granted.scope.iter() { li { (meaning(scope)) } } }
        }
        dl {
            dt { "Client" } dd id="client" { (request.client.id.as_str()) }
            dt { "Resource" } dd id="resource" { (audience) }
            @match &request.answer_to {
                AnswerTo::Browser { return_to, .. } => {
                    dt { "Then you go to" } dd id="redirect-uri" { (return_to.redirect_uri) }
                }
                AnswerTo::Device { user_code, .. } => {
                    dt { "Code on the device" } dd id="user-code" { (user_code.shown()) }
                }
            }
        }
    }
}

fn payment(payment: &Payment) -> Markup {
    html! {
        dl class="payment" {
            dt { "Payment" } dd class="amount" { (payment.amount.as_str()) " " (payment.asset.as_str()) }
            dt { "To" } dd class="payee" { (payment.creditor_account.as_str()) }
            dt { "From your account" } dd class="account" { (payment.debtor_account.as_str()) }
            dt { "How often" } dd class="uses" {
                @if payment.uses == 1 { "once" } @else { "up to " (payment.uses) " times, each of at most this amount" }
            }
        }
    }
}

/// What a scope means, and the scope itself: nothing is hidden behind words.
fn meaning(scope: &Scope) -> Markup {
    let words = match scope.as_str() {
        "openid" => "know who you are here",
        "profile" => "know your name",
        "email" => "know your e-mail address",
        "offline_access" => "go on while you are away, until you take this back",
        "admin" => "do everything that you may do",
        _ => "use your rights:",
    };
    html! { (words) " " code { (scope.as_str()) } }
}

pub(super) async fn decide(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    let Some(RawBody(body)) = posted(&api, &headers, body) else { return page::gone() };
    let Some(posted) = Posted::read(&api, &headers, &body, CONSENT, &["shown"]) else {
        return page::gone();
    };
    let Posted { form, browser, id, pending, now } = posted;
    let (id, shown) = (id.as_str(), form.get("shown").unwrap_or_default());
    let request = &pending.request;
    let Some((session, user)) = login(&api, &browser, &pending, now) else {
        return see("login", id);
    };
    if form.get("decision") != Some("allow") {
        api.pending.close(id);
        tracing::info!(client_id = %request.client.id, user = %user.id, "a person denied a client what it asked for");
        let error = OAuthError::new(Code::AccessDenied, "the person said no");
        let facts = Facts {
            client: request.client.id.to_string(),
            subject: user.id.subject(),
            refused: Some("access_denied"),
            ..Facts::default()
        };
        return facts.with(refuse(&api, request, &error));
    }
    let granted = match settle(&api, request, &user) {
        Ok(granted) => granted,
        Err(error) => {
            api.pending.close(id);
            return refuse(&api, request, &error);
        }
    };
    let terms = terms(&api, request, &user, &granted);
    let page_sha256 = secret::sha256(terms.0.as_bytes());
    if hex(&page_sha256) != shown {
        // What the person may do has changed since: what is granted is what was shown, or nothing.
        return show_form(&api, &browser, id, request, (&terms, false));
    }
    let allowed = Allowed { session, granted, page_sha256: Some(page_sha256) };
    answer::grant(&api, id, request, allowed, now).await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
