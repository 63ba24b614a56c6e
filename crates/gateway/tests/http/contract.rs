//! Requests that must fit the OpenAPI document of their upstream.

use serde_json::{Value, json};

use crate::support::{Upstream, World, config};

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_place() {
    let upstream = Upstream::start("orders").await;
    let document = json!({
        "openapi": "3.1.0",
        "paths": { "/v2/orders/{id}": { "put": {
            "parameters": [
                { "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } },
                { "name": "dry_run", "in": "query", "schema": { "type": "boolean" } },
            ],
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object",
                "required": ["amount"],
                "properties": { "amount": { "type": "string", "pattern": "^[0-9]+$" } },
            } } } },
        } } },
    });
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("orders.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let text = format!(
        "
        [[upstream]]
        name = \"orders\"
        addresses = [\"{}\"]
        [[route]]
        name = \"orders\"
        prefix = \"/orders\"
        upstream = \"orders\"
        rewrite = \"/v2/orders\"
        auth = \"none\"
        openapi_file = {file:?}
        ",
        upstream.address
    );
    let world = World::with(config(&text)).await;
    let put = async |path: &str, kind: &str, body: &'static str| {
        let request = world.client.put(world.url(path)).header("content-type", kind).body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        (status, body)
    };
    let json = "application/json";
    let (status, got) = put("/orders/7?dry_run=true", json, r#"{"amount":"5"}"#).await;
    assert_eq!((status, &got["target"]), (200, &"/v2/orders/7?dry_run=true".into()));
    assert_eq!(got["body_bytes"], 14, "what was read to be judged is passed on");
    for (path, kind, body, status, place, pointer) in [
        ("/orders/7", json, r#"{"amount":5}"#, 400, "body", "/amount"),
        ("/orders/7", json, r#"{"amount":"5","amount":"6"}"#, 400, "body", ""),
        ("/orders/7", json, "", 400, "body", ""),
        ("/orders/x", json, r#"{"amount":"5"}"#, 400, "path", ""),
        ("/orders/7?dry_run=maybe", json, r#"{"amount":"5"}"#, 400, "query", ""),
        ("/orders/7", "text/plain", "5", 415, "", ""),
        ("/orders/7/lines", json, "{}", 404, "", ""),
    ] {
        let (got, problem) = put(path, kind, body).await;
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (got, text("in"), text("pointer")),
            (status, place.to_owned(), pointer.to_owned()),
            "{path} {body}: {problem}"
        );
    }
    let response = world.client.get(world.url("/orders/7")).send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(upstream.requests(), 1);

    // A document that cannot be used changes nothing.
    std::fs::write(&file, "{}").unwrap();
    let mistakes = world.control.apply(config(&text)).unwrap_err().mistakes;
    assert!(mistakes[0].contains("openapi is not 3.1"), "{mistakes:?}");
    assert_eq!(put("/orders/7", json, r#"{"amount":"5"}"#).await.0, 200);
}
