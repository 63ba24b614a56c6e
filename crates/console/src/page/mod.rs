//! The pages. Everything that is shown goes through `maud`, which escapes it.

mod layout;
mod sections;
mod stylesheet;

use lombard_types::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use crate::read::Overview;

pub(crate) use stylesheet::Stylesheet;

/// Whether the page loads itself again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Refresh {
    #[default]
    On,
    Off,
}

/// What the overview is made of.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) time: Timestamp,
    pub(crate) refresh: Refresh,
    pub(crate) refresh_seconds: u32,
    pub(crate) stylesheet: &'a str,
    pub(crate) overview: &'a Overview,
}

/// The overview of the platform.
pub(crate) fn overview(view: &View<'_>) -> Markup {
    let refresh_seconds = (view.refresh == Refresh::On).then_some(view.refresh_seconds);
    let Overview { is_authenticated, roles, services, trial_balance, transfers, accounts, streams } =
        view.overview;
    let content = html! {
        header {
            h1 { "Lombard" }
            p {
                "Read with the rights of " strong { (view.client_id) } " at "
                (layout::time(&view.time.to_string())) ". "
                @if refresh_seconds.is_some() {
                    "Loads again every " (view.refresh_seconds) " s. "
                    a href="/console?refresh=off" { "Stop loading again" }
                } @else {
                    a href="/console" { "Load again every " (view.refresh_seconds) " s" }
                }
            }
        }
        main {
            (sections::roles(roles, *is_authenticated))
            (sections::trial_balance(trial_balance))
            (sections::transfers(transfers))
            (sections::accounts(accounts))
            (sections::services(services))
            (sections::streams(streams))
        }
    };
    layout::document("Lombard", view.stylesheet, refresh_seconds, content)
}

/// What is shown without credentials, or with wrong ones.
pub(crate) fn unauthenticated(stylesheet: &str, is_wrong: bool) -> Markup {
    let content = html! {
        header { h1 { "Lombard" } }
        main {
            @if is_wrong {
                p class="notice" { "The client id or the secret is wrong." }
            }
            p {
                "Sign in with the id of an OAuth client as the user name and its secret as the password. \
                 The console reads with that client's rights and has none of its own."
            }
            p { a href="/console" { "Try again" } }
        }
    };
    layout::document("Lombard: sign in", stylesheet, None, content)
}
