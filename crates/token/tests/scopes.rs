//! What scopes permit and cover, against a plain reading of them.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

use lombard_token::{Scope, ScopeSet};
use proptest::prelude::*;

#[test]
fn grammar() {
    for text in [
        "admin",
        "ledger:read",
        "ledger:write:customers/42/*",
        "events:append:payments-*",
        "a:b:*",
        "registry:register:payments",
    ] {
        assert_eq!(text.parse::<Scope>().unwrap().as_str(), text);
    }
    for text in [
        "",
        "ledger",
        "Admin",
        "ledger:",
        ":read",
        "ledger:Read",
        "ledger:read:",
        "ledger:read:a b",
        "a:b:*x",
        "a:b:**",
        "a:b:a*b",
        "a:b:../x",
        "a:b:x/..",
        "ledger:read\n",
        &format!("a:b:{}", "x".repeat(200)),
    ] {
        assert!(text.parse::<Scope>().is_err(), "{text:?}");
    }
    assert!("a:b  a:c".parse::<ScopeSet>().is_err());
    assert!(" a:b".parse::<ScopeSet>().is_err());
    assert_eq!("a:b a:c a:b".parse::<ScopeSet>().unwrap().to_string(), "a:b a:c");
    assert!(vec!["a:b"; 51].join(" ").parse::<ScopeSet>().is_err());
}

#[test]
fn permissions() {
    let set: ScopeSet = "ledger:write:customers/42/* ledger:read".parse().unwrap();
    assert!(set.permits("ledger", "write", Some("customers/42/wallet")));
    assert!(!set.permits("ledger", "write", Some("customers/421")));
    assert!(!set.permits("ledger", "write", Some("customers/42")));
    assert!(!set.permits("ledger", "write", None));
    assert!(set.permits("ledger", "read", None));
    assert!(set.permits("ledger", "read", Some("anything")));
    assert!(!set.permits("auth", "read", None));
    assert!(set.has_family("ledger") && !set.has_family("auth"));
    assert!("admin".parse::<ScopeSet>().unwrap().permits("auth", "write", None));
}

fn scope() -> impl Strategy<Value = Scope> {
    "(admin|[ab]:[rw](:([xy]{1,3}\\*?|\\*))?)".prop_map(|text| text.parse().unwrap())
}

proptest! {
    /// Whatever a narrower scope permits, the one that covers it permits too; and every scope covers itself.
    #[test]
    fn covering_is_sound(wide in scope(), narrow in scope(), paths in prop::collection::vec("[xy]{1,4}", 0..8)) {
        prop_assert!(wide.covers(&wide));
        if wide.covers(&narrow) {
            for (family, operation) in [("a", "r"), ("a", "w"), ("b", "r")] {
                let everything = narrow.permits(family, operation, None);
                prop_assert!(!everything || wide.permits(family, operation, None), "{wide} {narrow}");
                for path in &paths {
                    let is_permitted = narrow.permits(family, operation, Some(path));
                    prop_assert!(!is_permitted || wide.permits(family, operation, Some(path)), "{wide} {narrow} {path}");
                }
            }
        }
    }

    /// What is permitted follows from the text, read plainly.
    #[test]
    fn permitting_is_what_the_text_says(scope in scope(), path in "[xy]{1,4}") {
        let text = scope.as_str();
        let plain = text == "admin"
            || text == "a:r"
            || text == format!("a:r:{path}")
            || text.strip_prefix("a:r:").and_then(|pattern| pattern.strip_suffix('*')).is_some_and(|stem| path.starts_with(stem));
        prop_assert_eq!(scope.permits("a", "r", Some(&path)), plain);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        if let Ok(set) = text.parse::<ScopeSet>() {
            let again: ScopeSet = set.to_string().parse().unwrap();
            prop_assert_eq!(again, set);
        }
    }
}
