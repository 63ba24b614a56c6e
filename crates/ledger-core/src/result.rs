//! Results of commands that took no effect, in their order of precedence: where several apply, the first listed is
//! the answer. Names are TigerBeetle's where the meaning is.

use crate::Unreadable;

/// Why a command changed nothing and left no trace. Posting sets have a result each instead ([`crate::SetResult`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejection {
    /// Of a [`crate::CreateAsset`].
    #[error(transparent)]
    Asset(#[from] AssetRejection),
    /// Of an [`crate::OpenAccount`].
    #[error(transparent)]
    Account(#[from] AccountRejection),
    /// Of closing or reopening.
    #[error(transparent)]
    Closing(#[from] ClosingRejection),
    /// Of a rule of the chart of accounts.
    #[error(transparent)]
    Chart(#[from] ChartRejection),
    /// Of a lock of a period.
    #[error(transparent)]
    Period(#[from] PeriodRejection),
    /// Of a statement.
    #[error(transparent)]
    Statement(#[from] StatementRejection),
    /// The past could not be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Rejection {
    /// The result's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Asset(rejection) => rejection.name(),
            Self::Account(rejection) => rejection.name(),
            Self::Closing(rejection) => rejection.name(),
            Self::Chart(rejection) => rejection.name(),
            Self::Period(rejection) => rejection.name(),
            Self::Statement(rejection) => rejection.name(),
            Self::Unreadable(_) => "unreadable",
        }
    }
}

macro_rules! results {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal, $message:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
        pub enum $name {
            $(
                $(#[$variant_doc])*
                #[error($message)]
                $variant,
            )+
        }

        impl $name {
            /// All of them, in order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The result's name in answers, metrics and documentation.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

results! {
    /// Why an asset was not created.
    AssetRejection {
        /// The code is known, with other digits after the point.
        ExistsWithDifferentScale = "exists_with_different_scale", "the asset exists with another scale";
    }
}

results! {
    /// Why an account was not opened, in order of precedence.
    AccountRejection {
        /// The id belongs to an account at another path.
        ExistsWithDifferentPath = "exists_with_different_path", "the account exists at another path";
        /// The path belongs to an account with another id.
        PathTaken = "path_taken", "another account has this path";
        /// The account exists and holds another asset (TigerBeetle: `exists_with_different_ledger`).
        ExistsWithDifferentAsset = "exists_with_different_asset", "the account exists with another asset";
        /// The account exists and grows on the other side.
        ExistsWithDifferentNormalSide = "exists_with_different_normal_side", "the account exists with the other normal side";
        /// The account exists with another floor.
        ExistsWithDifferentFloor = "exists_with_different_floor", "the account exists with another floor";
        /// The account exists with another ceiling.
        ExistsWithDifferentCeiling = "exists_with_different_ceiling", "the account exists with another ceiling";
        /// No asset has this code.
        AssetNotFound = "asset_not_found", "no such asset";
        /// The floor is above the ceiling, so that no balance is right.
        FloorAboveCeiling = "floor_above_ceiling", "the floor is above the ceiling";
        /// A rule of the chart of accounts forbids an account like this here.
        ViolatesChartOfAccounts = "violates_chart_of_accounts", "a rule of the chart of accounts forbids this account here";
        /// The book has as many accounts as it can number.
        TooManyAccounts = "too_many_accounts", "the book is full";
    }
}

results! {
    /// Why an account was not closed or reopened, in order of precedence.
    ClosingRejection {
        /// There is no such account.
        AccountNotFound = "account_not_found", "the account does not exist";
        /// Something is reserved or expected: post or void it first.
        AccountHasPendingTransfers = "account_has_pending_transfers", "the account has pending transfers";
    }
}

results! {
    /// Why a rule of the chart of accounts was not set or removed, in order of precedence.
    ChartRejection {
        /// No rule has this prefix.
        ChartRuleNotFound = "chart_rule_not_found", "no rule has this prefix";
        /// A rule names an asset that does not exist.
        AssetNotFound = "asset_not_found", "no such asset";
        /// There are as many rules as a book may have.
        TooManyChartRules = "too_many_chart_rules", "there are too many rules";
    }
}

results! {
    /// Why a period was not locked or unlocked, in order of precedence.
    PeriodRejection {
        /// No lock has this name.
        PeriodLockNotFound = "period_lock_not_found", "no lock has this name";
        /// A lock with this name is of another period.
        ExistsWithDifferentPeriod = "exists_with_different_period", "the lock exists with another period";
        /// The period ends before it begins.
        PeriodMustNotBeEmpty = "period_must_not_be_empty", "the period is empty";
        /// There are as many locks as a book may have.
        TooManyPeriodLocks = "too_many_period_locks", "there are too many locks";
    }
}

results! {
    /// Why a statement was not sealed, in order of precedence.
    StatementRejection {
        /// No account has this id.
        AccountNotFound = "account_not_found", "there is no such account";
        /// The period ends before it begins.
        PeriodMustNotBeEmpty = "period_must_not_be_empty", "the period is empty";
        /// The period is not over.
        PeriodMustHaveEnded = "period_must_have_ended", "the period has not ended yet";
        /// Its number, beginning or opening balance is not what the account's last statement leaves.
        MustFollowTheLastStatement = "must_follow_the_last_statement", "it does not go on from the last statement";
    }
}

results! {
    /// Why a posting set changed nothing and its id is still unspent, in order of precedence; of several transfers of a
    /// set the first that is wrong says it.
    ///
    /// Of a pending set that has ended only the fact is looked up, so how it ended is told before what else is wrong
    /// (TigerBeetle: after that). The `exists_with_...` group comes before all that needs the state: a spent id is
    /// answered from what it was spent on, whatever else is wrong. A spent id with the same content is no rejection but
    /// the first answer again (TigerBeetle's `exists`, and in place of its `id_already_failed` the original
    /// [`TransferRefusal`]).
    TransferRejection {
        /// The last transfer of a batch says that another of its set follows.
        LinkedEventChainOpen = "linked_event_chain_open", "the last transfer says that another of its set follows";
        /// The set has more transfers than one may have.
        TooManyTransfers = "too_many_transfers", "the set has too many transfers";
        /// Two transfers of a set have different ids.
        SetMustHaveOneId = "set_must_have_one_id", "the transfers of a set must have one id";
        /// An imported transfer says no effective time.
        ImportedEventTimestampOutOfRange = "imported_event_timestamp_out_of_range", "an imported transfer needs its effective time";
        /// An imported transfer's effective time is in the future.
        ImportedEventTimestampMustNotAdvance = "imported_event_timestamp_must_not_advance", "an imported transfer's effective time must not be in the future";
        /// Of a packed record: a flag or reserved byte that means nothing is set.
        ReservedFlag = "reserved_flag", "a flag or field that is reserved is set";
        /// Of a packed record: the id is zero.
        IdMustNotBeZero = "id_must_not_be_zero", "the id is zero";
        /// Of a packed record: the id is the largest number.
        IdMustNotBeIntMax = "id_must_not_be_int_max", "the id is 2^128 - 1";
        /// The id is spent on a set with another number of transfers.
        ExistsWithDifferentTransferCount = "exists_with_different_transfer_count", "the id is spent on a set with another number of transfers";
        /// The id is spent on a transfer of another kind, or one that was asked for with other flags.
        ExistsWithDifferentFlags = "exists_with_different_flags", "the id is spent on a transfer of another kind or with other flags";
        /// The id is spent on a transfer about another one.
        ExistsWithDifferentPendingId = "exists_with_different_pending_id", "the id is spent on a transfer about another one";
        /// The id is spent on a transfer with another timeout.
        ExistsWithDifferentTimeout = "exists_with_different_timeout", "the id is spent on a transfer with another timeout";
        /// The id is spent on a transfer from another account.
        ExistsWithDifferentDebitAccountId = "exists_with_different_debit_account_id", "the id is spent on a transfer that debits another account";
        /// The id is spent on a transfer to another account.
        ExistsWithDifferentCreditAccountId = "exists_with_different_credit_account_id", "the id is spent on a transfer that credits another account";
        /// The id is spent on another amount; where the transfer balances, on a larger one.
        ExistsWithDifferentAmount = "exists_with_different_amount", "the id is spent on a transfer of another amount";
        /// The id is spent on a transfer with other user data.
        ExistsWithDifferentUserData128 = "exists_with_different_user_data_128", "the id is spent on a transfer with other user data (128 bits)";
        /// The id is spent on a transfer with other user data.
        ExistsWithDifferentUserData64 = "exists_with_different_user_data_64", "the id is spent on a transfer with other user data (64 bits)";
        /// The id is spent on a transfer with other user data.
        ExistsWithDifferentUserData32 = "exists_with_different_user_data_32", "the id is spent on a transfer with other user data (32 bits)";
        /// The id is spent on a transfer of another asset (TigerBeetle: `exists_with_different_ledger`).
        ExistsWithDifferentAsset = "exists_with_different_asset", "the id is spent on a transfer of another asset";
        /// The id is spent on a transfer with another code.
        ExistsWithDifferentCode = "exists_with_different_code", "the id is spent on a transfer with another code";
        /// The id is spent on a transfer with another effective time.
        ExistsWithDifferentEffectiveAt = "exists_with_different_effective_at", "the id is spent on a transfer with another effective time";
        /// The id is spent on a pending transfer with another allowance.
        ExistsWithDifferentAllowance = "exists_with_different_allowance", "the id is spent on a transfer with another allowance";
        /// The id is spent on a set with other conditions.
        ExistsWithDifferentConditions = "exists_with_different_conditions", "the id is spent on a set with other conditions";
        /// The id is spent on a set with another external id.
        ExistsWithDifferentExternalId = "exists_with_different_external_id", "the id is spent on a set with another external id";
        /// The id is spent on a set with other metadata.
        ExistsWithDifferentMetadata = "exists_with_different_metadata", "the id is spent on a set with other metadata";
        /// The combination of kind and flags means nothing.
        FlagsAreMutuallyExclusive = "flags_are_mutually_exclusive", "the kind and the flags exclude each other";
        /// Of a packed record: the debit account's id is zero.
        DebitAccountIdMustNotBeZero = "debit_account_id_must_not_be_zero", "the debit account's id is zero";
        /// Of a packed record: the debit account's id is the largest number.
        DebitAccountIdMustNotBeIntMax = "debit_account_id_must_not_be_int_max", "the debit account's id is 2^128 - 1";
        /// Of a packed record: the credit account's id is zero.
        CreditAccountIdMustNotBeZero = "credit_account_id_must_not_be_zero", "the credit account's id is zero";
        /// Of a packed record: the credit account's id is the largest number.
        CreditAccountIdMustNotBeIntMax = "credit_account_id_must_not_be_int_max", "the credit account's id is 2^128 - 1";
        /// Debit and credit account are the same.
        AccountsMustBeDifferent = "accounts_must_be_different", "debit and credit account are the same";
        /// Of a packed record: a transfer that is about no other names one.
        PendingIdMustBeZero = "pending_id_must_be_zero", "a transfer that is about no other names one";
        /// Of a packed record: a transfer to post, void or reverse names none.
        PendingIdMustNotBeZero = "pending_id_must_not_be_zero", "the transfer to post, void or reverse is not named";
        /// Of a packed record: the largest number is no id.
        PendingIdMustNotBeIntMax = "pending_id_must_not_be_int_max", "the transfer to post, void or reverse is 2^128 - 1";
        /// A transfer cannot post, void or reverse itself.
        PendingIdMustBeDifferent = "pending_id_must_be_different", "a transfer cannot be about itself";
        /// Only pending transfers have a timeout.
        TimeoutReservedForPendingTransfer = "timeout_reserved_for_pending_transfer", "only pending transfers have a timeout";
        /// A scheduled transfer needs an effective time, later than now, and no timeout.
        ScheduledTimeMustBeLater = "scheduled_time_must_be_later", "a scheduled transfer needs an effective time that is later than now, and no timeout";
        /// Pending transfers are in a set of their own.
        PendingTransfersMustNotBeMixed = "pending_transfers_must_not_be_mixed", "pending transfers must be in a set of their own";
        /// Nothing would move.
        AmountMustNotBeZero = "amount_must_not_be_zero", "the amount is zero";
        /// A condition is about a transfer that the set does not have.
        ConditionTransferNotFound = "condition_transfer_not_found", "a condition is about a transfer that the set does not have";
        /// Of a payment authority: another kind of set than one transfer, single or pending.
        AuthorityKindNotCovered = "authority_kind_not_covered", "the payment authority is for one single or pending transfer at a time";
        /// The debit account does not exist. The id stays unspent: the account may be opened and the transfer retried.
        DebitAccountNotFound = "debit_account_not_found", "the debit account does not exist";
        /// The credit account does not exist. The id stays unspent.
        CreditAccountNotFound = "credit_account_not_found", "the credit account does not exist";
        /// The accounts hold different assets (TigerBeetle: `accounts_must_have_the_same_ledger`).
        AccountsMustHaveTheSameAsset = "accounts_must_have_the_same_asset", "the accounts hold different assets";
        /// The transfer to post or void does not exist. The id stays unspent.
        PendingTransferNotFound = "pending_transfer_not_found", "the pending transfer does not exist";
        /// The transfer to post or void was never pending.
        PendingTransferNotPending = "pending_transfer_not_pending", "the transfer was never pending";
        /// The pending transfer is posted already.
        PendingTransferAlreadyPosted = "pending_transfer_already_posted", "the pending transfer was already posted";
        /// The pending transfer is voided already.
        PendingTransferAlreadyVoided = "pending_transfer_already_voided", "the pending transfer was already voided";
        /// The pending transfer's time has passed.
        PendingTransferExpired = "pending_transfer_expired", "the pending transfer has expired";
        /// The set to post or void has another number of transfers.
        PendingTransferHasDifferentTransferCount = "pending_transfer_has_different_transfer_count", "the pending set has another number of transfers";
        /// The pending transfer debits another account.
        PendingTransferHasDifferentDebitAccountId = "pending_transfer_has_different_debit_account_id", "the pending transfer debits another account";
        /// The pending transfer credits another account.
        PendingTransferHasDifferentCreditAccountId = "pending_transfer_has_different_credit_account_id", "the pending transfer credits another account";
        /// The transfer to reverse does not exist. The id stays unspent.
        ReversedTransferNotFound = "reversed_transfer_not_found", "the transfer to reverse does not exist";
        /// The transfer to reverse has not moved anything: it was refused, is pending or has ended so, or is itself a
        /// void or a reversal.
        ReversedTransferNotPosted = "reversed_transfer_not_posted", "the transfer to reverse has not moved anything";
        /// The set to reverse has another number of transfers.
        ReversedTransferHasDifferentTransferCount = "reversed_transfer_has_different_transfer_count", "the set to reverse has another number of transfers";
        /// The transfer to reverse is between other accounts.
        ReversedTransferHasDifferentAccounts = "reversed_transfer_has_different_accounts", "the transfer to reverse is between other accounts";
        /// The accounts hold another asset than the transfer says (TigerBeetle:
        /// `transfer_must_have_the_same_ledger_as_accounts`).
        TransferMustHaveTheSameAssetAsAccounts = "transfer_must_have_the_same_asset_as_accounts", "the accounts hold another asset than the transfer says";
        /// More is to be posted than is pending and allowed on top.
        ExceedsPendingTransferAmount = "exceeds_pending_transfer_amount", "the amount is over what is pending and its allowance";
        /// A void must be of all that is pending.
        PendingTransferHasDifferentAmount = "pending_transfer_has_different_amount", "a void must be of the whole amount";
        /// The external id belongs to another set.
        ExternalIdTaken = "external_id_taken", "another set has this external id";
        /// The payment authority is for another asset.
        AuthorityHasDifferentAsset = "authority_has_different_asset", "the payment authority is for another asset";
        /// The payment authority is for another debtor.
        AuthorityHasDifferentDebtor = "authority_has_different_debtor", "the payment authority is for another debtor";
        /// The payment authority is for another creditor.
        AuthorityHasDifferentCreditor = "authority_has_different_creditor", "the payment authority is for another creditor";
        /// The payment authority is for less.
        ExceedsAuthorityAmount = "exceeds_authority_amount", "the amount is over what the payment authority permits";
        /// The payment authority has been used as often as it may.
        AuthorityUsedUp = "authority_used_up", "the payment authority has been used as often as it may be";
    }
}

results! {
    /// Why a posting set that is in order by itself did not happen, in order of precedence, after every
    /// [`TransferRejection`]. It depends on the state of the moment, so it is recorded and spends the id: a retry
    /// is refused for the same reason even when it would be possible by then.
    TransferRefusal {
        /// Another transfer of the set was refused, so this one did not happen either.
        LinkedEventFailed = "linked_event_failed", "another transfer of the set was refused";
        /// More is to be reversed than is left.
        ExceedsReversibleAmount = "exceeds_reversible_amount", "the amount is over what is left to reverse";
        /// The effective time is in a locked period.
        PeriodLocked = "period_locked", "the effective time is in a locked period";
        /// The debit account is closed.
        DebitAccountAlreadyClosed = "debit_account_already_closed", "the debit account is closed";
        /// The credit account is closed.
        CreditAccountAlreadyClosed = "credit_account_already_closed", "the credit account is closed";
        /// The total would exceed 2^128 - 1.
        OverflowsDebitsPending = "overflows_debits_pending", "the debit account's pending debits would overflow";
        /// The total would exceed 2^128 - 1.
        OverflowsCreditsPending = "overflows_credits_pending", "the credit account's pending credits would overflow";
        /// The total would exceed 2^128 - 1.
        OverflowsDebitsPosted = "overflows_debits_posted", "the debit account's posted debits would overflow";
        /// The total would exceed 2^128 - 1.
        OverflowsCreditsPosted = "overflows_credits_posted", "the credit account's posted credits would overflow";
        /// Pending and posted debits together would exceed 2^128 - 1.
        OverflowsDebits = "overflows_debits", "the debit account's debits would overflow";
        /// Pending and posted credits together would exceed 2^128 - 1.
        OverflowsCredits = "overflows_credits", "the credit account's credits would overflow";
        /// The pending transfer would end after the last time that can be told (the year 2262).
        OverflowsTimeout = "overflows_timeout", "the timeout would end after the year 2262";
        /// The debit account, which grows on the credit side, would go below its floor.
        ExceedsCredits = "exceeds_credits", "the debit account has not enough credits";
        /// The credit account, which grows on the debit side, would go below its floor.
        ExceedsDebits = "exceeds_debits", "the credit account has not enough debits";
        /// The debit account, which grows on the debit side, would go above its ceiling.
        DebitAccountExceedsCeiling = "debit_account_exceeds_ceiling", "the debit account would go above its ceiling";
        /// The credit account, which grows on the credit side, would go above its ceiling.
        CreditAccountExceedsCeiling = "credit_account_exceeds_ceiling", "the credit account would go above its ceiling";
        /// An account has had another number of entries than a condition says.
        VersionConditionFailed = "version_condition_failed", "an account has another version than expected";
        /// A balance would not be what a condition says.
        BalanceConditionFailed = "balance_condition_failed", "a balance would not be as expected";
    }
}
