//! The ledger's problems: the only place that names their status codes.
//!
//! A problem that stands for a result of the rules carries the result's name as the member `result`.

use std::time::Duration;

use lombard_chassis::{Problem, ProblemType, problems};
use lombard_engine::{QueryError, SubmitError};
use lombard_ledger_core::{
    AccountRejection, AssetRejection, Rejection, TransferRefusal, TransferRejection,
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

/// The account that is asked for does not exist.
pub const ACCOUNT_NOT_FOUND: ProblemType =
    ProblemType::new(404, "account-not-found", "Account not found");
/// The transfer that is asked for does not exist.
pub const TRANSFER_NOT_FOUND: ProblemType =
    ProblemType::new(404, "transfer-not-found", "Transfer not found");
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
    let kind = match rejection {
        Rejection::Asset(AssetRejection::ExistsWithDifferentScale) => &ASSET_EXISTS,
        Rejection::Account(rejection) => of_account(rejection),
        Rejection::Transfer(rejection) => of_transfer(rejection),
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
        | AccountRejection::ExistsWithDifferentFloor => &ACCOUNT_EXISTS,
        AccountRejection::AssetNotFound => &ASSET_NOT_FOUND,
        AccountRejection::TooManyAccounts => &BOOK_FULL,
    }
}

const fn of_transfer(rejection: TransferRejection) -> &'static ProblemType {
    use TransferRejection as R;
    match rejection {
        R::ExistsWithDifferentDebitAccountId
        | R::ExistsWithDifferentCreditAccountId
        | R::ExistsWithDifferentAmount
        | R::ExistsWithDifferentUserData128
        | R::ExistsWithDifferentUserData64
        | R::ExistsWithDifferentUserData32
        | R::ExistsWithDifferentAsset
        | R::ExistsWithDifferentCode
        | R::ExistsWithDifferentEffectiveAt
        | R::ExistsWithDifferentMetadata => &TRANSFER_EXISTS,
        R::AccountsMustBeDifferent => &ACCOUNTS_MUST_BE_DIFFERENT,
        R::AmountMustNotBeZero => &AMOUNT_MUST_NOT_BE_ZERO,
        R::DebitAccountNotFound => &DEBIT_ACCOUNT_NOT_FOUND,
        R::CreditAccountNotFound => &CREDIT_ACCOUNT_NOT_FOUND,
        R::AccountsMustHaveTheSameAsset | R::TransferMustHaveTheSameAssetAsAccounts => {
            &ASSET_MISMATCH
        }
        R::TooManyTransfers => &BOOK_FULL,
    }
}

/// A transfer that was refused by the balances of the moment.
pub(crate) fn from_refusal(refusal: TransferRefusal) -> Problem {
    let kind = match refusal {
        TransferRefusal::ExceedsCredits | TransferRefusal::ExceedsDebits => &INSUFFICIENT_FUNDS,
        TransferRefusal::OverflowsDebitsPosted
        | TransferRefusal::OverflowsCreditsPosted
        | TransferRefusal::OverflowsDebits
        | TransferRefusal::OverflowsCredits => &BALANCE_OVERFLOW,
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

/// A query parameter whose text is not of its grammar.
pub(crate) fn invalid_parameter(name: &'static str, error: impl std::fmt::Display) -> Problem {
    Problem::new(&problems::INVALID_QUERY)
        .detail(format!("{name}: {error}"))
        .with("parameter", name)
}

/// A part of the path whose text is not of its grammar.
pub(crate) fn invalid_path(error: impl std::fmt::Display) -> Problem {
    Problem::new(&problems::INVALID_PATH).detail(error.to_string())
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
        let rejections = TransferRejection::ALL
            .iter()
            .map(|r| Rejection::from(*r))
            .chain(AccountRejection::ALL.iter().map(|r| Rejection::from(*r)))
            .chain(AssetRejection::ALL.iter().map(|r| Rejection::from(*r)));
        for rejection in rejections {
            let problem = from_rejection(rejection, Some(Position::new(3)));
            let body = String::from_utf8(problem.body(None, None)).unwrap();
            assert!(body.contains(&format!("\"result\":\"{}\"", rejection.name())), "{body}");
            assert!(body.contains("\"position\":\"3\""), "{body}");
            assert!(ALL.contains(problem.kind()));
        }
    }
}
