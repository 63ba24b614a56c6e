//! `Consume`: a consumer group's deliveries, and what becomes of them, on one call.
//!
//! One pull is under way all the time; it waits where the consumer has all that its credits allow, and a settlement wakes it.

use std::{pin::pin, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesOrdered};
use lombard_chassis::{Problem, problems};
use lombard_eventstore_core::group::Outcome;
use lombard_grpc::{Call, Incoming, Outgoing, status};
use lombard_proto::eventstore::v1::{
    ConsumeRequest, ConsumeResponse, ConsumeStart, Settle, SettleResult, Settled, consume_request,
    consume_response, settle::Settlement,
};
use lombard_types::GroupName;

use super::write_message::{DeliveryWriter, EncodedAppend};
use crate::{
    api::Api,
    authority::Caller,
    groups::{Delivered, Pull, Verdict, visibility},
    problem,
};

/// After so long without a delivery the consumer is told that the call lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Bytes of deliveries after which a message is sent.
const MESSAGE_BYTES: usize = 256 << 10;

type Pulling = BoxFuture<'static, Result<Vec<Delivered<EncodedAppend>>, Problem>>;

/// Needs `events:consume` for the group.
pub(super) async fn consume(
    api: Api,
    mut call: Call,
    mut incoming: Incoming<ConsumeRequest>,
    outgoing: &mut Outgoing<ConsumeResponse>,
) -> Result<(), Option<Problem>> {
    let Some(ConsumeRequest { request: Some(consume_request::Request::Start(start)) }) =
        incoming.next().await?
    else {
        return Err(Some(problem::invalid_member("start", "must be the first message")));
    };
    let mut pull = pull_of(&api, &Caller::new(call.claims.clone()), &start)?;
    let _permit = api.subscription_permit()?;
    // What is wrong is an answer before there is any delivery.
    write(&api, api.groups.pull(pull.clone(), EncodedAppend::of).await?, outgoing);
    outgoing.flush().await?;
    pull.wait = KEEP_ALIVE;
    let begin = |api: &Api| -> Pulling {
        let (groups, pull) = (api.groups.clone(), pull.clone());
        Box::pin(async move { groups.pull(pull, EncodedAppend::of).await })
    };
    let mut pulling = begin(&api);
    let mut settling = FuturesOrdered::new();
    let (mut is_open, mut last_sequence, mut ended) = (true, None, None);
    let drain = call.drain.clone();
    let mut stopping = pin!(drain.cancelled());
    while is_open || !settling.is_empty() {
        let may_take = is_open && settling.len() < api.config.session_appends_max;
        tokio::select! {
            biased;
            Some(settled) = settling.next(), if !settling.is_empty() => {
                outgoing.push(&settled);
                // What became durable together is answered together.
                while let Some(Some(settled)) = settling.next().now_or_never() {
                    outgoing.push(&settled);
                }
            }
            request = incoming.next(), if may_take => match request? {
                None => is_open = false,
                Some(request) => {
                    call.check_token()?;
                    let settle = settle_of(request, &mut last_sequence)?;
                    settling.push_back(settle_one(&api, &call, pull.group.clone(), settle));
                }
            },
            delivered = &mut pulling, if is_open => {
                call.check_token()?;
                write(&api, delivered?, outgoing);
                pulling = begin(&api);
            }
            () = outgoing.closed() => return Err(None),
            // What is in flight is answered first.
            () = &mut stopping, if is_open => {
                (is_open, ended) = (false, Some(Problem::new(&problems::STOPPING)));
            }
            () = tokio::time::sleep_until(call.token_expires_at()) => call.check_token()?,
        }
        outgoing.flush().await?;
    }
    ended.map_or(Ok(()), |problem| Err(Some(problem)))
}

fn pull_of(api: &Api, caller: &Caller, start: &ConsumeStart) -> Result<Pull, Problem> {
    let config = &api.config;
    let group: GroupName =
        start.group.parse().map_err(|error| problem::invalid_member("start.group", error))?;
    caller.consume(&group)?;
    let credits = start.credits.unwrap_or(config.group_deliveries_max);
    let credits = problem::within("start.credits", credits, 1, config.group_in_flight_max)?;
    Ok(Pull {
        group,
        consumer: caller.consumer(start.consumer.as_deref())?,
        count: credits.min(config.group_deliveries_max),
        credits: Some(credits),
        visibility: visibility(start.visibility_ms, config)?,
        wait: Duration::ZERO,
    })
}

fn settle_of(request: ConsumeRequest, last_sequence: &mut Option<u64>) -> Result<Settle, Problem> {
    let Some(consume_request::Request::Settle(settle)) = request.request else {
        return Err(problem::invalid_member("settle", "must be every message after the first"));
    };
    if last_sequence.is_some_and(|last| settle.sequence <= last) {
        return Err(problem::invalid_member("sequence", "must be larger with each settlement"));
    }
    *last_sequence = Some(settle.sequence);
    Ok(settle)
}

/// Settles, beside others, and answers.
fn settle_one(
    api: &Api,
    call: &Call,
    group: GroupName,
    settle: Settle,
) -> BoxFuture<'static, ConsumeResponse> {
    let (groups, request_id) = (api.groups.clone(), call.context.request_id.clone());
    let settling = async move {
        let Settle { sequence, receipts, settlement } = settle;
        let settled = match verdict(settlement) {
            Ok(verdict) => groups.settle(&group, &receipts, verdict).await,
            Err(problem) => Err(problem),
        };
        let settled = match settled {
            Ok(outcomes) => {
                let results = outcomes.into_iter().map(|it| result(it).into()).collect();
                Settled { sequence, results, error: None }
            }
            Err(problem) => {
                let error = Some(status::status(&problem, Some(&request_id)));
                Settled { sequence, results: Vec::new(), error }
            }
        };
        ConsumeResponse { response: Some(consume_response::Response::Settled(settled)) }
    };
    Box::pin(settling)
}

fn verdict(settlement: Option<Settlement>) -> Result<Verdict, Problem> {
    Ok(match settlement {
        Some(Settlement::Ack(_)) => Verdict::Ack,
        Some(Settlement::Nack(nack)) => Verdict::Nack {
            delay_ms: nack.delay_ms,
            is_dead: nack.dead_letter,
            reason: nack.reason,
        },
        Some(Settlement::Extend(extend)) => Verdict::Extend { visibility_ms: extend.visibility_ms },
        None => return Err(problem::invalid_member("settlement", "must be ack, nack or extend")),
    })
}

const fn result(outcome: Outcome) -> SettleResult {
    match outcome {
        Outcome::Done => SettleResult::Done,
        Outcome::AlreadySettled => SettleResult::AlreadySettled,
        Outcome::Lost => SettleResult::Lost,
        Outcome::Dead => SettleResult::Dead,
        Outcome::Unknown => SettleResult::Unknown,
    }
}

/// Writes deliveries, in as many messages as it takes; an empty one where there are none.
fn write(
    api: &Api,
    delivered: Vec<Delivered<EncodedAppend>>,
    outgoing: &mut Outgoing<ConsumeResponse>,
) {
    api.metrics.events_read(delivered.len());
    let mut left = delivered.iter().peekable();
    loop {
        let begun = outgoing.begin();
        let mut writer = DeliveryWriter::begin(outgoing.buffer());
        for delivered in left.by_ref() {
            writer.write(delivered, outgoing.buffer());
            if writer.bytes(outgoing.buffer()) >= MESSAGE_BYTES {
                break;
            }
        }
        writer.end(outgoing.buffer());
        outgoing.end(begun);
        if left.peek().is_none() {
            return;
        }
    }
}
