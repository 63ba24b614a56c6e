use proptest::prelude::*;
use serde_json::json;

use super::*;

fn id() -> PaymentId {
    PaymentId::from_bytes([7; 16])
}

fn read(value: &Value) -> Result<AuthorizationDetails, ParseDetailsError> {
    AuthorizationDetails::parse_request(&value.to_string(), id)
}

fn payment() -> Value {
    json!({
        "type": "payment", "amount": "125.00", "asset": "EUR",
        "debtor_account": "customers/42/wallet", "creditor_account": "merchants/7",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut payment = payment();
    payment[name] = value;
    json!([payment])
}

fn without(name: &str) -> Value {
    let mut payment = payment();
    payment.as_object_mut().unwrap().remove(name);
    json!([payment])
}

#[test]
fn a_payment_gets_its_id_and_its_defaults_and_is_read_back() {
    let details = read(&json!([payment()])).unwrap();
    let [payment] = details.payments().collect::<Vec<_>>()[..] else { panic!("{details:?}") };
    assert_eq!((payment.id.as_str(), payment.uses), ("07070707070707070707070707070707", 1));
    let text = details.to_value().to_string();
    assert_eq!(AuthorizationDetails::parse_granted(&text), Ok(details));
}

#[test]
fn other_types_are_kept_as_they_are() {
    let value = json!([{
        "type": "https://bank.example/statement", "locations": ["https://bank.example/reports"],
        "actions": ["read"], "period": { "from": "2026-01", "pages": [1, 2.5, null, true] },
    }]);
    let details = read(&value).unwrap();
    assert_eq!(details.to_value(), value);
    let [AuthorizationDetail::Opaque(detail)] = &details.0[..] else { panic!("{details:?}") };
    assert_eq!(detail.location(), Some("https://bank.example/reports"));
    assert_eq!(detail.get("actions"), Some(&json!(["read"])));
    assert_eq!(AuthorizationDetails::parse_granted(&value.to_string()), Ok(details));
}

/// serde_json reads numbers with an error in the last place unless it is asked not to: what was granted was then written
/// into tokens as another number. Found by fuzzing.
#[test]
fn numbers_stay_the_same_number() {
    let text = r#"[{"type":"t","s":555555555555555555555555555555555555555555.0}]"#;
    let granted = AuthorizationDetails::parse_granted(text).unwrap();
    let written = granted.to_value().to_string();
    assert_eq!(AuthorizationDetails::parse_granted(&written), Ok(granted));
}

#[test]
fn what_does_not_fit_is_refused_for_the_right_reason() {
    use ParseDetailsError as E;
    let in_member =
        |name| move |error: &E| matches!(error, E::Member { member, .. } if *member == name);
    type IsExpected = Box<dyn Fn(&ParseDetailsError) -> bool>;
    let cases: Vec<(Value, IsExpected)> = vec![
        (json!({}), Box::new(|e| *e == E::Malformed)),
        (json!("payment"), Box::new(|e| *e == E::Malformed)),
        (json!(["payment"]), Box::new(|e| *e == E::Malformed)),
        (json!([]), Box::new(|e| *e == E::Count)),
        (json!(vec![payment(); 9]), Box::new(|e| *e == E::Count)),
        (json!([{ "type": "x", "y": "z".repeat(4000) }]), Box::new(|e| *e == E::TooLong)),
        (json!([{}]), Box::new(|e| *e == E::Type)),
        (with("type", json!(1)), Box::new(|e| *e == E::Type)),
        (with("type", json!("")), Box::new(|e| *e == E::Type)),
        (with("type", json!("two words")), Box::new(|e| *e == E::Type)),
        (with("type", json!("x".repeat(65))), Box::new(|e| *e == E::Type)),
        (without("amount"), Box::new(in_member("amount"))),
        (with("amount", json!(125)), Box::new(in_member("amount"))),
        (with("amount", json!("0")), Box::new(in_member("amount"))),
        (with("amount", json!("-1")), Box::new(in_member("amount"))),
        (with("amount", json!("1e9")), Box::new(in_member("amount"))),
        (without("asset"), Box::new(in_member("asset"))),
        (with("asset", json!("eur")), Box::new(in_member("asset"))),
        (without("debtor_account"), Box::new(in_member("debtor_account"))),
        (with("debtor_account", json!("customers/*")), Box::new(in_member("debtor_account"))),
        (with("debtor_account", json!("customers/../bank")), Box::new(in_member("debtor_account"))),
        (without("creditor_account"), Box::new(in_member("creditor_account"))),
        (with("creditor_account", json!(null)), Box::new(in_member("creditor_account"))),
        (
            with("creditor_account", json!("customers/42/wallet")),
            Box::new(in_member("creditor_account")),
        ),
        (with("uses", json!(0)), Box::new(in_member("uses"))),
        (with("uses", json!(-1)), Box::new(in_member("uses"))),
        (with("uses", json!(1.5)), Box::new(in_member("uses"))),
        (with("uses", json!("1")), Box::new(in_member("uses"))),
        (with("uses", json!(null)), Box::new(in_member("uses"))),
        (with("uses", json!(1_000_001)), Box::new(in_member("uses"))),
        // The id is not the requester's to choose, and nothing may be there that is not understood.
        (
            with("id", json!(id().as_str())),
            Box::new(|e| matches!(e, E::UnknownMember { name, .. } if &**name == "id")),
        ),
        (
            with("memo", json!("x")),
            Box::new(|e| matches!(e, E::UnknownMember { name, .. } if &**name == "memo")),
        ),
        (json!([{ "type": "x", "locations": [] }]), Box::new(in_member("locations"))),
        (json!([{ "type": "x", "locations": ["a", "b"] }]), Box::new(in_member("locations"))),
        (json!([{ "type": "x", "locations": "a" }]), Box::new(in_member("locations"))),
    ];
    for (value, is_expected) in cases {
        let error = read(&value).unwrap_err();
        assert!(is_expected(&error), "{value}: {error:?}");
    }
    for text in [
        "",
        "x",
        "[",
        r#"[{"type":"payment","type":"x"}]"#,
        r#"[{"type":"x","a":{"b":1,"b":2}}]"#,
        "[{\"type\":\"x\"}] ,",
    ] {
        let found = AuthorizationDetails::parse_request(text, id);
        assert_eq!(found, Err(ParseDetailsError::Malformed), "{text}");
    }
    let deep = format!(r#"[{{"type":"x","a":{}1{}}}]"#, "[".repeat(20), "]".repeat(20));
    assert_eq!(AuthorizationDetails::parse_request(&deep, id), Err(ParseDetailsError::Malformed));
}

#[test]
fn in_a_token_nothing_is_left_to_defaults() {
    let granted = |value: Value| AuthorizationDetails::parse_granted(&value.to_string());
    let whole = read(&json!([payment()])).unwrap().to_value();
    granted(whole.clone()).unwrap();
    for name in ["id", "amount", "asset", "debtor_account", "creditor_account", "uses"] {
        let mut part = whole.clone();
        part[0].as_object_mut().unwrap().remove(name);
        let error = granted(part).unwrap_err();
        assert!(
            matches!(error, ParseDetailsError::Member { member, .. } if member == name),
            "{error:?}"
        );
    }
}

#[test]
fn narrowing_keeps_ids_and_uses_each_detail_once() {
    let granted =
        AuthorizationDetails::parse_request(&with("uses", json!(3)).to_string(), id).unwrap();
    let other = || PaymentId::from_bytes([9; 16]);
    let ask = |value: &Value| {
        let requested = AuthorizationDetails::parse_request(&value.to_string(), other).unwrap();
        granted.narrow(&requested)
    };
    let narrowed = ask(&with("amount", json!("124.99"))).unwrap();
    let payment = narrowed.payments().next().unwrap();
    assert_eq!((payment.id.clone(), payment.amount.as_str(), payment.uses), (id(), "124.99", 1));
    for wider in [
        with("amount", json!("125.01")),
        with("uses", json!(4)),
        with("asset", json!("USD")),
        with("creditor_account", json!("merchants/8")),
        with("debtor_account", json!("customers/43/wallet")),
        json!([self::payment(), self::payment()]),
        json!([{ "type": "x" }]),
    ] {
        assert_eq!(ask(&wider), None, "{wider}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        drop(AuthorizationDetails::parse_request(&text, id).ok());
    }

    /// What covers is never narrower in any member.
    #[test]
    fn covering_is_no_wider(amounts in (1u32..500, 1u32..500), uses in (1u32..5, 1u32..5), same in any::<[bool; 3]>()) {
        let make = |amount: u32, uses: u32, same: [bool; 3]| {
            let pick = |is_same: bool, a: &str, b: &str| if is_same { a.to_owned() } else { b.to_owned() };
            let value = json!([{
                "type": "payment", "amount": format!("{}.{:02}", amount / 100, amount % 100), "uses": uses,
                "asset": pick(same[0], "EUR", "USD"), "debtor_account": pick(same[1], "a", "b"),
                "creditor_account": pick(same[2], "c", "d"),
            }]);
            read(&value).unwrap()
        };
        let (own, wanted) = (make(amounts.0, uses.0, [true; 3]), make(amounts.1, uses.1, same));
        let is_covered = amounts.1 <= amounts.0 && uses.1 <= uses.0 && same == [true; 3];
        prop_assert_eq!(own.narrow(&wanted).is_some(), is_covered);
    }
}
