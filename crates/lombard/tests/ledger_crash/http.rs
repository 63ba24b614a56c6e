//! Over HTTP, each request a transfer: whoever got an answer can rely on it.

use std::{collections::BTreeMap, path::Path};

use lombard_client::{Error, NewTransfer, Platform as Client};
use lombard_testkit::Platform;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    ACCOUNTS, ANSWERS_PER_KILL, FUNDS, KILLS, LOMBARD, WRITERS, account, chance, check_log,
    connect, kill_while_they_write, open,
};

/// The transfer that a key always means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    writer: u64,
    number: u64,
}

impl Asked {
    fn key(self) -> String {
        format!("crash-{}-{}", self.writer, self.number)
    }

    fn parts(self) -> (u64, u64, i64) {
        let seed = self.writer << 32 | self.number << 2;
        let from = chance(seed, ACCOUNTS);
        let to = (from + 1 + chance(seed + 1, ACCOUNTS - 1)) % ACCOUNTS;
        (from, to, 1 + i64::try_from(chance(seed + 2, 300)).unwrap())
    }

    /// Asks until there is an answer: the transfer's id, or none where it is refused.
    async fn ask(self, client: &Client) -> Option<String> {
        let (from, to, amount) = self.parts();
        let transfer = NewTransfer::new(account(from), account(to), "JPY", amount.to_string());
        match client.ledger().create_transfer(&transfer, &self.key()).await {
            Ok(made) => Some(made.id),
            Err(Error::Refused(problem)) => {
                assert_eq!(problem.slug(), "insufficient-funds", "{problem}");
                None
            }
            Err(other) => panic!("{other}"),
        }
    }
}

type Answers = BTreeMap<Asked, Option<String>>;

async fn write(client: Client, writer: u64, done: watch::Sender<usize>) -> Answers {
    let mut answers = Answers::new();
    let mut number = 0;
    while *done.borrow() < KILLS * ANSWERS_PER_KILL {
        let asked = Asked { writer, number };
        answers.insert(asked, asked.ask(&client).await);
        number += 1;
        done.send_modify(|done| *done += 1);
    }
    answers
}

#[tokio::test]
async fn answers_of_the_ledger_hold_through_kills() {
    let platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let client = connect(&platform).await;
    open(&client, "world".to_owned(), None).await;
    for number in 0..ACCOUNTS {
        open(&client, account(number), Some("0")).await;
        let funding = NewTransfer::new("world", account(number), "JPY", FUNDS.to_string());
        client.ledger().create_transfer(&funding, &format!("fund-{number}")).await.unwrap();
    }

    let (done, watched) = watch::channel(0);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(client.clone(), writer, done.clone()));
    }
    drop(done);
    let (platform, answers) = kill_while_they_write(platform, watched, writers).await;
    let refused = answers.values().filter(|answer| answer.is_none()).count();
    assert!(refused > 0 && refused < answers.len(), "{refused} of {}", answers.len());

    // The last transfer is a fence: what is read is at least as new.
    let fence = NewTransfer::new("world", account(0), "JPY", "1");
    let fence = client.ledger().send_transfer(&fence, "fence").await.unwrap().position;
    check_balances(&client, &answers, fence).await;
    // The same keys have the same answers, also those of refusals: money that came meanwhile changes nothing.
    for (asked, answer) in answers.iter().step_by(7) {
        assert_eq!(asked.ask(&client).await, *answer, "{}", asked.key());
    }
    check_balances(&client, &answers, fence).await;
    check_log(&platform);
}

/// Each account has what the answers say, came there without ever falling below nothing, and nothing is missing in the whole.
async fn check_balances(client: &Client, answers: &Answers, fence: Option<u64>) {
    for number in 0..ACCOUNTS {
        let mut expected = if number == 0 { FUNDS + 1 } else { FUNDS };
        let mut count = if number == 0 { 2 } else { 1 };
        for (asked, _) in answers.iter().filter(|(_, answer)| answer.is_some()) {
            let (from, to, amount) = asked.parts();
            if from == number {
                expected -= amount;
            }
            if to == number {
                expected += amount;
            }
            count += usize::from(from == number || to == number);
        }
        let found = client.ledger().account(&account(number), fence).await.unwrap();
        assert_eq!(found.balance.posted, expected.to_string(), "{}", found.path);
        let mut entries = Vec::new();
        let mut after = None;
        loop {
            let page = client.ledger().entries(&found.id, after.as_deref(), fence).await.unwrap();
            entries.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(entries.len(), count, "{}: each transfer once", found.path);
        for entry in entries {
            assert!(!entry.balance.starts_with('-'), "{} fell below its floor", found.path);
        }
    }
    for total in client.ledger().trial_balance(fence).await.unwrap() {
        assert_eq!(total.debits, total.credits, "{}", total.asset);
    }
}
