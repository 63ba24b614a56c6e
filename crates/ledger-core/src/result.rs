//! Results of commands that took no effect, in their order of precedence: where several apply, the first listed is
//! the answer. Names are TigerBeetle's where the meaning is.

/// Why a command changed nothing and left no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejection {
    /// Of a [`crate::CreateAsset`].
    #[error(transparent)]
    Asset(#[from] AssetRejection),
    /// Of an [`crate::OpenAccount`].
    #[error(transparent)]
    Account(#[from] AccountRejection),
    /// Of a [`crate::CreateTransfer`].
    #[error(transparent)]
    Transfer(#[from] TransferRejection),
}

impl Rejection {
    /// The result's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asset(rejection) => rejection.name(),
            Self::Account(rejection) => rejection.name(),
            Self::Transfer(rejection) => rejection.name(),
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
        /// The account exists and holds another asset.
        ExistsWithDifferentAsset = "exists_with_different_asset", "the account exists with another asset";
        /// The account exists and grows on the other side.
        ExistsWithDifferentNormalSide = "exists_with_different_normal_side", "the account exists with the other normal side";
        /// The account exists with another floor.
        ExistsWithDifferentFloor = "exists_with_different_floor", "the account exists with another floor";
        /// No asset has this code.
        AssetNotFound = "asset_not_found", "no such asset";
        /// The book has as many accounts as it can number.
        TooManyAccounts = "too_many_accounts", "the book is full";
    }
}

results! {
    /// Why a transfer changed nothing and its id is still unspent, in order of precedence.
    ///
    /// The `exists_with_...` group comes first: a spent id is answered from what it was spent on, whatever else is
    /// wrong. A spent id with the same content is no rejection but the first answer again (TigerBeetle's `exists`,
    /// and in place of its `id_already_failed` the original [`TransferRefusal`]).
    TransferRejection {
        /// The id is spent on a transfer from another account.
        ExistsWithDifferentDebitAccountId = "exists_with_different_debit_account_id", "the id is spent on a transfer that debits another account";
        /// The id is spent on a transfer to another account.
        ExistsWithDifferentCreditAccountId = "exists_with_different_credit_account_id", "the id is spent on a transfer that credits another account";
        /// The id is spent on another amount.
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
        /// The id is spent on a transfer with other metadata.
        ExistsWithDifferentMetadata = "exists_with_different_metadata", "the id is spent on a transfer with other metadata";
        /// Debit and credit account are the same.
        AccountsMustBeDifferent = "accounts_must_be_different", "debit and credit account are the same";
        /// Nothing would move.
        AmountMustNotBeZero = "amount_must_not_be_zero", "the amount is zero";
        /// The debit account does not exist. The id stays unspent: the account may be opened and the transfer retried.
        DebitAccountNotFound = "debit_account_not_found", "the debit account does not exist";
        /// The credit account does not exist. The id stays unspent.
        CreditAccountNotFound = "credit_account_not_found", "the credit account does not exist";
        /// The accounts hold different assets (TigerBeetle: `accounts_must_have_the_same_ledger`).
        AccountsMustHaveTheSameAsset = "accounts_must_have_the_same_asset", "the accounts hold different assets";
        /// The accounts hold another asset than the transfer says (TigerBeetle:
        /// `transfer_must_have_the_same_ledger_as_accounts`).
        TransferMustHaveTheSameAssetAsAccounts = "transfer_must_have_the_same_asset_as_accounts", "the accounts hold another asset than the transfer says";
        /// The book has as many transfers as it can number.
        TooManyTransfers = "too_many_transfers", "the book is full";
    }
}

results! {
    /// Why a transfer that is in order by itself did not happen, in order of precedence, after every
    /// [`TransferRejection`]. It depends on the balances of the moment, so it is recorded and spends the id: a retry
    /// is refused for the same reason even when there would be enough money by then.
    TransferRefusal {
        /// The total would exceed 2^128 - 1.
        OverflowsDebitsPosted = "overflows_debits_posted", "the debit account's posted debits would overflow";
        /// The total would exceed 2^128 - 1.
        OverflowsCreditsPosted = "overflows_credits_posted", "the credit account's posted credits would overflow";
        /// Posted and pending together would exceed 2^128 - 1.
        OverflowsDebits = "overflows_debits", "the debit account's debits would overflow";
        /// Posted and pending together would exceed 2^128 - 1.
        OverflowsCredits = "overflows_credits", "the credit account's credits would overflow";
        /// The debit account would go below its floor.
        ExceedsCredits = "exceeds_credits", "the debit account would go below its floor";
        /// The credit account, which grows on the debit side, would go below its floor.
        ExceedsDebits = "exceeds_debits", "the credit account would go below its floor";
    }
}

/// How a transfer that spent its id ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The money moved.
    Posted,
    /// It did not.
    Refused(TransferRefusal),
}
