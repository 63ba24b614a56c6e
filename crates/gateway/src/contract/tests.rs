use http::HeaderValue;
use serde_json::json;

use super::*;

fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "servers": [{ "url": "https://orders.example/v2/" }],
        "paths": {
            "/orders": {
                "get": { "parameters": [
                    { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 100 } },
                    { "name": "state", "in": "query", "schema": { "type": "array", "items": { "enum": ["open", "paid"] } } },
                    { "name": "X-Version", "in": "header", "required": true, "schema": { "type": "string", "pattern": "^[0-9]+$" } },
                ] },
                "post": { "requestBody": { "$ref": "#/components/requestBodies/Order" } },
            },
            "/orders/{id}": {
                "parameters": [{ "$ref": "#/components/parameters/Id" }],
                "get": {},
                "delete": { "parameters": [
                    { "name": "ids", "in": "query", "explode": false, "schema": { "type": "array", "items": { "type": "integer" } } },
                ] },
            },
            "/notes": { "put": { "requestBody": { "content": { "text/*": {}, "application/merge-patch+json": { "schema": { "type": "object" } } } } } },
        },
        "components": {
            "parameters": { "Id": { "name": "id", "in": "path", "required": true, "schema": { "$ref": "#/components/schemas/Id" } } },
            "requestBodies": { "Order": { "required": true, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Order" } } } } },
            "schemas": {
                "Id": { "type": "integer" },
                "Line": { "type": "object", "required": ["amount"], "properties": { "amount": { "type": "string", "pattern": "^[0-9]+$" } } },
                "Order": { "type": "object", "additionalProperties": false, "properties": { "lines": { "type": "array", "items": { "$ref": "#/components/schemas/Line" } } } },
            },
        },
    })
}

/// `body`: its kind, and the bytes.
fn check(
    contract: &Contract,
    method: &str,
    target: &str,
    body: Option<(&str, &str)>,
) -> Result<(), Mismatch> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-version", HeaderValue::from_static("7"));
    if let Some((kind, _)) = body {
        headers.insert("content-type", kind.parse().unwrap());
    }
    let path = NormalPath::parse(path).unwrap();
    let asking = contract.check_head(&method.parse().unwrap(), &path, query, &headers)?;
    let bytes = body.map(|(_, bytes)| bytes.as_bytes());
    let whole = bytes.filter(|_| asking.needs_body(&headers));
    asking.check_body(&headers, bytes.is_none(), whole)
}

#[test]
fn what_fits_and_what_does_not() {
    let contract = load::from_document(&document()).unwrap();
    let json = |text| Some(("application/json; charset=utf-8", text));
    for (method, target, body) in [
        ("GET", "/v2/orders", None),
        ("GET", "/v2/orders?limit=100&state=open&state=paid&other=x", None),
        ("GET", "/v2/orders/42", None),
        ("DELETE", "/v2/orders/42?ids=1,2", None),
        ("POST", "/v2/orders", json(r#"{"lines":[{"amount":"5"}]}"#)),
        ("PUT", "/v2/notes", None),
        ("PUT", "/v2/notes", Some(("text/plain", "anything"))),
        ("PUT", "/v2/notes", Some(("application/merge-patch+json", "{}"))),
    ] {
        assert_eq!(check(&contract, method, target, body), Ok(()), "{method} {target} {body:?}");
    }
    for (method, target, body, expected) in [
        ("GET", "/v2/nothing", None, Mismatch::Path),
        ("GET", "/orders", None, Mismatch::Path),
        ("PATCH", "/v2/orders", None, Mismatch::Method),
        ("POST", "/v2/orders", Some(("text/plain", "x")), Mismatch::MediaType),
    ] {
        assert_eq!(check(&contract, method, target, body), Err(expected), "{method} {target}");
    }
    for (method, target, body, place, name, pointer) in [
        ("GET", "/v2/orders?limit=0", None, "query", Some("limit"), ""),
        ("GET", "/v2/orders?limit=x", None, "query", Some("limit"), ""),
        ("GET", "/v2/orders?limit=1&limit=2", None, "query", Some("limit"), ""),
        ("GET", "/v2/orders?state=open&state=lost", None, "query", Some("state"), "/1"),
        ("GET", "/v2/orders/abc", None, "path", Some("id"), ""),
        ("DELETE", "/v2/orders/1?ids=1,x", None, "query", Some("ids"), "/1"),
        ("POST", "/v2/orders", None, "body", None, ""),
        ("POST", "/v2/orders", json("{"), "body", None, ""),
        (
            "POST",
            "/v2/orders",
            json(r#"{"lines":[{"amount":"1"},{"amount":"x"}]}"#),
            "body",
            None,
            "/lines/1/amount",
        ),
        (
            "POST",
            "/v2/orders",
            json(r#"{"lines":[{"amount":1}]}"#),
            "body",
            None,
            "/lines/0/amount",
        ),
        ("POST", "/v2/orders", json(r#"{"lines":[{}]}"#), "body", None, "/lines/0"),
        ("POST", "/v2/orders", json(r#"{"more":1}"#), "body", None, ""),
        ("POST", "/v2/orders", json(r#"{"lines":[],"lines":[{}]}"#), "body", None, ""),
        ("PUT", "/v2/notes", Some(("application/merge-patch+json", "[]")), "body", None, ""),
    ] {
        let Err(Mismatch::Value(misfit)) = check(&contract, method, target, body) else {
            panic!("{method} {target} {body:?} is taken");
        };
        let found = (misfit.place, misfit.name.as_deref(), misfit.pointer.as_str());
        assert_eq!(found, (place, name, pointer), "{method} {target} {body:?}: {misfit:?}");
        assert!(!misfit.reason.is_empty());
    }
}

#[test]
fn a_header_that_is_missing() {
    let contract = load::from_document(&document()).unwrap();
    let path = NormalPath::parse("/v2/orders").unwrap();
    let missing = contract.check_head(&Method::GET, &path, None, &HeaderMap::new()).err();
    let Some(Mismatch::Value(misfit)) = missing else { panic!("it is taken") };
    assert_eq!((misfit.place, misfit.name.as_deref()), ("header", Some("X-Version")));
}

#[test]
fn documents_with_mistakes() {
    let wrong = |change: fn(&mut Value)| {
        let mut document = document();
        change(&mut document);
        load::from_document(&document).unwrap_err().to_string()
    };
    for (said, expected) in [
        (wrong(|document| document["openapi"] = "3.0.3".into()), "3.1"),
        (
            wrong(|document| {
                document["paths"]["/orders/{no}"] =
                    json!({ "get": { "parameters": [{ "name": "id", "in": "path" }] } })
            }),
            "no such parameter",
        ),
        (
            wrong(|document| document["components"]["schemas"]["Line"]["type"] = 7.into()),
            "/components",
        ),
        (wrong(|document| document["components"]["requestBodies"] = json!({})), "leads nowhere"),
        (wrong(|document| document["paths"]["/a/../b"] = json!({})), "normalized path"),
        (
            wrong(|document| {
                document["components"]["schemas"]["Id"] = json!({ "$ref": "https://a.example/s" })
            }),
            "not fetched",
        ),
    ] {
        assert!(said.contains(expected), "{said}");
    }
}
