//! What bodies look like, for the OpenAPI document.

use lombard_chassis::openapi::{object, problem_schema, reference};
use serde_json::{Value, json};

/// All schemas of the ledger.
pub fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let flag = json!({ "type": "boolean" });
    let number = json!({ "type": "integer", "minimum": 0 });
    let digits = json!({ "type": "string", "pattern": "^[0-9]+$" });
    let amount = json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$" });
    let balance = json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" });
    let id = json!({ "type": "string", "format": "uuid" });
    let time = json!({ "type": "string", "format": "date-time" });
    let or_null = |kind: &str| json!({ "type": [kind, "null"] });
    let side = json!({ "enum": ["debit", "credit"] });
    let list = |schema: &str| json!({ "type": "array", "items": reference(schema) });
    let next =
        json!({ "type": ["string", "null"], "description": "What to ask the next page with" });
    let page = |schema: &str| object(json!({ "items": list(schema), "next": next }));
    let examined =
        |schema: &str| object(json!({ "items": list(schema), "next": next, "examined?": number }));
    let causes = json!({
        "event": object(json!({
            "kind": { "enum": ["transfer_created", "transfer_refused"] }, "position": digits, "recorded_at": time,
        })),
        "command": object(json!({ "id": id, "idempotency_key": or_null("string") })),
        "actor": object(json!({ "client_id": text, "subject": text, "token_id": text })),
        "request": object(json!({ "id": text, "traceparent": or_null("string") })),
    });
    json!({
        "Problem": problem_schema(),
        "NewAsset": object(json!({ "code": text, "scale": { "type": "integer", "minimum": 0, "maximum": 18 } })),
        "Asset": object(json!({ "code": text, "scale": number, "built_in": flag })),
        "AssetPage": page("Asset"),
        "NewAccount": object(json!({
            "id?": id, "path": text, "asset": text, "normal_side?": side, "floor?": or_null("string"),
            "ceiling?": or_null("string"),
        })),
        "Account": object(json!({
            "id": id, "path": text, "asset": text, "normal_side": side, "floor": or_null("string"),
            "ceiling": or_null("string"), "closed": flag, "version": digits,
            "balance": object(json!({ "posted": balance, "pending": balance, "available": balance })),
            "totals": object(json!({
                "debits_pending": amount, "debits_posted": amount, "credits_pending": amount,
                "credits_posted": amount,
            })),
        })),
        "AccountPage": page("Account"),
        "AccountName": { "anyOf": [
            { "type": "string", "description": "A path" }, object(json!({ "id": id })),
        ] },
        "UserData": object(json!({ "data_128?": digits, "data_64?": digits, "data_32?": number })),
        "Condition": object(json!({
            "account": side, "available_at_least?": balance, "available_at_most?": balance,
            "posted_at_least?": balance, "posted_at_most?": balance, "version?": digits,
        })),
        "Leg": object(json!({
            "debit_account": reference("AccountName"), "credit_account": reference("AccountName"), "asset": text,
            "amount": amount, "code?": number, "user_data?": reference("UserData"),
            "balancing?": { "enum": ["debit", "credit", "both"] }, "conditions?": list("Condition"),
        })),
        "PostingSet": object(json!({
            "id?": id, "transfers?": list("Leg"), "debit_account?": reference("AccountName"),
            "credit_account?": reference("AccountName"), "asset?": text, "amount?": amount,
            "user_data?": reference("UserData"), "balancing?": { "enum": ["debit", "credit", "both"] },
            "conditions?": list("Condition"), "code?": number, "effective_at?": time,
            "pending?": object(json!({ "timeout_seconds?": number, "allowance?": amount, "scheduled?": flag })),
            "imported?": flag, "override_lock?": flag, "external_id?": text, "metadata?": { "type": "object" },
        })),
        "About": object(json!({
            "id?": id, "amount?": amount, "amounts?": { "type": "array", "items": amount }, "code?": number,
            "effective_at?": time, "override_lock?": flag, "external_id?": text, "metadata?": { "type": "object" },
        })),
        "Batch": object(json!({ "sets": list("PostingSet") })),
        "BatchResults": object(json!({ "results": { "type": "array", "items": { "anyOf": [
            object(json!({ "transfer": reference("TransferOrSet") })),
            object(json!({ "problem": reference("Problem") })),
        ] } } })),
        "Transfer": object(json!({
            "id": id, "kind": { "enum": ["single", "pending", "post", "void", "reversal"] },
            "status": { "enum": ["posted", "refused", "pending", "voided", "expired"] }, "result?": text,
            "debit_account": text, "debit_account_id": id, "credit_account": text, "credit_account_id": id,
            "asset": text, "amount": amount, "code": number, "user_data?": reference("UserData"),
            "pending_id?": id, "reverses?": id, "allowance?": amount, "expires_at?": time, "posts_at?": time,
            "effective_at": time, "recorded_at": time, "position": digits, "external_id?": text,
            "metadata?": { "type": "object" },
        })),
        "TransferOrSet": { "anyOf": [
            reference("Transfer"),
            object(json!({ "id": id, "status": text, "transfers": list("Transfer") })),
        ] },
        "TransferPage": examined("Transfer"),
        "Rows": { "type": "string", "description": "One row a line" },
        "Imported": object(json!({
            "rows": number, "created": number, "replayed": number, "refused": number,
            "problems": { "type": "array", "items": object(json!({
                "line": number, "column?": number, "id?": text, "error": text, "detail": text,
            })) },
        })),
        "NewChartRule": object(json!({
            "open?": flag, "normal_side?": side, "assets?": { "type": "array", "items": text },
            "floor_min?": balance,
        })),
        "ChartRule": object(json!({
            "prefix": text, "open": flag, "normal_side": { "enum": ["debit", "credit", null] },
            "assets": { "type": "array", "items": text }, "floor_min": or_null("string"),
        })),
        "ChartRules": object(json!({ "items": list("ChartRule") })),
        "PeriodLock": object(json!({ "name": text, "from": time, "until": time })),
        "PeriodLocks": object(json!({ "items": list("PeriodLock") })),
        "BalanceAt": object(json!({
            "account_id": id, "path": text, "asset": text, "time": time, "effective_at": or_null("string"),
            "version": or_null("string"), "posted": balance, "pending": or_null("string"),
            "available": or_null("string"), "debits_posted": amount, "credits_posted": amount,
            "debits_pending": or_null("string"), "credits_pending": or_null("string"),
        })),
        "Entry": object(json!({
            "number": digits, "transfer_id": id, "kind": text, "side": side, "amount": amount, "reserved?": amount,
            "released?": amount, "balance": balance, "available": balance, "counterparty": text, "code": number,
            "effective_at": time, "recorded_at": time, "position": digits,
        })),
        "EntryPage": examined("Entry"),
        "Reservation": object(json!({
            "transfer_id": id, "position": digits, "side": side, "amount": amount, "counterparty": text,
            "ends_at": or_null("string"),
        })),
        "ReservationPage": page("Reservation"),
        "NewStatement": object(json!({ "until": time, "from?": time })),
        "StatementHead": object(json!({
            "account_id": id, "account": text, "asset": text, "number": number, "from": time, "until": time,
            "opening": balance, "closing": balance, "line_count": digits, "lines_sha256": text,
            "drawn_up_at": or_null("string"), "sealed_at": time, "position": digits,
        })),
        "StatementPage": page("StatementHead"),
        "StatementLine": object(json!({
            "number": number, "transfer_id": id, "kind": text, "side": side, "amount": amount, "balance": balance,
            "counterparty": text, "code": number, "effective_at": time, "recorded_at": time, "position": digits,
            "late": flag, "external_id?": text,
        })),
        "Statement": { "allOf": [
            reference("StatementHead"), object(json!({ "lines": list("StatementLine") })),
        ] },
        "Camt053": { "type": "string", "description": "ISO 20022 camt.053.001.08" },
        "TransferExplanation": { "allOf": [
            object(json!({
                "entries": { "type": "array", "items": object(json!({
                    "account": text, "account_id": id, "side": side, "number": digits, "amount": amount,
                    "balance_after": balance,
                })) },
                "transfer": reference("Transfer"),
            })),
            object(causes.clone()),
        ] },
        "BalanceExplanation": object(json!({
            "account": reference("Account"),
            "entries": { "type": "array", "items": { "allOf": [reference("Entry"), object(causes)] } },
            "next": next,
        })),
        "Sums": object(json!({
            "asset": text, "account_count": number, "debits_pending": amount, "debits_posted": amount,
            "credits_pending": amount, "credits_posted": amount,
        })),
        "Totals": object(json!({ "prefix": or_null("string"), "assets": list("Sums") })),
        "TrialBalance": object(json!({ "balanced": flag, "assets": { "type": "array", "items": object(json!({
            "asset": text, "account_count": number, "debits": amount, "credits": amount, "debits_pending": amount,
            "credits_pending": amount, "balanced": flag,
        })) } })),
    })
}
