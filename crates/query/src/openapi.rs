//! What the read side serves, for the OpenAPI document of the ledger (`openapi/ledger.json`).

use lombard_chassis::{
    ProblemType,
    openapi::{Content, JSON, Operation, Parameter},
    problems,
};

use crate::problem;

const AT_LEAST: Parameter =
    ("at_least", "Waits until this record of the log is taken into account");
const AS_OF: Parameter =
    ("as_of", "A position, or a time (RFC 3339) that has passed: what was true then");
const LIMIT: Parameter = ("limit", "Items of the page, at most");
const AFTER: Parameter = ("after", "What next of the page before says");
const BEFORE: Parameter = ("before", "What next of the page before says");
const NOT_REACHED: ProblemType = problems::POSITION_NOT_REACHED;

const fn get(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    scope: &'static str,
    query: &'static [Parameter],
    content: &'static [Content],
) -> Operation {
    Operation {
        method: "get",
        path,
        id,
        summary,
        scope,
        query,
        headers: &[],
        body: &[],
        status: 200,
        answer: "Lombard-Position has the last record that was taken into account",
        content,
        problems: &[NOT_REACHED],
    }
}

const fn of_account(operation: Operation) -> Operation {
    Operation { problems: &[NOT_REACHED, problem::ACCOUNT_NOT_FOUND], ..operation }
}

const fn of_transfer(operation: Operation) -> Operation {
    Operation { problems: &[NOT_REACHED, problem::TRANSFER_NOT_FOUND], ..operation }
}

/// All operations of the read side, below `/v1/ledger`.
pub const OPERATIONS: &[Operation] = &[
    get(
        "/assets",
        "listAssets",
        "All assets, by code",
        "ledger:read for anything",
        &[AFTER, LIMIT, AT_LEAST],
        &[(JSON, "AssetPage")],
    ),
    get(
        "/accounts",
        "listAccounts",
        "The accounts whose path begins so, by path",
        "ledger:read for anything",
        &[("prefix", "Paths that begin so"), AFTER, LIMIT, AT_LEAST, AS_OF],
        &[(JSON, "AccountPage")],
    ),
    of_account(get(
        "/accounts/by-path/{*path}",
        "getAccountByPath",
        "The account at a path",
        "ledger:read:PATH",
        &[AT_LEAST, AS_OF],
        &[(JSON, "Account")],
    )),
    of_account(get(
        "/accounts/{id}",
        "getAccount",
        "The account with an id",
        "ledger:read:PATH",
        &[AT_LEAST, AS_OF],
        &[(JSON, "Account")],
    )),
    Operation {
        problems: &[NOT_REACHED, problem::ACCOUNT_NOT_FOUND, problem::TOO_MUCH_TO_EXAMINE],
        ..get(
            "/accounts/{id}/balance",
            "getBalance",
            "What an account held, by commit time or by effective time",
            "ledger:read:PATH",
            &[("effective_at", "Counts what has an effective time up to then"), AT_LEAST, AS_OF],
            &[(JSON, "BalanceAt")],
        )
    },
    of_account(get(
        "/accounts/{id}/entries",
        "listEntries",
        "What transfers and time did to an account, with the balance after each",
        "ledger:read:PATH",
        &[
            AFTER,
            LIMIT,
            AT_LEAST,
            AS_OF,
            ("order", "oldest (the default) or latest"),
            ("kind", "single, pending, post, void, reversal, expired or posted_on_time"),
            ("side", "debit or credit"),
            ("moved", "true: only what moved money; false: only what did not"),
            ("recorded_from", "Recorded at this time (RFC 3339) or later"),
            ("recorded_until", "Recorded before this time"),
        ],
        &[(JSON, "EntryPage")],
    )),
    of_account(get(
        "/accounts/{id}/reservations",
        "listReservations",
        "Open pending transfers, oldest first",
        "ledger:read:PATH",
        &[AFTER, LIMIT, AT_LEAST, AS_OF],
        &[(JSON, "ReservationPage")],
    )),
    of_account(get(
        "/accounts/{id}/statements",
        "listStatements",
        "The heads of an account's statements, latest first",
        "ledger:read:PATH",
        &[BEFORE, LIMIT, AT_LEAST, AS_OF],
        &[(JSON, "StatementPage")],
    )),
    Operation {
        method: "post",
        path: "/accounts/{id}/statements",
        id: "sealStatement",
        summary: "Seals the account's next statement; the same again has no second effect",
        scope: "ledger:seal:PATH and ledger:read:PATH",
        query: &[],
        headers: &[],
        body: &[(JSON, "NewStatement")],
        status: 201,
        answer: "Its head; 200 where it was sealed before",
        content: &[(JSON, "StatementHead")],
        problems: &[
            NOT_REACHED,
            problems::DISK_FULL,
            problems::OUTCOME_UNKNOWN,
            problem::ACCOUNT_NOT_FOUND,
            problem::INVALID_PERIOD,
            problem::STATEMENT_OUT_OF_ORDER,
            problem::TOO_MUCH_TO_EXAMINE,
        ],
    },
    Operation {
        problems: &[
            NOT_REACHED,
            problem::ACCOUNT_NOT_FOUND,
            problem::STATEMENT_NOT_FOUND,
            problem::NOT_EXPRESSIBLE,
            problem::TOO_MUCH_TO_EXAMINE,
        ],
        ..get(
            "/accounts/{id}/statements/{number}",
            "getStatement",
            "A statement with its lines",
            "ledger:read:PATH",
            &[("format", "json, csv or camt.053; without it, what Accept says"), AT_LEAST],
            &[(JSON, "Statement"), ("text/csv", "Rows"), ("application/xml", "Camt053")],
        )
    },
    of_account(get(
        "/export/entries",
        "exportEntries",
        "All entries of an account, oldest first",
        "ledger:read:PATH",
        &[
            ("account", "The account's id"),
            ("format", "jsonl (the default) or csv"),
            AT_LEAST,
            AS_OF,
        ],
        &[("application/jsonl", "Rows"), ("text/csv", "Rows")],
    )),
    get(
        "/export/hledger",
        "exportJournal",
        "All that was moved, as a journal for hledger or ledger-cli",
        "ledger:read",
        &[AT_LEAST, AS_OF],
        &[("text/plain", "Rows")],
    ),
    get(
        "/export/transfers",
        "exportTransfers",
        "All transfers in the order of the log, refused ones included",
        "ledger:read",
        &[("format", "jsonl (the default) or csv"), AT_LEAST, AS_OF],
        &[("application/jsonl", "Rows"), ("text/csv", "Rows")],
    ),
    of_account(get(
        "/explain/balances/{id}",
        "explainBalance",
        "An account's balance, and each of its entries, latest first, back to its HTTP request",
        "ledger:read:PATH",
        &[BEFORE, LIMIT, AT_LEAST, AS_OF],
        &[(JSON, "BalanceExplanation")],
    )),
    of_transfer(get(
        "/explain/transfers/{id}",
        "explainTransfer",
        "From what a transfer did back to the token and the HTTP request",
        "ledger:read:PATH of one of its accounts",
        &[AT_LEAST, AS_OF],
        &[(JSON, "TransferExplanation")],
    )),
    Operation {
        problems: &[NOT_REACHED, problem::TOO_MUCH_TO_EXAMINE],
        ..get(
            "/totals",
            "getTotals",
            "What all accounts below a path add up to, per asset",
            "ledger:read:PREFIX*, or ledger:read without a prefix",
            &[("prefix", "Paths that begin so"), AT_LEAST, AS_OF],
            &[(JSON, "Totals")],
        )
    },
    get(
        "/transfers",
        "listTransfers",
        "All transfers, latest first, refused ones included; or the set with an external id",
        "ledger:read, or of one of its accounts with external_id",
        &[
            BEFORE,
            LIMIT,
            AT_LEAST,
            AS_OF,
            ("external_id", "The caller's own name for a set: finds it, linearizable"),
            ("code", "Only those of this code"),
            ("refused", "true: only refused ones; false: only others"),
        ],
        &[(JSON, "TransferPage")],
    ),
    of_transfer(get(
        "/transfers/{id}",
        "getTransfer",
        "The posting set with an id; linearizable unless as_of is said",
        "ledger:read:PATH of one of its accounts",
        &[AT_LEAST, AS_OF],
        &[(JSON, "TransferOrSet")],
    )),
    get(
        "/trial-balance",
        "getTrialBalance",
        "Both sides of all accounts, per asset",
        "ledger:read",
        &[AT_LEAST, AS_OF],
        &[(JSON, "TrialBalance")],
    ),
];
