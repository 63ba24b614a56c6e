//! The ledger's problems: the only place that names their status codes.
//!
//! A problem that stands for a result of the rules carries the result's name as the member `result`.

use std::time::Duration;

use lombard_chassis::{Problem, ProblemType, problems};
use lombard_engine::{QueryError, SubmitError};
pub(crate) use lombard_ledger_api::problem::invalid_path;
pub use lombard_ledger_api::problem::{
    ACCOUNT_NOT_FOUND, INVALID_PERIOD, STATEMENT_OUT_OF_ORDER, TRANSFER_NOT_FOUND,
};
use lombard_ledger_core::{
    AccountRejection, AssetRejection, ChartRejection, ClosingRejection, PeriodRejection, Rejection,
    StatementRejection, TransferRefusal, TransferRejection,
};
use lombard_types::{ParseAmountError, Position};

// === what is wrong with the request ===

/// An amount was a JSON number, which many programs round.
pub const AMOUNT_NOT_A_STRING: ProblemType =
    ProblemType::new(400, "amount-not-a-string", "Amount is not a string");
/// A sign, an exponent, a space, a leading zero, or no number at all.
pub const MALFORMED_AMOUNT: ProblemType =
    ProblemType::new(400, "malformed-amount", "Malformed amount");
/// More digits after the point than the asset has.
pub const TOO_MANY_FRACTION_DIGITS: ProblemType =
    ProblemType::new(400, "too-many-fraction-digits", "Too many digits after the point");
/// Over 2^128 - 1 minor units.
pub const AMOUNT_TOO_LARGE: ProblemType =
    ProblemType::new(400, "amount-too-large", "Amount too large");
/// Metadata over the limit.
pub const METADATA_TOO_LARGE: ProblemType =
    ProblemType::new(400, "metadata-too-large", "Metadata too large");
/// A request that needs an `Idempotency-Key` has none.
pub const IDEMPOTENCY_KEY_MISSING: ProblemType =
    ProblemType::new(400, "idempotency-key-missing", "Idempotency-Key missing");
/// The `Idempotency-Key` is not 1 to 255 visible ASCII characters.
pub const IDEMPOTENCY_KEY_INVALID: ProblemType =
    ProblemType::new(400, "idempotency-key-invalid", "Idempotency-Key invalid");
/// The `Idempotency-Key` was used for a request with other content.
pub const IDEMPOTENCY_KEY_REUSED: ProblemType =
    ProblemType::new(422, "idempotency-key-reused", "Idempotency-Key reused");

// === what is not there ===

/// The asset that a request names does not exist.
pub const ASSET_NOT_FOUND: ProblemType =
    ProblemType::new(422, "asset-not-found", "Asset not found");
/// The account to debit does not exist.
pub const DEBIT_ACCOUNT_NOT_FOUND: ProblemType =
    ProblemType::new(422, "debit-account-not-found", "Debit account not found");
/// The account to credit does not exist.
pub const CREDIT_ACCOUNT_NOT_FOUND: ProblemType =
    ProblemType::new(422, "credit-account-not-found", "Credit account not found");

// === what is there already ===

/// The asset exists with another scale.
pub const ASSET_EXISTS: ProblemType =
    ProblemType::new(409, "asset-exists", "Asset exists and is different");
/// The account exists with other properties.
pub const ACCOUNT_EXISTS: ProblemType =
    ProblemType::new(409, "account-exists", "Account exists and is different");
/// Another account has the path.
pub const PATH_TAKEN: ProblemType = ProblemType::new(409, "path-taken", "Path taken");
/// The transfer's id is spent on a transfer with other content.
pub const TRANSFER_EXISTS: ProblemType =
    ProblemType::new(409, "transfer-exists", "Transfer exists and is different");

// === what the rules of double entry refuse ===

/// Debit and credit account are the same.
pub const ACCOUNTS_MUST_BE_DIFFERENT: ProblemType =
    ProblemType::new(422, "accounts-must-be-different", "Accounts must be different");
/// The amount is zero.
pub const AMOUNT_MUST_NOT_BE_ZERO: ProblemType =
    ProblemType::new(422, "amount-must-not-be-zero", "Amount must not be zero");
/// The two accounts, or the request and the accounts, are about different assets.
pub const ASSET_MISMATCH: ProblemType =
    ProblemType::new(422, "asset-mismatch", "Assets do not match");
/// An account would go below its floor. Recorded: the id is spent, a retry is refused too.
pub const INSUFFICIENT_FUNDS: ProblemType =
    ProblemType::new(422, "insufficient-funds", "Insufficient funds");
/// A total would be over 2^128 - 1. Recorded: the id is spent, a retry is refused too.
pub const BALANCE_OVERFLOW: ProblemType =
    ProblemType::new(422, "balance-overflow", "Balance overflow");
/// The book cannot number more accounts or transfers.
pub const BOOK_FULL: ProblemType = ProblemType::new(507, "book-full", "Book full");

// === posting sets, rules and locks ===

/// The fields of a transfer or of a posting set do not go together.
pub const INVALID_TRANSFER: ProblemType =
    ProblemType::new(422, "invalid-transfer", "Invalid transfer");
/// The transfer to post or void was never pending, or is another one than the request says.
pub const PENDING_TRANSFER_MISMATCH: ProblemType =
    ProblemType::new(422, "pending-transfer-mismatch", "Pending transfer does not match");
/// The transfer was posted, voided or has expired already.
pub const PENDING_TRANSFER_OVER: ProblemType =
    ProblemType::new(409, "pending-transfer-over", "Pending transfer is over");
/// More is to be posted than is pending and allowed on top.
pub const EXCEEDS_PENDING_AMOUNT: ProblemType =
    ProblemType::new(422, "exceeds-pending-amount", "Exceeds the pending amount");
/// The transfer to reverse has moved nothing, or is another one than the request says.
pub const NOT_REVERSIBLE: ProblemType = ProblemType::new(422, "not-reversible", "Not reversible");
/// More is to be reversed than is left. Recorded: the id is spent, a retry is refused too.
pub const EXCEEDS_REVERSIBLE_AMOUNT: ProblemType =
    ProblemType::new(422, "exceeds-reversible-amount", "Exceeds what is left to reverse");
/// Another posting set has the external id.
pub const EXTERNAL_ID_TAKEN: ProblemType =
    ProblemType::new(409, "external-id-taken", "External id taken");
/// The token's payment authorization does not permit this payment.
pub const PAYMENT_NOT_AUTHORIZED: ProblemType =
    ProblemType::new(403, "payment-not-authorized", "Payment not authorized");
/// The effective time is in a locked period. Recorded: the id is spent, a retry is refused too.
pub const PERIOD_LOCKED: ProblemType = ProblemType::new(422, "period-locked", "Period locked");
/// An account is closed. Recorded: the id is spent, a retry is refused too.
pub const ACCOUNT_CLOSED: ProblemType = ProblemType::new(422, "account-closed", "Account closed");
/// An account would go above its ceiling. Recorded: the id is spent, a retry is refused too.
pub const CEILING_EXCEEDED: ProblemType =
    ProblemType::new(422, "ceiling-exceeded", "Ceiling exceeded");
/// A balance or version is not what a condition of the request says. Recorded: the id is spent, a retry is refused too.
pub const BALANCE_CONDITION_FAILED: ProblemType =
    ProblemType::new(422, "balance-condition-failed", "Condition failed");
/// No balance could be above the floor and below the ceiling.
pub const FLOOR_ABOVE_CEILING: ProblemType =
    ProblemType::new(422, "floor-above-ceiling", "Floor above ceiling");
/// A rule of the chart of accounts forbids this account here.
pub const CHART_OF_ACCOUNTS_VIOLATED: ProblemType =
    ProblemType::new(422, "chart-of-accounts-violated", "Chart of accounts violated");
/// An account with pending transfers cannot be closed.
pub const ACCOUNT_HAS_PENDING_TRANSFERS: ProblemType =
    ProblemType::new(409, "account-has-pending-transfers", "Account has pending transfers");
/// No rule of the chart of accounts has this prefix.
pub const CHART_RULE_NOT_FOUND: ProblemType =
    ProblemType::new(404, "chart-rule-not-found", "Chart rule not found");
/// No lock has this name.
pub const PERIOD_LOCK_NOT_FOUND: ProblemType =
    ProblemType::new(404, "period-lock-not-found", "Period lock not found");
/// The lock exists with another period.
pub const PERIOD_LOCK_EXISTS: ProblemType =
    ProblemType::new(409, "period-lock-exists", "Period lock exists and is different");
/// The book has as many rules or locks as it may have.
pub const TOO_MANY_RULES: ProblemType = ProblemType::new(409, "too-many-rules", "Too many rules");
/// A request with this `Idempotency-Key` is being worked on.
pub const IDEMPOTENCY_KEY_IN_PROGRESS: ProblemType =
    ProblemType::new(409, "idempotency-key-in-progress", "Idempotency-Key in progress");

/// All of the ledger's own, for documentation and its test.
pub const ALL: &[ProblemType] = &[
    AMOUNT_NOT_A_STRING,
    MALFORMED_AMOUNT,
    TOO_MANY_FRACTION_DIGITS,
    AMOUNT_TOO_LARGE,
    METADATA_TOO_LARGE,
    IDEMPOTENCY_KEY_MISSING,
    IDEMPOTENCY_KEY_INVALID,
    IDEMPOTENCY_KEY_REUSED,
    ACCOUNT_NOT_FOUND,
    TRANSFER_NOT_FOUND,
    ASSET_NOT_FOUND,
    DEBIT_ACCOUNT_NOT_FOUND,
    CREDIT_ACCOUNT_NOT_FOUND,
    ASSET_EXISTS,
    ACCOUNT_EXISTS,
    PATH_TAKEN,
    TRANSFER_EXISTS,
    ACCOUNTS_MUST_BE_DIFFERENT,
    AMOUNT_MUST_NOT_BE_ZERO,
    ASSET_MISMATCH,
    INSUFFICIENT_FUNDS,
    BALANCE_OVERFLOW,
    BOOK_FULL,
    INVALID_TRANSFER,
    PENDING_TRANSFER_MISMATCH,
    PENDING_TRANSFER_OVER,
    EXCEEDS_PENDING_AMOUNT,
    NOT_REVERSIBLE,
    EXCEEDS_REVERSIBLE_AMOUNT,
    EXTERNAL_ID_TAKEN,
    PAYMENT_NOT_AUTHORIZED,
    PERIOD_LOCKED,
    ACCOUNT_CLOSED,
    CEILING_EXCEEDED,
    BALANCE_CONDITION_FAILED,
    FLOOR_ABOVE_CEILING,
    CHART_OF_ACCOUNTS_VIOLATED,
    ACCOUNT_HAS_PENDING_TRANSFERS,
    CHART_RULE_NOT_FOUND,
    PERIOD_LOCK_NOT_FOUND,
    PERIOD_LOCK_EXISTS,
    INVALID_PERIOD,
    TOO_MANY_RULES,
    IDEMPOTENCY_KEY_IN_PROGRESS,
    STATEMENT_OUT_OF_ORDER,
];

/// A command without known effect.
pub(crate) fn from_submit_error(error: SubmitError<Rejection>) -> Problem {
    match error {
        SubmitError::Rejected { rejection, position } => from_rejection(rejection, position),
        SubmitError::Overloaded | SubmitError::Expired => {
            Problem::new(&problems::OVERLOADED).detail(error.to_string()).retry_after(SOON)
        }
        SubmitError::DiskFull => Problem::new(&problems::DISK_FULL).detail(error.to_string()),
        SubmitError::TooLarge { .. } => {
            Problem::new(&problems::BODY_TOO_LARGE).detail(error.to_string())
        }
        SubmitError::OutcomeUnknown => {
            Problem::new(&problems::OUTCOME_UNKNOWN).detail(error.to_string()).retry_after(SOON)
        }
        SubmitError::Stopped => {
            Problem::new(&problems::STOPPING).detail(error.to_string()).retry_after(SOON)
        }
    }
}

/// A question that the writer did not answer.
pub(crate) fn from_query_error(error: QueryError) -> Problem {
    let kind = match error {
        QueryError::Overloaded => &problems::OVERLOADED,
        QueryError::Unavailable => &problems::STOPPING,
    };
    Problem::new(kind).detail(error.to_string()).retry_after(SOON)
}

/// The answer to trouble that passes by itself.
const SOON: Duration = Duration::from_secs(1);

fn from_rejection(rejection: Rejection, position: Option<Position>) -> Problem {
    let kind = match &rejection {
        Rejection::Asset(AssetRejection::ExistsWithDifferentScale) => &ASSET_EXISTS,
        Rejection::Account(rejection) => of_account(*rejection),
        Rejection::Closing(ClosingRejection::AccountNotFound) => &ACCOUNT_NOT_FOUND,
        Rejection::Closing(ClosingRejection::AccountHasPendingTransfers) => {
            &ACCOUNT_HAS_PENDING_TRANSFERS
        }
        Rejection::Chart(rejection) => of_chart(*rejection),
        Rejection::Period(rejection) => of_period(*rejection),
        Rejection::Statement(rejection) => of_statement(*rejection),
        Rejection::Unreadable(cause) => {
            tracing::error!(%cause, "the writer could not look at the past");
            return Problem::new(&problems::INTERNAL);
        }
    };
    let problem = Problem::new(kind).detail(rejection.to_string()).with("result", rejection.name());
    with_position(problem, position)
}

const fn of_account(rejection: AccountRejection) -> &'static ProblemType {
    match rejection {
        AccountRejection::PathTaken => &PATH_TAKEN,
        AccountRejection::ExistsWithDifferentPath
        | AccountRejection::ExistsWithDifferentAsset
        | AccountRejection::ExistsWithDifferentNormalSide
        | AccountRejection::ExistsWithDifferentFloor
        | AccountRejection::ExistsWithDifferentCeiling => &ACCOUNT_EXISTS,
        AccountRejection::AssetNotFound => &ASSET_NOT_FOUND,
        AccountRejection::FloorAboveCeiling => &FLOOR_ABOVE_CEILING,
        AccountRejection::ViolatesChartOfAccounts => &CHART_OF_ACCOUNTS_VIOLATED,
        AccountRejection::TooManyAccounts => &BOOK_FULL,
    }
}

const fn of_chart(rejection: ChartRejection) -> &'static ProblemType {
    match rejection {
        ChartRejection::ChartRuleNotFound => &CHART_RULE_NOT_FOUND,
        ChartRejection::AssetNotFound => &ASSET_NOT_FOUND,
        ChartRejection::TooManyChartRules => &TOO_MANY_RULES,
    }
}

const fn of_statement(rejection: StatementRejection) -> &'static ProblemType {
    match rejection {
        StatementRejection::AccountNotFound => &ACCOUNT_NOT_FOUND,
        StatementRejection::PeriodMustNotBeEmpty | StatementRejection::PeriodMustHaveEnded => {
            &INVALID_PERIOD
        }
        StatementRejection::MustFollowTheLastStatement => &STATEMENT_OUT_OF_ORDER,
    }
}

const fn of_period(rejection: PeriodRejection) -> &'static ProblemType {
    match rejection {
        PeriodRejection::PeriodLockNotFound => &PERIOD_LOCK_NOT_FOUND,
        PeriodRejection::ExistsWithDifferentPeriod => &PERIOD_LOCK_EXISTS,
        PeriodRejection::PeriodMustNotBeEmpty => &INVALID_PERIOD,
        PeriodRejection::TooManyPeriodLocks => &TOO_MANY_RULES,
    }
}

/// A posting set that left no trace.
pub(crate) fn from_transfer_rejection(rejection: TransferRejection) -> Problem {
    let kind = of_transfer(rejection);
    Problem::new(kind).detail(rejection.to_string()).with("result", rejection.name())
}

const fn of_transfer(rejection: TransferRejection) -> &'static ProblemType {
    use TransferRejection as R;
    match rejection {
        R::ExistsWithDifferentTransferCount
        | R::ExistsWithDifferentFlags
        | R::ExistsWithDifferentPendingId
        | R::ExistsWithDifferentTimeout
        | R::ExistsWithDifferentDebitAccountId
        | R::ExistsWithDifferentCreditAccountId
        | R::ExistsWithDifferentAmount
        | R::ExistsWithDifferentUserData128
        | R::ExistsWithDifferentUserData64
        | R::ExistsWithDifferentUserData32
        | R::ExistsWithDifferentAsset
        | R::ExistsWithDifferentCode
        | R::ExistsWithDifferentEffectiveAt
        | R::ExistsWithDifferentAllowance
        | R::ExistsWithDifferentConditions
        | R::ExistsWithDifferentExternalId
        | R::ExistsWithDifferentMetadata => &TRANSFER_EXISTS,
        R::LinkedEventChainOpen
        | R::TooManyTransfers
        | R::SetMustHaveOneId
        | R::ImportedEventTimestampOutOfRange
        | R::ImportedEventTimestampMustNotAdvance
        | R::ReservedFlag
        | R::IdMustNotBeZero
        | R::IdMustNotBeIntMax
        | R::FlagsAreMutuallyExclusive
        | R::DebitAccountIdMustNotBeZero
        | R::DebitAccountIdMustNotBeIntMax
        | R::CreditAccountIdMustNotBeZero
        | R::CreditAccountIdMustNotBeIntMax
        | R::PendingIdMustBeZero
        | R::PendingIdMustNotBeZero
        | R::PendingIdMustNotBeIntMax
        | R::PendingIdMustBeDifferent
        | R::TimeoutReservedForPendingTransfer
        | R::ScheduledTimeMustBeLater
        | R::PendingTransfersMustNotBeMixed
        | R::ConditionTransferNotFound => &INVALID_TRANSFER,
        R::AccountsMustBeDifferent => &ACCOUNTS_MUST_BE_DIFFERENT,
        R::AmountMustNotBeZero => &AMOUNT_MUST_NOT_BE_ZERO,
        R::DebitAccountNotFound => &DEBIT_ACCOUNT_NOT_FOUND,
        R::CreditAccountNotFound => &CREDIT_ACCOUNT_NOT_FOUND,
        R::AccountsMustHaveTheSameAsset | R::TransferMustHaveTheSameAssetAsAccounts => {
            &ASSET_MISMATCH
        }
        R::PendingTransferNotFound | R::ReversedTransferNotFound => &TRANSFER_NOT_FOUND,
        R::PendingTransferNotPending
        | R::PendingTransferHasDifferentTransferCount
        | R::PendingTransferHasDifferentDebitAccountId
        | R::PendingTransferHasDifferentCreditAccountId
        | R::PendingTransferHasDifferentAmount => &PENDING_TRANSFER_MISMATCH,
        R::ExceedsPendingTransferAmount => &EXCEEDS_PENDING_AMOUNT,
        R::PendingTransferAlreadyPosted
        | R::PendingTransferAlreadyVoided
        | R::PendingTransferExpired => &PENDING_TRANSFER_OVER,
        R::ReversedTransferNotPosted
        | R::ReversedTransferHasDifferentTransferCount
        | R::ReversedTransferHasDifferentAccounts => &NOT_REVERSIBLE,
        R::ExternalIdTaken => &EXTERNAL_ID_TAKEN,
        R::AuthorityKindNotCovered
        | R::AuthorityHasDifferentDebtor
        | R::AuthorityHasDifferentAsset
        | R::AuthorityHasDifferentCreditor
        | R::ExceedsAuthorityAmount
        | R::AuthorityUsedUp => &PAYMENT_NOT_AUTHORIZED,
    }
}

/// A posting set that was refused by the state of the moment.
pub(crate) fn from_refusal(refusal: TransferRefusal) -> Problem {
    use TransferRefusal as R;
    let kind = match refusal {
        R::ExceedsCredits | R::ExceedsDebits => &INSUFFICIENT_FUNDS,
        R::OverflowsDebitsPending
        | R::OverflowsCreditsPending
        | R::OverflowsDebitsPosted
        | R::OverflowsCreditsPosted
        | R::OverflowsDebits
        | R::OverflowsCredits => &BALANCE_OVERFLOW,
        R::OverflowsTimeout | R::LinkedEventFailed => &INVALID_TRANSFER,
        R::ExceedsReversibleAmount => &EXCEEDS_REVERSIBLE_AMOUNT,
        R::PeriodLocked => &PERIOD_LOCKED,
        R::DebitAccountAlreadyClosed | R::CreditAccountAlreadyClosed => &ACCOUNT_CLOSED,
        R::DebitAccountExceedsCeiling | R::CreditAccountExceedsCeiling => &CEILING_EXCEEDED,
        R::VersionConditionFailed | R::BalanceConditionFailed => &BALANCE_CONDITION_FAILED,
    };
    Problem::new(kind).detail(refusal.to_string()).with("result", refusal.name())
}

/// Says the record that an answer depends on.
pub(crate) fn with_position(problem: Problem, position: Option<Position>) -> Problem {
    match position {
        Some(position) => problem.with("position", position.to_string()),
        None => problem,
    }
}

/// A text that is not an amount of its asset.
pub(crate) fn from_parse_amount_error(field: &'static str, error: ParseAmountError) -> Problem {
    let kind = match error {
        ParseAmountError::Malformed => &MALFORMED_AMOUNT,
        ParseAmountError::TooManyFractionDigits { .. } => &TOO_MANY_FRACTION_DIGITS,
        ParseAmountError::TooLarge => &AMOUNT_TOO_LARGE,
    };
    Problem::new(kind).detail(format!("{field}: {error}")).with("field", field)
}

/// A field of the body whose text is not of its grammar.
pub(crate) fn invalid_field(field: &'static str, error: impl std::fmt::Display) -> Problem {
    Problem::new(&problems::INVALID_BODY).detail(format!("{field}: {error}")).with("field", field)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn slugs_are_unique_and_well_formed() {
        let all = ALL.iter().chain(problems::ALL);
        let slugs: BTreeSet<&str> = all.clone().map(|kind| kind.slug).collect();
        assert_eq!(slugs.len(), all.count());
        for slug in slugs {
            assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{slug}");
        }
    }

    #[test]
    fn every_rejection_is_a_problem_with_its_name() {
        let rejections = (AccountRejection::ALL.iter().map(|r| Rejection::from(*r)))
            .chain(AssetRejection::ALL.iter().map(|r| Rejection::from(*r)))
            .chain(ClosingRejection::ALL.iter().map(|r| Rejection::from(*r)))
            .chain(ChartRejection::ALL.iter().map(|r| Rejection::from(*r)))
            .chain(PeriodRejection::ALL.iter().map(|r| Rejection::from(*r)))
            .chain(StatementRejection::ALL.iter().map(|r| Rejection::from(*r)));
        for rejection in rejections {
            let problem = from_rejection(rejection.clone(), Some(Position::new(3)));
            let body = String::from_utf8(problem.body(None, None)).unwrap();
            assert!(body.contains(&format!("\"result\":\"{}\"", rejection.name())), "{body}");
            assert!(body.contains("\"position\":\"3\""), "{body}");
            assert!(ALL.contains(problem.kind()));
        }
    }

    #[test]
    fn every_result_of_a_transfer_is_a_problem_with_its_name() {
        let rejections = TransferRejection::ALL
            .iter()
            .map(|rejection| (from_transfer_rejection(*rejection), rejection.name()));
        let refusals =
            TransferRefusal::ALL.iter().map(|refusal| (from_refusal(*refusal), refusal.name()));
        for (problem, name) in rejections.chain(refusals) {
            let body = String::from_utf8(problem.body(None, None)).unwrap();
            assert!(body.contains(&format!("\"result\":\"{name}\"")), "{body}");
            assert!(ALL.contains(problem.kind()));
        }
    }
}
