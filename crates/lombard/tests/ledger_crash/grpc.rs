//! Over gRPC: writers share sessions, which outlive the kills. Meanwhile somebody reads all balances, which are of one moment.

use std::{collections::BTreeMap, path::Path, time::Duration};

use lombard_client::grpc::ledger::{
    GrpcLedger, LedgerSession, PackedSets, PackedTransfer, SessionOptions, TransferOutcome,
    v1::{self, TransferResult},
};
use lombard_testkit::Platform;
use lombard_types::{AccountId, Amount, TransferId};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    ACCOUNTS, ANSWERS_PER_KILL, FUNDS, KILLS, LOMBARD, WRITERS, account, chance, check_log,
    connect, kill_while_they_write, open,
};

/// What an id always means: one or two transfers of one set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    writer: u64,
    number: u64,
}

/// From, to, amount.
type Leg = (u64, u64, i64);

impl Asked {
    fn id(self) -> TransferId {
        let number = u128::from(self.writer + 1) << 64 | u128::from(self.number + 1);
        TransferId::from_u128(number).unwrap()
    }

    fn legs(self) -> Vec<Leg> {
        let seed = self.writer << 32 | self.number << 4;
        let from = chance(seed, ACCOUNTS);
        let to = (from + 1 + chance(seed + 1, ACCOUNTS - 1)) % ACCOUNTS;
        let amount = 1 + i64::try_from(chance(seed + 2, 300)).unwrap();
        let back = 1 + i64::try_from(chance(seed + 3, 100)).unwrap();
        if chance(seed + 4, 3) == 0 {
            vec![(from, to, amount), (to, from, back)]
        } else {
            vec![(from, to, amount)]
        }
    }

    fn set(self, accounts: &[AccountId]) -> PackedSets {
        let at = |number: u64| accounts[usize::try_from(number).unwrap()];
        let legs: Vec<PackedTransfer> = self
            .legs()
            .into_iter()
            .map(|(from, to, amount)| {
                let amount = Amount::from_minor_units(u128::try_from(amount).unwrap());
                PackedTransfer::new(self.id(), at(from), at(to), amount)
            })
            .collect();
        let mut sets = PackedSets::new();
        sets.push_set(&legs);
        sets
    }

    /// What became of the set: of all its transfers, the one that says most.
    async fn ask(self, session: &LedgerSession, accounts: &[AccountId]) -> TransferOutcome {
        let answer = session.submit(self.set(accounts)).await.unwrap().await.unwrap();
        assert_eq!(answer.len(), self.legs().len());
        let linked = Some(TransferResult::LinkedEventFailed);
        let told = answer.iter().find(|outcome| outcome.result() != linked).unwrap();
        let is_known = told.is_created() || told.result() == Some(TransferResult::ExceedsCredits);
        assert!(is_known, "{told:?}");
        assert!(told.position.is_some());
        told
    }
}

type Answers = BTreeMap<Asked, TransferOutcome>;

async fn write(
    session: LedgerSession,
    accounts: Vec<AccountId>,
    writer: u64,
    done: watch::Sender<usize>,
) -> Answers {
    let mut answers = Answers::new();
    let mut number = 0;
    while *done.borrow() < KILLS * ANSWERS_PER_KILL {
        let asked = Asked { writer, number };
        answers.insert(asked, asked.ask(&session, &accounts).await);
        number += 1;
        done.send_modify(|done| *done += 1);
    }
    answers
}

/// What all accounts hold at one moment: nobody is below zero, and nothing came or went.
async fn balances(ledger: &GrpcLedger) -> Vec<i64> {
    let paths = (0..ACCOUNTS).map(account).chain(["world".to_owned()]);
    let named = |path| v1::Account { name: Some(v1::account::Name::Path(path)) };
    let request = v1::BalanceRequest { accounts: paths.map(named).collect() };
    let answer = ledger.balance(&request).await.unwrap();
    let posted = |account: &v1::AccountBalance| account.posted.parse::<i64>().unwrap();
    let mut posted: Vec<i64> = answer.accounts.iter().map(posted).collect();
    assert_eq!(posted.iter().sum::<i64>(), 0, "at {}: {posted:?}", answer.position);
    posted.pop();
    assert!(posted.iter().all(|balance| *balance >= 0), "at {}: {posted:?}", answer.position);
    posted
}

async fn read(ledger: GrpcLedger, done: watch::Sender<usize>) {
    while *done.borrow() < KILLS * ANSWERS_PER_KILL {
        balances(&ledger).await;
    }
}

#[tokio::test]
async fn sessions_of_the_ledger_outlive_kills() {
    let platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let client = connect(&platform).await;
    let address = platform.grpc_address("ledger").unwrap();
    let ledger = client.grpc_ledger(address).deadline(Duration::from_secs(60));
    let world: AccountId = open(&client, "world".to_owned(), None).await.id.parse().unwrap();
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        accounts.push(open(&client, account(number), Some("0")).await.id.parse().unwrap());
    }
    let options = SessionOptions { deadline: Duration::from_secs(60), ..SessionOptions::default() };
    let sessions = [ledger.session(options), ledger.session(options)];
    for (number, account) in (1..).zip(&accounts) {
        let amount = Amount::from_minor_units(u128::try_from(FUNDS).unwrap());
        let id = TransferId::from_u128(number).unwrap();
        let funding = PackedTransfer::new(id, world, *account, amount);
        let funded = sessions[0].submit(&funding).await.unwrap().await.unwrap();
        assert_eq!(funded.first_refused(), None);
    }

    let (done, watched) = watch::channel(0);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let session = sessions[usize::try_from(writer % 2).unwrap()].clone();
        writers.spawn(write(session, accounts.clone(), writer, done.clone()));
    }
    let reader = tokio::spawn(read(ledger.clone(), done.clone()));
    drop(done);
    let (platform, answers) = kill_while_they_write(platform, watched, writers).await;
    reader.await.unwrap();
    let refused = answers.values().filter(|outcome| !outcome.is_created()).count();
    assert!(refused > 0 && refused < answers.len(), "{refused} of {}", answers.len());

    let expected = expected(&answers);
    assert_eq!(balances(&ledger).await, expected);
    // The same ids have the same answers, also those of refusals: money that came meanwhile changes nothing.
    for (asked, answer) in answers.iter().step_by(7) {
        let again = asked.ask(&sessions[0], &accounts).await;
        let first = TransferOutcome { is_replayed: true, ..*answer };
        assert_eq!(again, first);
        let found = ledger.lookup(asked.id()).await.unwrap().unwrap();
        assert_eq!(Some(found.set.position), answer.position);
    }
    assert_eq!(balances(&ledger).await, expected);
    check_log(&platform);
}

/// What the answers say that each account has.
fn expected(answers: &Answers) -> Vec<i64> {
    let mut balances = vec![FUNDS; usize::try_from(ACCOUNTS).unwrap()];
    for (asked, _) in answers.iter().filter(|(_, outcome)| outcome.is_created()) {
        for (from, to, amount) in asked.legs() {
            balances[usize::try_from(from).unwrap()] -= amount;
            balances[usize::try_from(to).unwrap()] += amount;
        }
    }
    balances
}
