//! The ledger in this process, on files, as its role runs it: with the Merkle tree behind the log.

use std::{path::Path, sync::Arc};

use anyhow::{bail, ensure};
use futures_util::future::{BoxFuture, try_join_all};
use lombard_chassis::{Health, Metrics};
use lombard_engine::Handle;
use lombard_ledger::{Config, Deps, Ledger, LedgerMachine};
use lombard_ledger_core::{
    AccountIdentity, Command, CreateTransfers, Evidence, NewTransfer, NormalSide, OpenAccount,
    Reply, Reservation, SetResult, TransferKind,
};
use lombard_log::{SegmentedConfig, SegmentedLog, SharedLog, disk::Real, merkle::MerkleFollower};
use lombard_token::{Jwks, KeySource, KeySourceError, Verifier};
use lombard_types::{AccountId, Amount, TransferId};

use crate::{
    Worker,
    payments::{Payment, Payments, Spread},
};

/// An open ledger with accounts 1 to `accounts`. Its parts end in the order in which they stand here.
pub struct Book {
    handle: Handle<LedgerMachine>,
    accounts: u64,
    role: Ledger,
    _tree: MerkleFollower,
    _log: SharedLog,
}

/// No caller has a token: calls come from this process.
struct NoKeys;

impl KeySource for NoKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async { Ok(Jwks { keys: Vec::new() }) })
    }
}

impl Book {
    /// Opens an empty ledger and its accounts.
    pub async fn open(directory: &Path, accounts: u64) -> anyhow::Result<Self> {
        let nobody = Verifier::new("http://bench", "http://bench", Arc::new(NoKeys));
        Self::open_for(directory, accounts, nobody).await
    }

    /// [`Book::open`] for callers whose tokens `verifier` knows.
    pub async fn open_for(
        directory: &Path,
        accounts: u64,
        verifier: Verifier,
    ) -> anyhow::Result<Self> {
        let log_directory = directory.join("log");
        let log: SharedLog =
            Arc::new(SegmentedLog::open(&log_directory, SegmentedConfig::default())?);
        let tree = MerkleFollower::start(Arc::new(Real), &log_directory, Arc::clone(&log))?;
        let deps = Deps {
            log: Arc::clone(&log),
            snapshot_directory: None,
            index_directory: directory.join("index"),
            verifier,
            health: Health::starting(),
            metrics: Metrics::new("ledger"),
        };
        let role = Ledger::new(Config::default(), deps)?;
        let handle = role.handle();
        let book = Self { handle, accounts, role, _tree: tree, _log: log };
        book.open_accounts().await?;
        Ok(book)
    }

    async fn open_accounts(&self) -> anyhow::Result<()> {
        const AT_ONCE: u64 = 4096;
        for start in (1..=self.accounts).step_by(AT_ONCE as usize) {
            let numbers = start..(start + AT_ONCE).min(self.accounts + 1);
            try_join_all(numbers.map(|number| {
                let command = Command::OpenAccount(OpenAccount {
                    identity: AccountIdentity::Chosen(account(number)),
                    path: format!("a/{number}").parse().expect("a path"),
                    asset: "EUR".parse().expect("a code"),
                    normal_side: NormalSide::Credit,
                    floor: None,
                    ceiling: None,
                    evidence: evidence(),
                });
                self.handle.submit(command)
            }))
            .await?;
        }
        Ok(())
    }

    /// The role.
    pub fn role(&self) -> &Ledger {
        &self.role
    }

    /// The writer.
    pub fn handle(&self) -> Handle<LedgerMachine> {
        self.handle.clone()
    }
}

/// Makes transfers, a batch at a time.
pub struct Payer {
    handle: Handle<LedgerMachine>,
    payments: Payments,
    batch: usize,
    pending_percent: u64,
}

impl Payer {
    /// The `number`'th payer.
    pub fn new(
        book: &Book,
        number: usize,
        batch: usize,
        spread: Spread,
        pending_percent: u64,
    ) -> Self {
        let payments = Payments::new(number, book.accounts, spread);
        Self { handle: book.handle(), payments, batch, pending_percent }
    }

    fn transfer(&mut self) -> NewTransfer {
        let Payment { id, debit, credit, amount } = self.payments.next();
        let amount = Amount::from_minor_units(u128::from(amount));
        let id = TransferId::from_u128(id).expect("an id");
        let single = NewTransfer::single(id, account(debit), account(credit), amount);
        if self.payments.is_chosen(self.pending_percent) {
            let timeout_seconds = 1 + (amount.minor_units() % 5) as u32;
            let reservation = Reservation { timeout_seconds, ..Reservation::default() };
            return NewTransfer { kind: TransferKind::Pending(reservation), ..single };
        }
        single
    }
}

impl Worker for Payer {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let transfers: Vec<_> = (0..self.batch).map(|_| self.transfer()).collect();
        let command = CreateTransfers { transfers, notes: Vec::new(), evidence: evidence() };
        let committed = self.handle.submit(Command::CreateTransfers(command)).await?;
        let Reply::Transfers(reply) = committed.reply else { bail!("another reply") };
        let created = |result: &SetResult| matches!(result, SetResult::Created { .. });
        ensure!(reply.results.iter().all(created), "a transfer was not created");
        Ok(())
    }
}

fn account(number: u64) -> AccountId {
    AccountId::from_u128(u128::from(number)).expect("an id")
}

fn evidence() -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: 1,
        client_id: "bench".parse().expect("a client"),
        subject: "bench".into(),
        token_id: "token".into(),
        request_id: "request".parse().expect("a request"),
        traceparent: None,
        idempotency_key: None,
    })
}
