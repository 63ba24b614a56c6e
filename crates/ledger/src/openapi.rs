//! What the write side serves, for the OpenAPI document of the ledger (`openapi/ledger.json`).

use lombard_chassis::{
    ProblemType,
    openapi::{Content, JSON, Operation, Parameter},
    problems,
};

use crate::problem;

const KEY: &[Parameter] = &[(
    "Idempotency-Key",
    "1 to 255 visible ASCII characters: the same request with the same key happens once",
)];
const DRY_RUN: &[Parameter] = &[(
    "dry_run",
    "true: everything is checked and answered the same, with 200, and nothing recorded",
)];
const SET: &[Content] = &[(JSON, "PostingSet")];

/// What recording something may answer.
const RECORDING: [ProblemType; 3] =
    [problems::DISK_FULL, problems::OUTCOME_UNKNOWN, problem::IDEMPOTENCY_KEY_INVALID];

/// What a posting set may end with.
const POSTING: &[ProblemType] = &[
    problems::DISK_FULL,
    problems::OUTCOME_UNKNOWN,
    problem::IDEMPOTENCY_KEY_INVALID,
    problem::IDEMPOTENCY_KEY_MISSING,
    problem::IDEMPOTENCY_KEY_REUSED,
    problem::IDEMPOTENCY_KEY_IN_PROGRESS,
    problem::AMOUNT_NOT_A_STRING,
    problem::MALFORMED_AMOUNT,
    problem::TOO_MANY_FRACTION_DIGITS,
    problem::AMOUNT_TOO_LARGE,
    problem::METADATA_TOO_LARGE,
    problem::TRANSFER_NOT_FOUND,
    problem::ASSET_NOT_FOUND,
    problem::DEBIT_ACCOUNT_NOT_FOUND,
    problem::CREDIT_ACCOUNT_NOT_FOUND,
    problem::TRANSFER_EXISTS,
    problem::ACCOUNTS_MUST_BE_DIFFERENT,
    problem::AMOUNT_MUST_NOT_BE_ZERO,
    problem::ASSET_MISMATCH,
    problem::INSUFFICIENT_FUNDS,
    problem::BALANCE_OVERFLOW,
    problem::BOOK_FULL,
    problem::INVALID_TRANSFER,
    problem::PENDING_TRANSFER_MISMATCH,
    problem::PENDING_TRANSFER_OVER,
    problem::EXCEEDS_PENDING_AMOUNT,
    problem::NOT_REVERSIBLE,
    problem::EXCEEDS_REVERSIBLE_AMOUNT,
    problem::EXTERNAL_ID_TAKEN,
    problem::PAYMENT_NOT_AUTHORIZED,
    problem::PERIOD_LOCKED,
    problem::ACCOUNT_CLOSED,
    problem::CEILING_EXCEEDED,
    problem::BALANCE_CONDITION_FAILED,
];

const fn posting(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    scope: &'static str,
    body: &'static [Content],
) -> Operation {
    Operation {
        method: "post",
        path,
        id,
        summary,
        scope,
        query: DRY_RUN,
        headers: KEY,
        body,
        status: 201,
        answer: "It happened, now or when it was asked for first (Idempotency-Replayed: true)",
        content: &[(JSON, "TransferOrSet")],
        problems: POSTING,
    }
}

const fn change(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    scope: &'static str,
    content: &'static [Content],
) -> Operation {
    Operation {
        method,
        path,
        id,
        summary,
        scope,
        query: &[],
        headers: KEY,
        body: &[],
        status: 200,
        answer: "As it is now",
        content,
        problems: &RECORDING,
    }
}

/// All operations of the write side, below `/v1/ledger`.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        body: &[(JSON, "NewAsset")],
        status: 201,
        answer: "The asset; 200 where it was known",
        problems: &[RECORDING[0], RECORDING[1], RECORDING[2], problem::ASSET_EXISTS],
        ..change(
            "post",
            "/assets",
            "createAsset",
            "Makes an asset known",
            "ledger:write",
            &[(JSON, "Asset")],
        )
    },
    Operation {
        body: &[(JSON, "NewAccount")],
        status: 201,
        answer: "The account; 200 where it was open",
        problems: &[
            RECORDING[0],
            RECORDING[1],
            RECORDING[2],
            problem::AMOUNT_NOT_A_STRING,
            problem::MALFORMED_AMOUNT,
            problem::TOO_MANY_FRACTION_DIGITS,
            problem::AMOUNT_TOO_LARGE,
            problem::ASSET_NOT_FOUND,
            problem::ACCOUNT_EXISTS,
            problem::PATH_TAKEN,
            problem::FLOOR_ABOVE_CEILING,
            problem::CHART_OF_ACCOUNTS_VIOLATED,
            problem::BOOK_FULL,
        ],
        ..change(
            "post",
            "/accounts",
            "openAccount",
            "Opens an account",
            "ledger:write:PATH",
            &[(JSON, "Account")],
        )
    },
    Operation {
        problems: &[
            RECORDING[0],
            RECORDING[1],
            RECORDING[2],
            problem::ACCOUNT_NOT_FOUND,
            problem::ACCOUNT_HAS_PENDING_TRANSFERS,
        ],
        ..change(
            "post",
            "/accounts/{id}/close",
            "closeAccount",
            "Lets an account take no more transfers",
            "ledger:close:PATH",
            &[(JSON, "Account")],
        )
    },
    Operation {
        problems: &[RECORDING[0], RECORDING[1], RECORDING[2], problem::ACCOUNT_NOT_FOUND],
        ..change(
            "post",
            "/accounts/{id}/reopen",
            "reopenAccount",
            "Lets an account take transfers again",
            "ledger:close:PATH",
            &[(JSON, "Account")],
        )
    },
    posting(
        "/transfers",
        "createTransfer",
        "Creates a posting set: one transfer, or up to 256 of which all happen or none",
        "ledger:write:PATH of each debit account, or a payment",
        SET,
    ),
    Operation {
        body: &[(JSON, "Batch")],
        status: 200,
        answer: "One result for each set, in order",
        content: &[(JSON, "BatchResults")],
        ..posting(
            "/batches",
            "createBatch",
            "Creates many posting sets, each of which happens or not by itself",
            "ledger:write:PATH of each debit account, or a payment",
            SET,
        )
    },
    posting(
        "/transfers/{id}/post",
        "postTransfer",
        "Moves what a pending set has reserved, or a part, or more within its allowance",
        "ledger:post:PATH of its debit accounts",
        &[(JSON, "About")],
    ),
    posting(
        "/transfers/{id}/void",
        "voidTransfer",
        "Releases what a pending set has reserved",
        "ledger:void:PATH of its debit accounts",
        &[(JSON, "About")],
    ),
    posting(
        "/transfers/{id}/reverse",
        "reverseTransfer",
        "Moves back what a set has moved, or a part of what is left of it",
        "ledger:reverse:PATH of its credit accounts",
        &[(JSON, "About")],
    ),
    Operation {
        headers: &[],
        body: &[("text/csv", "Rows"), ("application/jsonl", "Rows")],
        content: &[(JSON, "Imported")],
        answer: "What became of the rows",
        problems: &[],
        ..change(
            "post",
            "/import",
            "importTransfers",
            "Records history from elsewhere, row by row",
            "ledger:import",
            &[],
        )
    },
    Operation {
        headers: &[],
        answer: "All rules, by prefix",
        problems: &[],
        ..change(
            "get",
            "/chart-rules",
            "listChartRules",
            "The rules of the chart of accounts",
            "ledger:read for anything",
            &[(JSON, "ChartRules")],
        )
    },
    Operation {
        body: &[(JSON, "NewChartRule")],
        problems: &[
            RECORDING[0],
            RECORDING[1],
            RECORDING[2],
            problem::AMOUNT_NOT_A_STRING,
            problem::MALFORMED_AMOUNT,
            problem::TOO_MANY_FRACTION_DIGITS,
            problem::AMOUNT_TOO_LARGE,
            problem::ASSET_NOT_FOUND,
            problem::TOO_MANY_RULES,
        ],
        ..change(
            "put",
            "/chart-rules/{*prefix}",
            "setChartRule",
            "Sets what may be opened at a path and below",
            "ledger:chart",
            &[(JSON, "ChartRule")],
        )
    },
    Operation {
        answer: "The rule that is gone",
        problems: &[RECORDING[0], RECORDING[1], RECORDING[2], problem::CHART_RULE_NOT_FOUND],
        ..change(
            "delete",
            "/chart-rules/{*prefix}",
            "removeChartRule",
            "Removes a rule of the chart of accounts",
            "ledger:chart",
            &[(JSON, "ChartRule")],
        )
    },
    Operation {
        headers: &[],
        answer: "All locks, by name",
        problems: &[],
        ..change(
            "get",
            "/period-locks",
            "listPeriodLocks",
            "The locked periods",
            "ledger:read for anything",
            &[(JSON, "PeriodLocks")],
        )
    },
    Operation {
        body: &[(JSON, "PeriodLock")],
        status: 201,
        answer: "The lock; 200 where the period was locked so",
        problems: &[
            RECORDING[0],
            RECORDING[1],
            RECORDING[2],
            problem::PERIOD_LOCK_EXISTS,
            problem::INVALID_PERIOD,
            problem::TOO_MANY_RULES,
        ],
        ..change(
            "post",
            "/period-locks",
            "lockPeriod",
            "Lets no transfer have an effective time in a period",
            "ledger:lock",
            &[(JSON, "PeriodLock")],
        )
    },
    Operation {
        answer: "The lock that is gone",
        problems: &[RECORDING[0], RECORDING[1], RECORDING[2], problem::PERIOD_LOCK_NOT_FOUND],
        ..change(
            "delete",
            "/period-locks/{name}",
            "unlockPeriod",
            "Unlocks a period",
            "ledger:lock",
            &[(JSON, "PeriodLock")],
        )
    },
];
