//! An oracle that is not ours: random histories of the reference model go through the ledger's encoding and the read side's
//! indexes, are exported as a journal, and Debian's `hledger` must come to the same balances, for each account and asset,
//! to the last unit.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../ledger-core/tests/proof/mod.rs"]
mod proof;

use std::{collections::BTreeMap, sync::Arc};

use axum::{body::Body, extract::Request, http::StatusCode, middleware};
use http_body_util::BodyExt as _;
use lombard_chassis::{Metrics, context};
use lombard_engine::encode_record;
use lombard_ledger::EventCodec;
use lombard_ledger_core::{Balance, NormalSide};
use lombard_log::{Batch, MemoryLog, SharedLog};
use lombard_query::{Config, Deps, Query};
use lombard_testkit::{Issuer, hledger};
use lombard_types::Position;
use proof::Beside;
use tower::ServiceExt as _;

const ISSUER: Issuer = Issuer::for_role("ledger");
const HISTORIES: u64 = 12;
const OPERATIONS: usize = 600;

/// The log that the engine would have written.
async fn log_of(lived: &Beside) -> SharedLog {
    let log: SharedLog = Arc::new(MemoryLog::new());
    let mut batch = Batch::default();
    for (event, recorded) in &lived.history {
        let events = std::slice::from_ref(event);
        batch.push_with(|out| encode_record(&EventCodec, recorded.time, events, out));
    }
    log.append(Position::START, batch).await.unwrap();
    log
}

/// What the read side exports of it.
async fn journal_of(log: SharedLog) -> String {
    let directory = tempfile::tempdir().unwrap();
    let verifier = ISSUER.ready_verifier().await;
    let last = log.tail().previous().unwrap();
    let deps = Deps {
        log,
        codec: EventCodec,
        directory: directory.path().join("query"),
        verifier,
        metrics: Metrics::new("query"),
    };
    let query = Query::start(Config::default(), deps).await.unwrap();
    let router = query.router().layer(middleware::from_fn(context::layer));
    let request = Request::get(format!("/v1/ledger/export/hledger?at_least={last}"))
        .header("authorization", format!("Bearer {}", ISSUER.token("tester", "ledger:read")))
        .body(Body::empty())
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn hledger_agrees_with_random_histories() {
    if !hledger::is_there() {
        eprintln!("skipped: hledger is not installed (apt-get install hledger)");
        return;
    }
    let mut compared = 0;
    for seed in 0..HISTORIES {
        let lived = proof::run(seed, OPERATIONS)
            .unwrap_or_else(|(number, how)| panic!("seed {seed}, operation {number}: {how}"));
        let journal = journal_of(log_of(&lived).await).await;
        let found = hledger::balances(&journal).unwrap();
        let mut expected = BTreeMap::new();
        for account in lived.book.accounts() {
            let asset = lived.book.asset_of(account);
            // hledger's balances are debits less credits.
            let posted = account.totals.posted(NormalSide::Debit);
            if posted != Balance::ZERO {
                let name = account.path.to_string().replace('/', ":");
                let posted = posted.display(asset.scale).to_string();
                expected.insert((name, asset.code.to_string()), posted);
            }
        }
        assert_eq!(found, expected, "seed {seed}");
        compared += expected.len();
    }
    assert!(compared > 20, "only {compared} balances were not zero");
}
