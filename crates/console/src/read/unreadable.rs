//! Why something could not be read, in a sentence for whoever looks at the page.

use http::StatusCode;

use crate::tokens::Resource;

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// No connection, or one that broke.
    Away { who: &'static str },
    /// No whole answer in time.
    Slow { who: &'static str },
    /// The client has no scope for this resource at all.
    NoScope(Resource),
    /// The token does not carry the scope that this takes.
    Forbidden { scope: Option<String> },
    /// The token was not accepted, although it was given for this.
    TokenRefused { who: &'static str },
    /// Any other refusal.
    Refused { who: &'static str, status: StatusCode, title: Option<String> },
    /// An answer that is too long, or not of the expected form.
    Misunderstood { who: &'static str },
}

impl Unreadable {
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Away { who } => format!("Not shown: {who} cannot be reached."),
            Self::Slow { who } => format!("Not shown: {who} did not answer in time."),
            Self::NoScope(resource) => format!(
                "Not shown: this client has no scope for {}. It takes {}.",
                resource.name(),
                resource.scope()
            ),
            Self::Forbidden { scope: Some(scope) } => {
                format!("Not shown: this client may not read it. It takes the scope {scope}.")
            }
            Self::Forbidden { scope: None } => "Not shown: this client may not read it.".to_owned(),
            Self::TokenRefused { who } => format!(
                "Not shown: {who} did not accept the access token. The next load asks for a new one."
            ),
            Self::Refused { who, status, title } => {
                let title = title.as_ref().map_or(String::new(), |title| format!(": {title}"));
                format!("Not shown: {who} answered {}{title}.", status.as_u16())
            }
            Self::Misunderstood { who } => {
                format!("Not shown: {who} answered in a form that this console does not know.")
            }
        }
    }
}
