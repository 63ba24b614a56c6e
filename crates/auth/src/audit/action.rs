//! What a request asks for, in the words of the audit.

use axum::http::Method;

/// What is audited of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Whatever comes of it, before it is answered.
    Always,
    /// Whatever comes of it.
    Soon,
    /// If it is refused.
    Refused,
    /// If the handler says something.
    Said,
}

/// The action, its object where the path names one, and when it is audited. `None` for what is open to everybody.
pub(super) fn of<'a>(method: &Method, path: &'a str) -> Option<(String, &'a str, When)> {
    let is_read = *method == Method::GET || *method == Method::HEAD;
    if let Some(rest) = path.strip_prefix("/v1/auth/") {
        return Some(administration(method, rest, is_read));
    }
    let path = path.strip_prefix("/oauth/")?;
    if let Some(id) = path.strip_prefix("register/") {
        let action = match *method {
            Method::PUT => "client.update",
            _ if is_read => "client.read",
            _ => "client.unregister",
        };
        return Some((action.to_owned(), id, if is_read { When::Refused } else { When::Always }));
    }
    let (action, when) = match path {
        "register" => ("client.register", When::Always),
        "token" => ("token", When::Soon),
        "par" => ("authorization.push", When::Soon),
        "device_authorization" => ("device.begin", When::Soon),
        "revoke" => ("token.revoke", When::Soon),
        "introspect" => ("token.introspect", When::Refused),
        "userinfo" => ("userinfo", When::Refused),
        "login" if !is_read => ("login", When::Said),
        "second-factor" if !is_read => ("login.second_factor", When::Said),
        "enrol" if !is_read => ("second_factor.enrol", When::Said),
        "passkey" if !is_read => ("login.passkey", When::Said),
        "new-passkey" if !is_read => ("passkey.make", When::Said),
        "device" if !is_read => ("device.connect", When::Said),
        // Where an earlier consent is enough, any of these makes a grant.
        "consent" if !is_read => ("consent", When::Said),
        "authorize" | "resume" => ("consent", When::Said),
        "logout" => ("logout", When::Said),
        _ => return None,
    };
    Some((action.to_owned(), "", when))
}

/// `POST clients/shop/secret` is `client.secret` of `shop`.
fn administration<'a>(method: &Method, rest: &'a str, is_read: bool) -> (String, &'a str, When) {
    let mut segments = rest.split('/');
    let kind = segments.next().unwrap_or_default();
    let (object, verb) = match (kind, segments.next(), segments.next()) {
        // `keys/rotate` names no key.
        ("keys", Some("rotate"), None) => ("", Some("rotate")),
        (_, object, verb) => (object.unwrap_or_default(), verb),
    };
    let kind = if kind == "audit" { kind } else { kind.strip_suffix('s').unwrap_or(kind) };
    let of_method = match *method {
        Method::GET | Method::HEAD => "read",
        Method::DELETE => "remove",
        Method::PUT => "put",
        _ => "create",
    };
    let verb = match verb {
        // What is made and removed below a person or a client.
        Some("second-factor") => format!("second_factor.{of_method}"),
        Some("passkeys") => format!("passkey.{of_method}"),
        Some(verb) => verb.to_owned(),
        None => of_method.to_owned(),
    };
    let when = match (kind, is_read) {
        // Whoever reads the audit is in it.
        ("audit", _) => When::Soon,
        (_, true) => When::Refused,
        (_, false) => When::Always,
    };
    (format!("{kind}.{verb}"), object, when)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_names() {
        for (method, path, expected) in [
            ("POST", "/oauth/token", Some(("token", "", When::Soon))),
            ("GET", "/oauth/login", None),
            ("POST", "/oauth/login", Some(("login", "", When::Said))),
            ("GET", "/oauth/jwks", None),
            ("POST", "/oauth/register", Some(("client.register", "", When::Always))),
            ("DELETE", "/oauth/register/x", Some(("client.unregister", "x", When::Always))),
            ("PUT", "/oauth/register/x", Some(("client.update", "x", When::Always))),
            ("GET", "/oauth/register/x", Some(("client.read", "x", When::Refused))),
            ("GET", "/oauth/revocations", None),
            ("GET", "/livez", None),
            ("POST", "/v1/auth/clients", Some(("client.create", "", When::Always))),
            ("DELETE", "/v1/auth/clients/shop", Some(("client.remove", "shop", When::Always))),
            ("POST", "/v1/auth/clients/shop/secret", Some(("client.secret", "shop", When::Always))),
            ("GET", "/v1/auth/clients/shop", Some(("client.read", "shop", When::Refused))),
            ("PUT", "/v1/auth/users/ada/password", Some(("user.password", "ada", When::Always))),
            ("GET", "/oauth/passkey.js", None),
            (
                "DELETE",
                "/v1/auth/users/ada/passkeys/AQI",
                Some(("user.passkey.remove", "ada", When::Always)),
            ),
            ("POST", "/oauth/enrol", Some(("second_factor.enrol", "", When::Said))),
            (
                "DELETE",
                "/v1/auth/users/ada/second-factor",
                Some(("user.second_factor.remove", "ada", When::Always)),
            ),
            ("POST", "/v1/auth/keys/rotate", Some(("key.rotate", "", When::Always))),
            ("POST", "/v1/auth/keys/k1/compromise", Some(("key.compromise", "k1", When::Always))),
            ("GET", "/v1/auth/audit", Some(("audit.read", "", When::Soon))),
        ] {
            let method: Method = method.parse().unwrap();
            let found = of(&method, path);
            let found = found.as_ref().map(|(action, object, when)| (&**action, *object, *when));
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}
