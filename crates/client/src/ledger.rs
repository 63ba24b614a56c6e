//! Accounts, transfers and balances.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Call, Error, Platform, Received};

const PREFIX: &str = "/v1/ledger";

/// The ledger, as one client sees it. Amounts are decimal strings in units of the asset (`"12.50"`), exact.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) platform: Platform,
}

/// An account to open.
#[derive(Clone, Debug, Serialize)]
pub struct NewAccount {
    /// Where it stands in the tree of accounts.
    pub path: String,
    /// Its asset.
    pub asset: String,
    /// How far the balance may fall: `Some("0")` not below nothing; `None` without limit.
    pub floor: Option<String>,
}

/// An asset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asset {
    /// Its code.
    pub code: String,
    /// Its digits after the point.
    pub scale: u8,
}

/// An account and its balances.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// Where it stands in the tree of accounts.
    pub path: String,
    /// Its asset.
    pub asset: String,
    /// Whether it takes no transfers.
    pub closed: bool,
    /// How many entries it has had: what a condition on its version is about.
    pub version: String,
    /// Balances, in units of the asset; negative ones begin with `-`.
    pub balance: Balance,
}

/// An account's balances, on its normal side.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Balance {
    /// What is booked.
    pub posted: String,
    /// What would change if everything pending were posted.
    pub pending: String,
    /// What may still be spent.
    pub available: String,
}

/// A transfer to make.
#[derive(Clone, Debug, Serialize)]
pub struct NewTransfer {
    /// The path of the account that is debited.
    pub debit_account: String,
    /// The path of the account that is credited.
    pub credit_account: String,
    /// The asset of both.
    pub asset: String,
    /// How much, as a decimal string.
    pub amount: String,
    /// Reserves the amount, rather than moving it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// The caller's own name for it, unique in the book.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Anything worth keeping with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Headers to pass on, so that the chain of evidence is not broken.
    #[serde(skip)]
    pub context: Vec<(&'static str, String)>,
}

impl NewTransfer {
    /// A transfer of `amount` from the account at `debit_account` to the one at `credit_account`.
    pub fn new(
        debit_account: impl Into<String>,
        credit_account: impl Into<String>,
        asset: impl Into<String>,
        amount: impl Into<String>,
    ) -> Self {
        Self {
            debit_account: debit_account.into(),
            credit_account: credit_account.into(),
            asset: asset.into(),
            amount: amount.into(),
            pending: None,
            external_id: None,
            metadata: None,
            context: Vec::new(),
        }
    }

    /// Reserves the amount until it is posted or voided.
    #[must_use]
    pub fn pending(mut self, pending: Pending) -> Self {
        self.pending = Some(pending);
        self
    }

    /// Gives it a name of one's own.
    #[must_use]
    pub fn external_id(mut self, external_id: impl Into<String>) -> Self {
        self.external_id = Some(external_id.into());
        self
    }

    /// Keeps this JSON with the transfer.
    #[must_use]
    pub fn metadata(mut self, metadata: Value) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Passes on the id and trace of the request that this transfer is made for.
    #[must_use]
    pub fn on_behalf_of(mut self, request_id: Option<&str>, traceparent: Option<&str>) -> Self {
        let headers = [("x-request-id", request_id), ("traceparent", traceparent)];
        self.context.extend(
            headers.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))),
        );
        self
    }
}

/// How a pending transfer ends.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Pending {
    /// Seconds until it expires; 0 for never.
    pub timeout_seconds: u32,
    /// How much more than the amount may be posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowance: Option<String>,
}

/// A transfer that was made.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Transfer {
    /// Its id.
    pub id: String,
    /// What it does: `single`, `pending`, `post`, `void` or `reversal`.
    pub kind: String,
    /// How it stands: `posted`, `pending`, `voided`, `expired` or `refused`.
    pub status: String,
    /// The account that was debited.
    pub debit_account: String,
    /// The account that was credited.
    pub credit_account: String,
    /// The asset.
    pub asset: String,
    /// How much.
    pub amount: String,
    /// The record of the ledger's log that holds it.
    pub position: String,
}

/// How rows of history are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    /// With a header.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// What became of imported rows.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Imported {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that were recorded now.
    pub created: u64,
    /// Rows that had been recorded before.
    pub replayed: u64,
    /// Rows that were not.
    pub refused: u64,
    /// Why, of the first of them.
    pub problems: Vec<ImportProblem>,
}

/// What is wrong with a row.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ImportProblem {
    /// The line that it begins in, from 1.
    pub line: u64,
    /// The place of the field that is wrong, or the place in a line that is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// The row's id, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The error, as `lombard explain-error` knows it.
    pub error: String,
    /// What is said about it.
    pub detail: String,
}

/// One line of an account.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// The transfer that it belongs to.
    pub transfer_id: String,
    /// `debit` or `credit`.
    pub side: String,
    /// How much.
    pub amount: String,
    /// The balance after it.
    pub balance: String,
}

/// A page of a list, and where the next one begins.
#[derive(Clone, Debug, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give it as `after` to get the next page; `None` on the last.
    pub next: Option<String>,
}

/// Debits and credits of one asset over all accounts: always equal.
#[derive(Clone, Debug, Deserialize)]
pub struct TrialBalance {
    /// The asset.
    pub asset: String,
    /// All debits.
    pub debits: String,
    /// All credits.
    pub credits: String,
}

/// What a sealed statement says but for its lines. Balances are on the account's normal side.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Statement {
    /// The account's path.
    pub account: String,
    /// Its asset.
    pub asset: String,
    /// From 1.
    pub number: u32,
    /// The first instant of the period.
    pub from: String,
    /// The first instant after it.
    pub until: String,
    /// The balance before.
    pub opening: String,
    /// The balance after.
    pub closing: String,
    /// How many entries it has.
    pub line_count: String,
    /// SHA-256 over them.
    pub lines_sha256: String,
    /// When it was sealed.
    pub sealed_at: String,
    /// The record of the ledger's log that sealed it.
    pub position: String,
}

/// Why a balance is what it is: an account with its entries, each with the request that caused it.
pub type BalanceExplanation = Value;

/// Why a balance is what it is: a transfer with the request that caused it.
pub type Explanation = Value;

impl Ledger {
    /// Opens an account; opening the same one again answers the existing one.
    pub async fn open_account(&self, account: &NewAccount) -> Result<Account, Error> {
        let body = json!(account);
        let key = format!("open:{}", account.path);
        let call = |url| Call::new(Method::POST, url).json(body).idempotency_key(key);
        Ok(self.platform.call(PREFIX, "/accounts", call).await?.body)
    }

    /// The account at `path`, as of at least `position`.
    pub async fn account(&self, path: &str, at_least: Option<u64>) -> Result<Account, Error> {
        let path = format!("/accounts/by-path/{path}");
        let call = |url| reading(url, at_least);
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }

    /// A page of the entries of an account, oldest first.
    pub async fn entries(
        &self,
        account_id: &str,
        after: Option<&str>,
        at_least: Option<u64>,
    ) -> Result<Page<Entry>, Error> {
        let path = format!("/accounts/{account_id}/entries");
        let call = |url| {
            let call = reading(url, at_least).query("limit", 1000);
            match after {
                Some(after) => call.query("after", after),
                None => call,
            }
        };
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }

    /// Moves money. The same key always means the same transfer: sending it again answers the first result.
    pub async fn create_transfer(
        &self,
        transfer: &NewTransfer,
        idempotency_key: &str,
    ) -> Result<Transfer, Error> {
        Ok(self.send_transfer(transfer, idempotency_key).await?.body)
    }

    /// [`Ledger::create_transfer`], with the position and how many tries it took.
    pub async fn send_transfer(
        &self,
        transfer: &NewTransfer,
        idempotency_key: &str,
    ) -> Result<Received<Transfer>, Error> {
        let body = json!(transfer);
        let call = |url| {
            let mut call = Call::new(Method::POST, url).json(body).idempotency_key(idempotency_key);
            call.headers.extend(transfer.context.iter().cloned());
            call
        };
        self.platform.call(PREFIX, "/transfers", call).await
    }

    /// Posts a pending transfer: all of it, or this amount.
    pub async fn post_transfer(
        &self,
        id: &str,
        amount: Option<&str>,
        idempotency_key: &str,
    ) -> Result<Transfer, Error> {
        self.about(id, "post", amount, idempotency_key).await
    }

    /// Voids a pending transfer: what it has reserved is released.
    pub async fn void_transfer(&self, id: &str, idempotency_key: &str) -> Result<Transfer, Error> {
        self.about(id, "void", None, idempotency_key).await
    }

    /// Moves back what a transfer has moved: what is left of it, or this amount.
    pub async fn reverse_transfer(
        &self,
        id: &str,
        amount: Option<&str>,
        idempotency_key: &str,
    ) -> Result<Transfer, Error> {
        self.about(id, "reverse", amount, idempotency_key).await
    }

    async fn about(
        &self,
        id: &str,
        what: &str,
        amount: Option<&str>,
        idempotency_key: &str,
    ) -> Result<Transfer, Error> {
        let body = amount.map_or_else(|| json!({}), |amount| json!({ "amount": amount }));
        let path = format!("/transfers/{id}/{what}");
        let call = |url| Call::new(Method::POST, url).json(body).idempotency_key(idempotency_key);
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }

    /// Imports rows of history; each happens or not by itself. Rows that are there already are told by their ids, so that
    /// sending them again is harmless.
    pub async fn import(&self, format: ImportFormat, rows: String) -> Result<Imported, Error> {
        let media_type = match format {
            ImportFormat::Csv => "text/csv",
            ImportFormat::JsonLines => "application/jsonl",
        };
        let call = |url| Call::new(Method::POST, url).text(media_type, rows).repeatable();
        Ok(self.platform.call(PREFIX, "/import", call).await?.body)
    }

    /// The transfer with this id: what is not there did not happen.
    pub async fn transfer(&self, id: &str) -> Result<Transfer, Error> {
        let path = format!("/transfers/{id}");
        Ok(self.platform.call(PREFIX, &path, |url| Call::new(Method::GET, url)).await?.body)
    }

    /// Makes an asset known; asking for the same again answers the existing one.
    pub async fn create_asset(&self, asset: &Asset) -> Result<Asset, Error> {
        let body = json!(asset);
        let key = format!("asset:{}", asset.code);
        let call = |url| Call::new(Method::POST, url).json(body).idempotency_key(key);
        Ok(self.platform.call(PREFIX, "/assets", call).await?.body)
    }

    /// A page of all assets, in order of code.
    pub async fn assets(&self, after: Option<&str>) -> Result<Page<Asset>, Error> {
        self.page("/assets", &[("after", after)]).await
    }

    /// A page of the accounts whose path begins with `prefix`, in order of path.
    pub async fn accounts(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Page<Account>, Error> {
        self.page("/accounts", &[("prefix", Some(prefix)), ("after", after)]).await
    }

    async fn page<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&'static str, Option<&str>)],
    ) -> Result<Page<T>, Error> {
        let call = |url| {
            let mut call = Call::new(Method::GET, url).query("limit", 1000);
            for (name, value) in parameters {
                if let Some(value) = value {
                    call = call.query(name, *value);
                }
            }
            call
        };
        Ok(self.platform.call(PREFIX, path, call).await?.body)
    }

    /// Lets an account take no more transfers.
    pub async fn close_account(&self, id: &str) -> Result<Account, Error> {
        self.change_account(id, "close").await
    }

    /// Lets an account take transfers again.
    pub async fn reopen_account(&self, id: &str) -> Result<Account, Error> {
        self.change_account(id, "reopen").await
    }

    async fn change_account(&self, id: &str, what: &str) -> Result<Account, Error> {
        let path = format!("/accounts/{id}/{what}");
        let key = format!("{what}:{id}");
        let call = |url| Call::new(Method::POST, url).idempotency_key(key);
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }

    /// Debits and credits of each asset over the whole book.
    pub async fn trial_balance(&self, at_least: Option<u64>) -> Result<Vec<TrialBalance>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            assets: Vec<TrialBalance>,
        }
        let call = |url| reading(url, at_least);
        Ok(self.platform.call::<Answer>(PREFIX, "/trial-balance", call).await?.body.assets)
    }

    /// The chain from a transfer back to the HTTP request that caused it.
    pub async fn explain_transfer(
        &self,
        id: &str,
        at_least: Option<u64>,
    ) -> Result<Explanation, Error> {
        let path = format!("/explain/transfers/{id}");
        let call = |url| reading(url, at_least);
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }

    /// The chain from an account's balance through its entries, latest first, back to the HTTP requests that caused them.
    /// `before` is what `next` of the page before says.
    pub async fn explain_balance(
        &self,
        account_id: &str,
        limit: u32,
        before: Option<&str>,
    ) -> Result<BalanceExplanation, Error> {
        let path = format!("/explain/balances/{account_id}");
        let call = |url| {
            let call = Call::new(Method::GET, url).query("limit", limit);
            match before {
                Some(before) => call.query("before", before),
                None => call,
            }
        };
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }

    /// Seals the account's next statement, up to `until` (RFC 3339). Doing so again answers the same statement.
    pub async fn seal_statement(
        &self,
        account_id: &str,
        from: Option<&str>,
        until: &str,
    ) -> Result<Statement, Error> {
        let body = from.map_or_else(
            || json!({ "until": until }),
            |from| json!({ "from": from, "until": until }),
        );
        let path = format!("/accounts/{account_id}/statements");
        let key = format!("statement:{account_id}:{until}");
        let call = |url| Call::new(Method::POST, url).json(body).idempotency_key(key);
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }

    /// A page of an account's statements, latest first, before a number.
    pub async fn statements(
        &self,
        account_id: &str,
        before: Option<&str>,
    ) -> Result<Page<Statement>, Error> {
        let path = format!("/accounts/{account_id}/statements");
        let call = |url| match before {
            Some(before) => Call::new(Method::GET, url).query("before", before),
            None => Call::new(Method::GET, url),
        };
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }

    /// A statement with its lines: `json`, `csv` or `camt.053`.
    pub async fn statement(
        &self,
        account_id: &str,
        number: u32,
        format: &str,
    ) -> Result<String, Error> {
        let path = format!("/accounts/{account_id}/statements/{number}?format={format}");
        self.platform.text(PREFIX, &path).await
    }
}

fn reading(url: String, at_least: Option<u64>) -> Call {
    let call = Call::new(Method::GET, url);
    match at_least {
        Some(position) => call.query("at_least", position),
        None => call,
    }
}
