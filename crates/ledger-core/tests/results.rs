//! `docs/reference/results.md` is made from the code. `LOMBARD_UPDATE=1 cargo test -p lombard-ledger-core` writes it.

use std::fmt::{Display, Write as _};

use lombard_ledger_core::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/results.md");

const HEAD: &str = "\
# Results of the ledger

What a command to the ledger can end with, in order of precedence: where several results apply, the first listed is the
answer. Generated from the code; a test holds it.

Names are TigerBeetle's where the meaning is, and stand in its order. Where this differs:

- *Asset* is what TigerBeetle calls *ledger*: `exists_with_different_asset`, `accounts_must_have_the_same_asset`.
- A spent id that is asked for again with the same content is answered as the first time, be it a success or a refusal
  with its original reason, rather than with `exists` or `id_already_failed`.
- A transfer whose accounts, pending transfer or reversed transfer do not exist leaves its id unspent: open the account,
  and the same id may be used.
- Of a pending transfer that has ended, only how it ended is looked up: `pending_transfer_already_posted`,
  `..._already_voided` and `..._expired` come before what differs from it.
- Of a packed record, what cannot be read at all (reserved flags, ids of zero) is told before its id is looked up.
- What TigerBeetle calls a chain of linked transfers is one posting set with one id, and has one result: the reason. In
  lists of single transfers the others of a refused set show `linked_event_failed`.
";

#[test]
fn the_reference_lists_every_result_in_order() {
    let mut text = HEAD.to_owned();
    let mut section = |title: &str, about: &str, results: Vec<(&str, String)>| {
        write!(text, "\n## {title}\n\n{about}\n\n| result | meaning |\n|---|---|\n").unwrap();
        for (name, meaning) in results {
            writeln!(text, "| `{name}` | {meaning} |").unwrap();
        }
    };
    section(
        "Posting sets: rejected",
        "Nothing changed, nothing was recorded, and the id is still unspent. Of several transfers of a set, the first that\n\
         is wrong says it.",
        rows(TransferRejection::ALL, |one| one.name()),
    );
    section(
        "Posting sets: refused",
        "In order by itself, but not in the state of the moment. Recorded, so that the id is spent and a retry is refused for\n\
         the same reason even when it would be possible by then. Every rejection comes before every refusal.",
        rows(TransferRefusal::ALL, |one| one.name()),
    );
    section("Accounts: not opened", "", rows(AccountRejection::ALL, |one| one.name()));
    section("Accounts: not closed or reopened", "", rows(ClosingRejection::ALL, |one| one.name()));
    section("Assets: not created", "", rows(AssetRejection::ALL, |one| one.name()));
    section("Rules of the chart of accounts", "", rows(ChartRejection::ALL, |one| one.name()));
    section("Locks of periods", "", rows(PeriodRejection::ALL, |one| one.name()));
    section("Statements: not sealed", "", rows(StatementRejection::ALL, |one| one.name()));
    let text = text.replace("\n\n\n\n", "\n\n");
    if std::env::var_os("LOMBARD_UPDATE").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let written = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        written == text,
        "run: LOMBARD_UPDATE=1 cargo test -p lombard-ledger-core --test results"
    );
}

fn rows<R: Display>(all: &[R], name: impl Fn(&R) -> &'static str) -> Vec<(&'static str, String)> {
    all.iter().map(|one| (name(one), one.to_string())).collect()
}
