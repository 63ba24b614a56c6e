//! The head of a statement, as `mod.rs` draws it.

use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_ledger_core::Statement;
use lombard_types::Position;

use super::{account, balance, put_balance, time};

pub(super) fn put(writer: &mut Writer<'_>, statement: &Statement) {
    let Statement { account, number, from, until, end, opening, closing, line_count, lines_sha256 } =
        statement;
    writer.put(&account.as_u128().to_le_bytes());
    writer.put(&number.to_le_bytes());
    writer.put(&from.unix_nanos().to_le_bytes());
    writer.put(&until.unix_nanos().to_le_bytes());
    writer.put(&end.get().to_le_bytes());
    put_balance(writer, *opening);
    put_balance(writer, *closing);
    writer.put(&line_count.to_le_bytes());
    writer.put(lines_sha256);
}

pub(super) fn take(fields: &mut Reader<'_>) -> Result<Statement, DecodeError> {
    Ok(Statement {
        account: account::id(fields)?,
        number: u32::from_le_bytes(fields.array()?),
        from: time(fields)?,
        until: time(fields)?,
        end: Position::new(u64::from_le_bytes(fields.array()?)),
        opening: balance(fields)?,
        closing: balance(fields)?,
        line_count: u64::from_le_bytes(fields.array()?),
        lines_sha256: fields.array()?,
    })
}
