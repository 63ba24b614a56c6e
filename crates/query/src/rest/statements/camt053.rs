//! A statement as ISO 20022 camt.053.001.08 (BankToCustomerStatementV08).
//!
//! The schema fixes the order of elements, at most 35 characters of an identification, three capital letters of a currency,
//! and 18 digits of an amount with at most 5 after the point. What does not fit is refused before a byte is sent, and never
//! rounded. Credits and debits are those of the account: money that a credit-normal account owes its owner is `CRDT`.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_chassis::Problem;
use lombard_ledger_core::{Balance, EntrySide, NormalSide};
use lombard_types::{Amount, Scale};

use super::lines::{Line, Told};
use crate::problem;

const DIGITS_MAX: usize = 18;
const FRACTION_DIGITS_MAX: u8 = 5;

/// Whether the schema can say it.
pub(super) fn check(told: &Told) -> Result<(), Problem> {
    let asset = &told.account.asset;
    let code = asset.code.as_str();
    let refused = |detail: String| Problem::new(&problem::NOT_EXPRESSIBLE).detail(detail);
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(refused(format!("{code} is no currency code of three capital letters")));
    }
    if asset.scale.digits() > FRACTION_DIGITS_MAX {
        return Err(refused(format!("{code} has more than {FRACTION_DIGITS_MAX} fraction digits")));
    }
    let statement = &told.row.statement;
    let sums = Sums::of(told);
    let amounts = told.lines.iter().map(|line| line.entry.posted).chain([
        statement.opening.magnitude(),
        statement.closing.magnitude(),
        sums.credits,
        sums.debits,
    ]);
    let largest = amounts.max().unwrap_or_default();
    if largest.checked_ilog10().is_some_and(|digits| digits as usize >= DIGITS_MAX) {
        return Err(refused(format!("an amount has more than {DIGITS_MAX} digits")));
    }
    Ok(())
}

/// What is added up in the summary.
struct Sums {
    credit_count: usize,
    credits: u128,
    debit_count: usize,
    debits: u128,
}

impl Sums {
    fn of(told: &Told) -> Self {
        let mut sums = Self { credit_count: 0, credits: 0, debit_count: 0, debits: 0 };
        for line in &told.lines {
            let (count, sum) = match line.entry.side {
                EntrySide::Credit => (&mut sums.credit_count, &mut sums.credits),
                EntrySide::Debit => (&mut sums.debit_count, &mut sums.debits),
            };
            *count += 1;
            *sum = sum.saturating_add(line.entry.posted);
        }
        sums
    }
}

/// Up to the first entry.
pub(super) fn head(told: &Told) -> String {
    let (account, row) = (&told.account, &told.row);
    let statement = &row.statement;
    let (asset, scale) = (account.asset.code.as_str(), account.asset.scale);
    // 22 characters of the account and up to 10 of the number.
    let id = format!(
        "{}-{}",
        URL_SAFE_NO_PAD.encode(account.id.as_u128().to_be_bytes()),
        statement.number
    );
    let sealed = row.sealed.time;
    let sums = Sums::of(told);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut out = |part: String| text.push_str(&part);
    out("<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt>\n"
        .into());
    out(format!("<GrpHdr><MsgId>{id}</MsgId><CreDtTm>{sealed}</CreDtTm></GrpHdr>\n"));
    out(format!("<Stmt><Id>{id}</Id>"));
    out(format!("<ElctrncSeqNb>{0}</ElctrncSeqNb><LglSeqNb>{0}</LglSeqNb>", statement.number));
    out(format!("<CreDtTm>{sealed}</CreDtTm>"));
    out(format!(
        "<FrToDt><FrDtTm>{}</FrDtTm><ToDtTm>{}</ToDtTm></FrToDt>\n",
        statement.from, statement.until
    ));
    out(format!("<Acct><Id><Othr><Id>{:032x}</Id></Othr></Id>", account.id.as_u128()));
    out(format!("<Ccy>{asset}</Ccy><Nm>{}</Nm></Acct>\n", escaped(account.path.as_str(), 70)));
    for (code, balance, time) in
        [("OPBD", statement.opening, statement.from), ("CLBD", statement.closing, statement.until)]
    {
        let (amount, indicator) = signed(balance, account.normal_side, scale);
        out(format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"{asset}\">{amount}</Amt>\
             <CdtDbtInd>{indicator}</CdtDbtInd><Dt><DtTm>{time}</DtTm></Dt></Bal>\n"
        ));
    }
    let amount = |sum| Amount::from_minor_units(sum).display(scale);
    out(format!(
        "<TxsSummry><TtlNtries><NbOfNtries>{}</NbOfNtries></TtlNtries>\
         <TtlCdtNtries><NbOfNtries>{}</NbOfNtries><Sum>{}</Sum></TtlCdtNtries>\
         <TtlDbtNtries><NbOfNtries>{}</NbOfNtries><Sum>{}</Sum></TtlDbtNtries></TxsSummry>\n",
        told.lines.len(),
        sums.credit_count,
        amount(sums.credits),
        sums.debit_count,
        amount(sums.debits),
    ));
    text
}

/// One line.
pub(super) fn entry(told: &Told, line: &Line) -> String {
    let asset = told.account.asset.code.as_str();
    let indicator = if line.side == "credit" { "CRDT" } else { "DBIT" };
    let reference = line.transfer_id.replace('-', "");
    let mut text = format!(
        "<Ntry><NtryRef>{reference}</NtryRef><Amt Ccy=\"{asset}\">{}</Amt>\
         <CdtDbtInd>{indicator}</CdtDbtInd>",
        line.amount
    );
    if line.kind == "reversal" {
        text.push_str("<RvslInd>true</RvslInd>");
    }
    let written = write!(
        text,
        "<Sts><Cd>BOOK</Cd></Sts><BookgDt><DtTm>{}</DtTm></BookgDt><ValDt><DtTm>{}</DtTm></ValDt>\
         <AcctSvcrRef>{}</AcctSvcrRef>\
         <BkTxCd><Prtry><Cd>{}-{}</Cd><Issr>lombard</Issr></Prtry></BkTxCd>",
        line.recorded_at, line.effective_at, line.place, line.kind, line.code
    );
    // Writing to a string does not fail.
    written.unwrap_or_default();
    // It has to be whole, or it would be another one.
    if let Some(id) = line.external_id.as_deref().filter(|id| id.len() <= 35) {
        let id = escaped(id, 35);
        text.push_str(&format!(
            "<NtryDtls><TxDtls><Refs><EndToEndId>{id}</EndToEndId></Refs></TxDtls></NtryDtls>"
        ));
    }
    let counterparty = escaped(&line.counterparty, 500);
    text.push_str(&format!("<AddtlNtryInf>{counterparty}</AddtlNtryInf></Ntry>\n"));
    text
}

pub(super) const TAIL: &str = "</Stmt></BkToCstmrStmt></Document>\n";

/// A balance on the normal side as an amount and a side.
fn signed(balance: Balance, normal_side: NormalSide, scale: Scale) -> (String, &'static str) {
    let is_credit = balance.is_negative() == (normal_side == NormalSide::Debit);
    let amount = Amount::from_minor_units(balance.magnitude()).display(scale).to_string();
    (amount, if is_credit || balance.magnitude() == 0 { "CRDT" } else { "DBIT" })
}

/// At most so many characters, with what XML means otherwise written as entities.
fn escaped(text: &str, characters_max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().take(characters_max) {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}
