//! A consumer group's deliveries on one call.

use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use lombard_proto::{
    eventstore::v1::{
        Ack, ConsumeRequest, ConsumeResponse, ConsumeStart, Delivery, Extend, Nack, Settle,
        SettleResult, Settled, consume_request::Request, consume_response::Response,
        settle::Settlement,
    },
    rpc::Status,
};

use super::{
    CONSUME, GrpcError,
    call::Messages,
    channel::{Begun, Channel, framed},
};

/// Takes deliveries of a consumer group, and settles them. When the call breaks ([`GrpcError::is_temporary`]), begin another:
/// what was not settled comes back when its time is over, with the same delivery ids.
#[derive(Debug)]
pub struct GrpcConsumer {
    requests: SendStream<Bytes>,
    messages: Messages<ConsumeResponse>,
    address: String,
    sequence: u64,
}

/// What a consumer is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Consumed {
    /// Events to process; at least one.
    Deliveries(Vec<Delivery>),
    /// What became of a settlement.
    Settled {
        /// Which, as [`GrpcConsumer::ack`] and the others said.
        sequence: u64,
        /// One result for each receipt, in their order; or why it was refused.
        results: Result<Vec<SettleResult>, Status>,
    },
}

impl GrpcConsumer {
    pub(super) async fn begin(channel: &Channel, start: ConsumeStart) -> Result<Self, GrpcError> {
        let Begun { requests, response } = channel.begin(CONSUME, None).await?;
        let address = channel.address();
        let messages = Messages::new(address.clone(), response);
        let mut consumer = Self { requests, messages, address, sequence: 0 };
        consumer.send(Request::Start(start))?;
        Ok(consumer)
    }

    /// What comes next. `None` after [`GrpcConsumer::finish`], when everything is answered.
    pub async fn next(&mut self) -> Result<Option<Consumed>, GrpcError> {
        loop {
            let Some(message) = self.messages.next().await? else { return Ok(None) };
            match message.response {
                Some(Response::Deliveries(all)) if all.deliveries.is_empty() => {}
                Some(Response::Deliveries(all)) => {
                    return Ok(Some(Consumed::Deliveries(all.deliveries)));
                }
                Some(Response::Settled(Settled { sequence, error: Some(error), .. })) => {
                    return Ok(Some(Consumed::Settled { sequence, results: Err(error) }));
                }
                Some(Response::Settled(settled)) => {
                    let results = Ok(settled.results().collect());
                    return Ok(Some(Consumed::Settled { sequence: settled.sequence, results }));
                }
                None => return Err(GrpcError::unexpected(&self.address, "an empty message")),
            }
        }
    }

    /// These were processed. Answers the number of the settlement.
    pub fn ack(&mut self, receipts: Vec<String>) -> Result<u64, GrpcError> {
        self.settle(receipts, Settlement::Ack(Ack {}))
    }

    /// These were not: they are tried again, or given up after the last attempt.
    pub fn nack(&mut self, receipts: Vec<String>, nack: Nack) -> Result<u64, GrpcError> {
        self.settle(receipts, Settlement::Nack(nack))
    }

    /// These need so much more time, from now on.
    pub fn extend(
        &mut self,
        receipts: Vec<String>,
        visibility: Duration,
    ) -> Result<u64, GrpcError> {
        let visibility_ms = u64::try_from(visibility.as_millis()).unwrap_or(u64::MAX);
        self.settle(receipts, Settlement::Extend(Extend { visibility_ms }))
    }

    /// Nothing more will be settled. What was is still answered.
    pub fn finish(&mut self) -> Result<(), GrpcError> {
        let sent = self.requests.send_data(Bytes::new(), true);
        sent.map_err(|error| GrpcError::unknown(&self.address, error))
    }

    fn settle(&mut self, receipts: Vec<String>, settlement: Settlement) -> Result<u64, GrpcError> {
        self.sequence += 1;
        let sequence = self.sequence;
        let settle = Settle { sequence, receipts, settlement: Some(settlement) };
        self.send(Request::Settle(settle))?;
        Ok(sequence)
    }

    fn send(&mut self, request: Request) -> Result<(), GrpcError> {
        let message = framed(&ConsumeRequest { request: Some(request) });
        let sent = self.requests.send_data(message, false);
        sent.map_err(|error| GrpcError::unknown(&self.address, error))
    }
}
