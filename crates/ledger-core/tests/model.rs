//! The book against a model written to be obviously right: random commands, retries included, must give the same
//! answers and the same balances.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test's helpers may panic"
)]

use std::{collections::BTreeMap, sync::Arc};

use lombard_ledger_core::*;
use lombard_types::{Amount, Position, Scale, Timestamp};
use proptest::prelude::*;

/// One random wish, over a few accounts, ids and amounts, so that collisions are the rule.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Open { account: u8, asset: u8, debit_normal: bool, floor: Option<i8> },
    Move { id: u8, debit: u8, credit: u8, asset: u8, amount: u128, code: u8 },
    RetryLast,
}

type Key = (u8, u8, u8, u128, u8); // debit, credit, asset, amount, code

#[derive(Default)]
struct Model {
    accounts: BTreeMap<u8, (u8, bool, Option<i8>)>,
    moved: Vec<(u8, u8, u128)>, // debit, credit, amount
    spent: BTreeMap<u8, (Key, String)>,
}

impl Model {
    /// The sum of what was moved over one side of an account; `None` where it is over 2^128 - 1.
    fn total(&self, account: u8, is_debit: bool, more: u128) -> Option<u128> {
        let of = |&&(debit, credit, _): &&(u8, u8, u128)| {
            account == if is_debit { debit } else { credit }
        };
        self.moved.iter().filter(of).try_fold(more, |sum, (_, _, amount)| sum.checked_add(*amount))
    }

    /// Whether `plus - minus >= floor`, without ever going below zero.
    fn is_within(plus: u128, minus: u128, floor: Option<i8>) -> bool {
        let Some(floor) = floor else { return true };
        let size = u128::from(floor.unsigned_abs());
        if floor < 0 {
            plus.checked_add(size).is_none_or(|plus| plus >= minus)
        } else {
            minus.checked_add(size).is_some_and(|minus| plus >= minus)
        }
    }

    fn open(&mut self, account: u8, asset: u8, debit_normal: bool, floor: Option<i8>) -> String {
        let wanted = (asset, debit_normal, floor);
        let found = *self.accounts.entry(account).or_insert(wanted);
        match () {
            () if found.0 != asset => "exists_with_different_asset",
            () if found.1 != debit_normal => "exists_with_different_normal_side",
            () if found.2 != floor => "exists_with_different_floor",
            () => "open",
        }
        .to_owned()
    }

    fn transfer(&mut self, id: u8, key: Key) -> String {
        let (debit, credit, asset, amount, code) = key;
        if let Some((first, result)) = self.spent.get(&id) {
            return match () {
                () if first.0 != debit => "exists_with_different_debit_account_id".to_owned(),
                () if first.1 != credit => "exists_with_different_credit_account_id".to_owned(),
                () if first.3 != amount => "exists_with_different_amount".to_owned(),
                () if first.2 != asset => "exists_with_different_asset".to_owned(),
                () if first.4 != code => "exists_with_different_code".to_owned(),
                () => result.clone(),
            };
        }
        let (from, to) = (self.accounts.get(&debit), self.accounts.get(&credit));
        let rejection = match (from, to) {
            _ if debit == credit => Some("accounts_must_be_different"),
            _ if amount == 0 => Some("amount_must_not_be_zero"),
            (None, _) => Some("debit_account_not_found"),
            (_, None) => Some("credit_account_not_found"),
            (Some(from), Some(to)) if from.0 != to.0 => Some("accounts_must_have_the_same_asset"),
            (Some(from), _) if from.0 != asset => {
                Some("transfer_must_have_the_same_asset_as_accounts")
            }
            _ => None,
        };
        let (Some(&(_, from_debit, from_floor)), Some(&(_, to_debit, to_floor)), None) =
            (from, to, rejection)
        else {
            return rejection.unwrap().to_owned();
        };
        let debited = self.total(debit, true, amount);
        let credited = self.total(credit, false, amount);
        let result = match (debited, credited) {
            (None, _) => "overflows_debits_posted",
            (_, None) => "overflows_credits_posted",
            (Some(debits), _)
                if !from_debit
                    && !Self::is_within(
                        self.total(debit, false, 0).unwrap(),
                        debits,
                        from_floor,
                    ) =>
            {
                "exceeds_credits"
            }
            (_, Some(credits))
                if to_debit
                    && !Self::is_within(
                        self.total(credit, true, 0).unwrap(),
                        credits,
                        to_floor,
                    ) =>
            {
                "exceeds_debits"
            }
            _ => {
                self.moved.push((debit, credit, amount));
                "posted"
            }
        };
        self.spent.insert(id, (key, result.to_owned()));
        result.to_owned()
    }
}

// === the real one, driven by the same wishes ===

struct Real {
    book: Book,
    past: MemoryPast,
    history: Vec<(Event, Recorded)>,
}

impl Real {
    fn new() -> Self {
        Self { book: Book::new(HashSeed(1)), past: MemoryPast::default(), history: Vec::new() }
    }

    fn run(&mut self, command: Command) -> (String, bool) {
        let now = Timestamp::from_unix_seconds(1 + self.history.len() as u64);
        let asked = match &command {
            Command::CreateTransfers(command) => Some(command.clone()),
            _ => None,
        };
        let (reply, written) = match self.book.decide(&self.past, command, now) {
            Err(rejection) => return (rejection.name().to_owned(), false),
            Ok(Decision::Answer(reply)) => (reply, false),
            Ok(Decision::First(..)) => panic!("nothing ends by itself here"),
            Ok(Decision::Commit(event, reply)) => {
                let recorded =
                    Recorded { position: Position::new(self.history.len() as u64), time: now };
                self.book.apply(&event, recorded);
                self.past.learn(&event, recorded.position);
                self.history.push((event, recorded));
                (reply, true)
            }
        };
        let result = match reply {
            Reply::Transfers(reply) => self.name_of(&reply.results[0], &asked.unwrap()),
            Reply::Account(..) => "open",
            Reply::Asset(_) => "known",
            other => panic!("{other:?}"),
        };
        (result.to_owned(), written)
    }

    /// The result's name; a retry is compared with the record, as the shell does it.
    fn name_of(&self, result: &SetResult, asked: &CreateTransfers) -> &'static str {
        match result {
            SetResult::Created { .. } => "posted",
            SetResult::Refused { refusal, .. } => refusal.name(),
            SetResult::Rejected { rejection, .. } => rejection.name(),
            SetResult::Again { .. } => panic!("one set at a time"),
            SetResult::Spent(spent) => {
                let (event, _) = &self.history[spent.position.get() as usize];
                let Event::Transfers(transfers) = event else { panic!("{event:?}") };
                let first = transfers.set(asked.transfers[0].id).unwrap();
                let note = asked.notes.first().map(|(_, note)| note);
                let asset_of = |id| {
                    let account = self.book.account(&AccountRef::Id(id))?;
                    Some(self.book.asset_of(account).code.clone())
                };
                match compare_retry(first, &asked.transfers, note, asset_of) {
                    Err((_, differs)) => differs.name(),
                    Ok(()) => match first.recorded[0].outcome {
                        Outcome::Created => "posted",
                        Outcome::Refused(refusal) => refusal.name(),
                    },
                }
            }
        }
    }
}

fn evidence() -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: 1,
        client_id: "tester".parse().unwrap(),
        subject: "tester".into(),
        token_id: "token-1".into(),
        request_id: "request-1".parse().unwrap(),
        traceparent: None,
        idempotency_key: None,
    })
}

fn asset(number: u8) -> lombard_types::AssetCode {
    ["EUR", "JPY"][usize::from(number)].parse().unwrap()
}

struct Uid(u8);

impl From<Uid> for lombard_types::AccountId {
    fn from(Uid(number): Uid) -> Self {
        Self::from_u128(u128::from(number) + 1).unwrap()
    }
}

fn command(wish: Wish) -> Option<Command> {
    match wish {
        Wish::Open { account, asset: code, debit_normal, floor } => {
            Some(Command::OpenAccount(OpenAccount {
                identity: AccountIdentity::Chosen(Uid(account).into()),
                path: format!("accounts/{account}").parse().unwrap(),
                asset: asset(code),
                normal_side: if debit_normal { NormalSide::Debit } else { NormalSide::Credit },
                floor: floor.map(|floor| Balance::new(floor < 0, u128::from(floor.unsigned_abs()))),
                ceiling: None,
                evidence: evidence(),
            }))
        }
        Wish::Move { id, debit, credit, asset: code, amount, code: kind } => {
            let id = lombard_types::TransferId::from_u128(u128::from(id) + 1).unwrap();
            let transfer = NewTransfer {
                code: u16::from(kind),
                ..NewTransfer::single(
                    id,
                    Uid(debit).into(),
                    Uid(credit).into(),
                    Amount::from_minor_units(amount),
                )
            };
            let note = NewNote { assets: [asset(code)].into(), ..NewNote::default() };
            Some(Command::CreateTransfers(CreateTransfers {
                transfers: vec![transfer],
                notes: vec![(0, note)],
                evidence: evidence(),
            }))
        }
        Wish::RetryLast => None,
    }
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let amount = prop_oneof![
        8 => 0u128..40,
        1 => Just(u128::MAX),
        1 => (u128::MAX - 40)..u128::MAX,
    ];
    let open = (
        0u8..5,
        prop_oneof![4 => Just(0u8), 1 => Just(1u8)],
        any::<bool>(),
        proptest::option::of(-20i8..20),
    )
        .prop_map(|(account, asset, debit_normal, floor)| Wish::Open {
            account,
            asset,
            debit_normal,
            floor,
        });
    let transfer =
        (0u8..60, 0u8..5, 0u8..5, prop_oneof![9 => Just(0u8), 1 => Just(1u8)], amount, 0u8..2)
            .prop_map(|(id, debit, credit, asset, amount, code)| Wish::Move {
                id,
                debit,
                credit,
                asset,
                amount,
                code,
            });
    let wish = prop_oneof![2 => open, 8 => transfer, 1 => Just(Wish::RetryLast)];
    proptest::collection::vec(wish, 1..120)
}

fn check_balances(book: &Book, model: &Model) -> Result<(), TestCaseError> {
    let mut sums: BTreeMap<&str, (Vec<u128>, Vec<u128>)> = BTreeMap::new();
    for account in book.accounts() {
        let number = (account.id.as_u128() - 1) as u8;
        prop_assert_eq!(Some(account.totals.debits_posted), model.total(number, true, 0));
        prop_assert_eq!(Some(account.totals.credits_posted), model.total(number, false, 0));
        let sum = sums.entry(book.asset_of(account).code.as_str()).or_default();
        sum.0.push(account.totals.debits_posted);
        sum.1.push(account.totals.credits_posted);
    }
    for (debits, credits) in sums.values() {
        // Wrapping sums of both sides are equal iff the sums are, modulo 2^128; a wrap would have to hit both.
        let wrapping = |side: &[u128]| side.iter().fold(0u128, |sum, part| sum.wrapping_add(*part));
        prop_assert_eq!(wrapping(debits), wrapping(credits));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_book_agrees_with_the_model(wishes in wishes()) {
        let mut model = Model::default();
        let mut real = Real::new();
        let mut last = None;
        for wish in wishes {
            let is_retry = matches!(wish, Wish::RetryLast);
            let Some(wish) = (if is_retry { last } else { Some(wish) }) else { continue };
            let expected = match wish {
                Wish::Open { account, asset, debit_normal, floor } => model.open(account, asset, debit_normal, floor),
                Wish::Move { id, debit, credit, asset, amount, code } => {
                    model.transfer(id, (debit, credit, asset, amount, code))
                }
                Wish::RetryLast => continue,
            };
            let (found, written) = real.run(command(wish).unwrap());
            prop_assert_eq!(found, expected, "{:?}", wish);
            prop_assert!(!(is_retry && written), "a retry wrote: {:?}", wish);
            check_balances(&real.book, &model)?;
            last = Some(wish);
        }
        // Replay, with another seed for the indexes, gives the same state.
        let mut replayed = Book::new(HashSeed(u128::MAX));
        for (event, recorded) in &real.history {
            replayed.apply(event, *recorded);
        }
        prop_assert_eq!(replayed.state_hash(), real.book.state_hash());
    }
}

#[test]
fn assets_are_created_once() {
    let mut real = Real::new();
    let mut create = |code: &str, digits| {
        real.run(Command::CreateAsset(CreateAsset {
            code: code.parse().unwrap(),
            scale: Scale::new(digits).unwrap(),
            evidence: evidence(),
        }))
    };
    assert_eq!(create("POINT", 0), ("known".to_owned(), true));
    assert_eq!(create("POINT", 0), ("known".to_owned(), false));
    assert_eq!(create("POINT", 1), ("exists_with_different_scale".to_owned(), false));
    assert_eq!(create("EUR", 2), ("known".to_owned(), false), "built in");
    assert_eq!(create("EUR", 3), ("exists_with_different_scale".to_owned(), false));
}

#[test]
fn ids_and_paths_name_one_account() {
    let mut real = Real::new();
    let id = |number: u128| lombard_types::AccountId::from_u128(number).unwrap();
    let mut open = |identity, path: &str, code: &str| {
        real.run(Command::OpenAccount(OpenAccount {
            identity,
            path: path.parse().unwrap(),
            asset: code.parse().unwrap(),
            normal_side: NormalSide::Credit,
            floor: Some(Balance::ZERO),
            ceiling: None,
            evidence: evidence(),
        }))
    };
    use AccountIdentity::{Chosen, Fresh};
    for (identity, path, code, expected, written) in [
        (Chosen(id(1)), "a", "XXX", "asset_not_found", false),
        (Chosen(id(1)), "a", "EUR", "open", true),
        (Chosen(id(1)), "a", "EUR", "open", false),
        (Fresh(id(7)), "a", "EUR", "open", false),
        (Fresh(id(7)), "a", "JPY", "exists_with_different_asset", false),
        (Chosen(id(2)), "a", "EUR", "path_taken", false),
        (Chosen(id(1)), "b", "EUR", "exists_with_different_path", false),
        (Fresh(id(2)), "b", "EUR", "open", true),
        (Chosen(id(1)), "b", "EUR", "exists_with_different_path", false),
    ] {
        assert_eq!(
            open(identity, path, code),
            (expected.to_owned(), written),
            "{identity:?} {path} {code}"
        );
    }
}

#[test]
fn a_refused_id_stays_refused() {
    let mut real = Real::new();
    let open = |account, floor| Wish::Open { account, asset: 0, debit_normal: false, floor };
    let pay = |id, debit, credit| Wish::Move { id, debit, credit, asset: 0, amount: 10, code: 0 };
    let mut run = |wish| real.run(command(wish).unwrap());
    run(open(0, None));
    run(open(1, Some(0)));
    assert_eq!(run(pay(1, 1, 0)), ("exceeds_credits".to_owned(), true));
    assert_eq!(run(pay(2, 0, 1)), ("posted".to_owned(), true));
    assert_eq!(
        run(pay(1, 1, 0)),
        ("exceeds_credits".to_owned(), false),
        "there is money now, the answer stays"
    );
    assert_eq!(run(pay(3, 1, 0)), ("posted".to_owned(), true), "a new id may spend it");
}

#[test]
fn user_fields_are_part_of_a_transfers_content() {
    let mut real = Real::new();
    for account in 0..2 {
        real.run(
            command(Wish::Open { account, asset: 0, debit_normal: false, floor: None }).unwrap(),
        );
    }
    let wish = Wish::Move { id: 1, debit: 0, credit: 1, asset: 0, amount: 10, code: 3 };
    let Some(Command::CreateTransfers(first)) = command(wish) else { unreachable!() };
    assert_eq!(real.run(Command::CreateTransfers(first.clone())).0, "posted");
    let mut again = |change: &dyn Fn(&mut NewTransfer, &mut NewNote)| {
        let mut command = first.clone();
        change(&mut command.transfers[0], &mut command.notes[0].1);
        real.run(Command::CreateTransfers(command)).0
    };
    assert_eq!(again(&|_, _| ()), "posted");
    assert_eq!(again(&|t, _| t.user_data.data_128 = 1), "exists_with_different_user_data_128");
    assert_eq!(again(&|t, _| t.user_data.data_64 = 1), "exists_with_different_user_data_64");
    assert_eq!(again(&|t, _| t.user_data.data_32 = 1), "exists_with_different_user_data_32");
    assert_eq!(
        again(&|t, _| t.effective_at = Some(Timestamp::EPOCH)),
        "exists_with_different_effective_at"
    );
    assert_eq!(
        again(&|_, n| n.metadata = Metadata::new("{}").unwrap()),
        "exists_with_different_metadata"
    );
    // Precedence: the first listed difference is the answer.
    assert_eq!(
        again(&|t, n| {
            n.metadata = Metadata::new("{}").unwrap();
            t.code = 9;
            t.amount = Amount::ZERO;
        }),
        "exists_with_different_amount"
    );
}
