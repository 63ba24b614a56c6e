//! Tables against a naive model over random histories, in every database; what is refused; and what readers see.

mod database;
mod history;
mod naive;
#[path = "../../../query/tests/model/wishes.rs"]
mod wishes;

use std::sync::Arc;

use lombard_ledger::EventCodec;
use lombard_types::Position;
use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use tokio::{runtime::Runtime, sync::watch};

use self::{
    database::{Database, PostgresServer},
    history::History,
    wishes::{Deed, Wish, wishes},
};
use crate::{
    Settings,
    target::TargetError,
    worker::{Follow, FollowError, Log},
};

const ORIGIN: &str = "lombard/ledger/00112233";

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn settings(batch_transfers: usize) -> Settings {
    Settings { batch_transfers, batch_bytes: 4000, ..Settings::default() }
}

fn log_of(history: &History) -> Log<EventCodec> {
    let (_, origin) = watch::channel(Some(ORIGIN.into()));
    let (_, records) = watch::channel(Some(history.events.len() as u64));
    Log { log: Arc::new(history.log.clone()), codec: EventCodec, origin, records }
}

/// Follows to the end of the log, a few rows at a time; lets go of everything after `stops` steps and begins again.
fn follow(database: &Database, history: &History, batch: usize, stops: usize) -> Follow {
    let (runtime, log) = (runtime(), log_of(history));
    let mut follow = Follow::live(database.open(), ORIGIN).unwrap();
    let mut steps = 0;
    while follow.step(&runtime, &log, &settings(batch)).unwrap() {
        steps += 1;
        if steps % stops == 0 {
            drop(follow);
            follow = Follow::live(database.open(), ORIGIN).unwrap();
            follow.check(&runtime, &log).unwrap();
        }
    }
    follow
}

/// Builds the tables anew as a rebuilding does, from the beginning of the log to its end.
fn rebuild(database: &Database, history: &History, batch: usize) {
    let (runtime, log) = (runtime(), log_of(history));
    let mut fresh = Follow::beside(database.open(), ORIGIN).unwrap();
    let mut half = 0;
    while fresh.step(&runtime, &log, &settings(batch)).unwrap() {
        half += 1;
        if half == 2 {
            // Some of it with the keys in place, as what comes after they were made.
            fresh.complete().unwrap();
        }
    }
    if half < 2 {
        fresh.complete().unwrap();
    }
    fresh.swap().unwrap();
    assert!(!fresh.step(&runtime, &log, &settings(batch)).unwrap());
}

type Case = (Vec<Wish>, usize, usize, Index);

fn cases() -> impl Strategy<Value = Case> {
    (wishes(), 1usize..12, 1usize..5, any::<Index>())
}

/// The first line that differs says more than both in full.
fn same(found: &[String], expected: &[String]) -> Result<(), TestCaseError> {
    let differs = found.iter().zip(expected).find(|(found, expected)| found != expected);
    prop_assert_eq!(differs, None);
    prop_assert_eq!(found.len(), expected.len());
    Ok(())
}

/// The tables say what the model says; they still do after a part of the history was followed by another process, and
/// after they were built anew, to the last byte.
fn check(database: &Database, (wishes, batch, stops, cut): Case) -> Result<(), TestCaseError> {
    let whole = History::of(wishes);
    let part = whole.first(cut.index(whole.events.len() + 1));
    drop(follow(database, &part, batch, stops));
    same(&database.dump(), &naive::dump(&part))?;
    drop(follow(database, &whole, batch, stops));
    let live = database.dump();
    same(&live, &naive::dump(&whole))?;
    prop_assert_eq!(database.statement_entries(), naive::statement_entries(&whole));
    rebuild(database, &whole, batch + 3);
    same(&database.dump(), &live)?;
    // They go on from there.
    drop(follow(database, &whole, batch, stops));
    same(&database.dump(), &live)?;
    Ok(())
}

fn run(cases_count: u32, database: impl Fn() -> Database) {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases_count));
    runner.run(&cases(), |case| check(&database(), case)).unwrap();
}

#[test]
fn sqlite_has_what_the_model_says() {
    run(48, Database::sqlite);
}

fn refused(error: Result<Follow, FollowError>) -> FollowError {
    match error {
        Ok(_) => panic!("was not refused"),
        Err(error) => error,
    }
}

/// Ends in transfers between two accounts.
fn example() -> History {
    let wish = |number: u32| {
        let (debit, credit, amount) = (0, 2, u128::from(number) + 1);
        let deed = Deed::Move { debit, credit, amount, code: 0, effective: None, is_set: false };
        Wish { wait: 0, deed }
    };
    History::of((0..10).map(wish).collect())
}

/// Everything that is refused leaves the tables as they are.
fn check_refusals(database: &Database) {
    let history = example();
    let (runtime, log) = (runtime(), log_of(&history));
    drop(follow(database, &history, 3, 100));
    let before = database.dump();

    let error = refused(Follow::live(database.open(), "lombard/ledger/99"));
    assert!(matches!(error, FollowError::OtherLog { .. }), "{error}");
    assert!(!error.is_passing());

    for (statement, back) in [
        ("UPDATE {}projection SET recorded_at = 5", "UPDATE {}projection SET recorded_at = {time}"),
        ("UPDATE {}projection SET position = 1000", "UPDATE {}projection SET position = {count}"),
    ] {
        database.execute(statement);
        let follow = Follow::live(database.open(), ORIGIN).unwrap();
        let error = follow.check(&runtime, &log).unwrap_err();
        assert!(matches!(error, FollowError::OtherHistory(_)), "{error}");
        drop(follow);
        let time = history.events[history.events.len() - 1].1.unix_nanos().to_string();
        let count = history.events.len().to_string();
        database.execute(&back.replace("{time}", &time).replace("{count}", &count));
    }

    database.execute("UPDATE {}projection SET format = 99");
    let error = refused(Follow::live(database.open(), ORIGIN));
    let FollowError::Target(TargetError::Format { found: 99, .. }) = error else {
        panic!("{error}");
    };
    database.execute("UPDATE {}projection SET format = 2");

    database.execute("UPDATE {}balances SET debits_posted = '-1' WHERE account = 0");
    let error = refused(Follow::live(database.open(), ORIGIN));
    assert!(!error.is_passing(), "{error}");
    rebuild(database, &history, 7);
    same(&database.dump(), &before).unwrap();
}

/// Two that write to the same tables: the second is told, and writes nothing.
fn check_contention(database: &Database) {
    let history = example();
    let (runtime, log) = (runtime(), log_of(&history));
    let part = history.first(4);
    drop(follow(database, &part, 100, 100));
    let mut first = Follow::live(database.open(), ORIGIN).unwrap();
    let mut second = Follow::live(database.open(), ORIGIN).unwrap();
    while first.step(&runtime, &log, &settings(1)).unwrap() {}
    let before = database.dump();
    let error = second.step(&runtime, &log, &settings(1)).unwrap_err();
    assert!(matches!(error, FollowError::Target(TargetError::Contended)), "{error}");
    assert!(error.is_passing());
    same(&database.dump(), &before).unwrap();
}

/// A transaction that fails half-way leaves nothing, and what comes after has neither gap nor double.
fn check_failure(database: &Database, break_it: &[&str], mend_it: &[&str]) {
    let history = example();
    let (runtime, log) = (runtime(), log_of(&history));
    let part = history.first(history.events.len() - 3);
    drop(follow(database, &part, 100, 100));
    let before = database.dump();
    break_it.iter().for_each(|statement| database.execute(statement));
    let mut broken = Follow::live(database.open(), ORIGIN).unwrap();
    let error = broken.step(&runtime, &log, &settings(100)).unwrap_err();
    assert!(error.is_passing(), "{error}");
    drop(broken);
    same(&database.dump(), &before).unwrap();
    mend_it.iter().for_each(|statement| database.execute(statement));
    drop(follow(database, &history, 100, 100));
    same(&database.dump(), &naive::dump(&history)).unwrap();
}

#[test]
fn sqlite_refuses_what_it_must() {
    check_refusals(&Database::sqlite());
    check_contention(&Database::sqlite());
}

#[test]
fn sqlite_writes_all_of_a_transaction_or_nothing() {
    let trigger = "CREATE TRIGGER no BEFORE INSERT ON entries WHEN NEW.version > 2 BEGIN SELECT RAISE(ABORT, 'no'); END";
    check_failure(&Database::sqlite(), &[trigger], &["DROP TRIGGER no"]);
}

/// Who reads while the tables are built anew reads on in the old ones, and in the new ones from its next transaction on.
#[test]
fn readers_of_a_file_are_not_disturbed() {
    let (database, history) = (Database::sqlite(), example());
    drop(follow(&database, &history, 5, 100));
    database.execute("UPDATE {}transfers SET code = 77");
    let reader = rusqlite::Connection::open(database.path()).unwrap();
    let codes = || -> i64 {
        reader.query_row("SELECT min(code) FROM transfers", [], |row| row.get(0)).unwrap()
    };
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(codes(), 77);
    rebuild(&database, &history, 5);
    assert_eq!(codes(), 77);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(codes(), 0);
}

/// Everything again, where the programs of a server are there: one server, a schema for each case.
#[test]
fn postgres_does_all_of_it_too() {
    let Some(server) = PostgresServer::start() else { return };
    run(12, || server.database());
    check_refusals(&server.database());
    check_contention(&server.database());
    check_failure(
        &server.database(),
        &["ALTER TABLE {}entries ADD CONSTRAINT no CHECK (version <= 2) NOT VALID"],
        &["ALTER TABLE {}entries DROP CONSTRAINT no"],
    );
    check_postgres_readers(&server.database());
    check_lost_connection(&server.database());
    check_tls(&server);
}

/// Only the server that the authority vouches for is spoken to, under its own name.
fn check_tls(server: &PostgresServer) {
    let (history, certificate) = (example(), server.certificate());
    let database = server.database_over_tls("localhost", &certificate);
    drop(follow(&database, &history, 5, 100));
    same(&database.dump(), &naive::dump(&history)).unwrap();
    // Its certificate is for its name and not for its address.
    let by_address = server.database_over_tls("127.0.0.1", &certificate);
    assert!(by_address.try_open().is_err());
    let place = tempfile::tempdir().unwrap();
    let other = place.path().join("other.pem");
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&other, signed.cert.pem()).unwrap();
    let mistrusted = server.database_over_tls("localhost", &other);
    assert!(mistrusted.try_open().is_err());
}

fn check_postgres_readers(database: &Database) {
    let history = example();
    drop(follow(database, &history, 5, 100));
    database.execute("UPDATE {}transfers SET code = 77");
    let mut reader = database.client();
    let mut reading = reader.transaction().unwrap();
    let statement = database.named("SELECT min(code) FROM {}transfers");
    // A statement that has begun keeps the tables that it began with.
    let portal = reading.bind(&database.named("SELECT code FROM {}transfers"), &[]).unwrap();
    assert_eq!(reading.query_portal(&portal, 1).unwrap()[0].get::<_, i64>(0), 77);
    rebuild(database, &history, 5);
    assert_eq!(reading.query_portal(&portal, 1).unwrap()[0].get::<_, i64>(0), 77);
    drop(portal);
    reading.commit().unwrap();
    assert_eq!(reader.query_one(&statement, &[]).unwrap().get::<_, i64>(0), 0);
    // What the reader kept in use goes with the next rebuilding.
    rebuild(database, &history, 5);
    assert_eq!(database.replaced_schemas(), 0);
}

/// The server ends the connection between two transactions.
fn check_lost_connection(database: &Database) {
    let history = example();
    let (runtime, log) = (runtime(), log_of(&history));
    let mut follow_live = Follow::live(database.open(), ORIGIN).unwrap();
    follow_live.step(&runtime, &log, &settings(2)).unwrap();
    database.end_other_connections();
    let error = follow_live.step(&runtime, &log, &settings(2)).unwrap_err();
    assert!(error.is_passing(), "{error}");
    drop(follow_live);
    drop(follow(database, &history, 2, 100));
    same(&database.dump(), &naive::dump(&history)).unwrap();
}

#[test]
fn the_position_is_that_of_the_next_record() {
    let (database, history) = (Database::sqlite(), example());
    let follow = follow(&database, &history, 5, 100);
    assert_eq!(follow.position(), Position::new(history.events.len() as u64));
}
