//! The chart of accounts and locked periods.

use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_ledger_core::{ChartRule, LockName, PeriodLock};

use super::{limit, parse, put_limit, side, side_code, time};

const ANY_SIDE: u8 = 2;

pub(super) fn put_chart_rule(writer: &mut Writer<'_>, rule: &ChartRule) {
    let ChartRule { prefix, is_open, normal_side, assets, floor_min } = rule;
    writer.text(prefix.as_str());
    writer.put(&[u8::from(*is_open), normal_side.map_or(ANY_SIDE, side_code)]);
    let count = u16::try_from(assets.len()).unwrap_or(u16::MAX);
    writer.put(&count.to_le_bytes());
    assets.iter().take(usize::from(count)).for_each(|asset| writer.text(asset.as_str()));
    put_limit(writer, *floor_min);
}

pub(super) fn chart_rule(fields: &mut Reader<'_>) -> Result<ChartRule, DecodeError> {
    let prefix = parse(fields.text()?)?;
    let is_open = match fields.byte()? {
        0 => false,
        1 => true,
        _ => return Err(DecodeError("rule of the chart of accounts")),
    };
    let normal_side = match fields.byte()? {
        ANY_SIDE => None,
        code => Some(side(code)?),
    };
    let count = u16::from_le_bytes(fields.array()?);
    let assets = (0..count).map(|_| parse(fields.text()?)).collect::<Result<_, _>>()?;
    Ok(ChartRule { prefix, is_open, normal_side, assets, floor_min: limit(fields)? })
}

pub(super) fn put_period_lock(writer: &mut Writer<'_>, lock: &PeriodLock) {
    let PeriodLock { name, from, until } = lock;
    writer.text(name.as_str());
    writer.put(&from.unix_nanos().to_le_bytes());
    writer.put(&until.unix_nanos().to_le_bytes());
}

pub(super) fn period_lock(fields: &mut Reader<'_>) -> Result<PeriodLock, DecodeError> {
    Ok(PeriodLock { name: lock_name(fields)?, from: time(fields)?, until: time(fields)? })
}

pub(super) fn lock_name(fields: &mut Reader<'_>) -> Result<LockName, DecodeError> {
    LockName::new(fields.text()?).map_err(|_| DecodeError("name of a period's lock"))
}
