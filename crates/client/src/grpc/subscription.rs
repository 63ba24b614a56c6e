//! Live events over gRPC.

use std::{sync::Arc, time::Duration};

use lombard_proto::eventstore::v1::{RecordedAppend, SubscribeRequest, SubscribeResponse};

use super::{GrpcError, PAUSE_MAX, PAUSE_MIN, SUBSCRIBE, call::Messages, channel::Channel};

/// The events of a selection, and then those that happen. It connects again by itself, where it was.
#[derive(Debug)]
pub struct GrpcSubscription {
    channel: Arc<Channel>,
    /// What to ask for after the connection is lost.
    request: SubscribeRequest,
    messages: Option<Messages<SubscribeResponse>>,
    pause: Duration,
}

impl GrpcSubscription {
    pub(super) const fn new(channel: Arc<Channel>, request: SubscribeRequest) -> Self {
        Self { channel, request, messages: None, pause: PAUSE_MIN }
    }

    /// The next appends, with those of their events that were selected; at least one. Fails only with what does not pass
    /// by itself.
    pub async fn next(&mut self) -> Result<Vec<RecordedAppend>, GrpcError> {
        loop {
            match self.try_next().await {
                // An empty message says that the connection lives.
                Ok(response) if response.appends.is_empty() => {}
                Ok(response) => {
                    self.pause = PAUSE_MIN;
                    self.request.from = self.after(&response);
                    return Ok(response.appends);
                }
                Err(error) if error.is_temporary() => {
                    tracing::debug!(%error, "a subscription connects again");
                    self.messages = None;
                    self.channel.forget_token().await;
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_next(&mut self) -> Result<SubscribeResponse, GrpcError> {
        if self.messages.is_none() {
            let begun = self.channel.server_stream(SUBSCRIBE, &self.request).await?;
            self.messages = Some(begun);
        }
        match &mut self.messages {
            Some(messages) => {
                messages.next().await?.ok_or_else(|| self.channel.unknown("the call ended"))
            }
            None => Err(self.channel.unknown("the call did not begin")),
        }
    }

    /// Where to go on after a message.
    fn after(&self, response: &SubscribeResponse) -> Option<u64> {
        let last = response.appends.iter().flat_map(|append| &append.events).last()?;
        let place = if self.request.stream.is_some() { last.revision } else { last.position };
        Some(place + 1)
    }
}
