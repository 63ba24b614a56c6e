//! The platform's own client on the same server, and what goes wrong below any client.

mod appends;
mod faults;
mod reads;
mod sessions;

use bytes::Bytes;
use lombard_client::grpc::{
    GrpcEventStore,
    v1::{
        AppendRequest, Existence, NewEvent, ReadRequest, RecordedEvent, StreamAppend, new_event,
        stream_append,
    },
};

use crate::support::TestServer;

impl TestServer {
    fn own_client(&self) -> GrpcEventStore {
        self.own_client_with("events:append events:read")
    }

    fn own_client_with(&self, scope: &str) -> GrpcEventStore {
        GrpcEventStore::with_token(self.address.to_string(), &self.token(scope))
    }
}

fn event(number: u64) -> NewEvent {
    NewEvent {
        id: uuid(number),
        r#type: "payment.settled".to_owned(),
        source: "/payments".to_owned(),
        tags: vec![format!("order:{number}")],
        data: Some(new_event::Data::Json(Bytes::from(format!("{{\"number\":{number}}}")))),
        ..NewEvent::default()
    }
}

fn uuid(number: u64) -> Bytes {
    let id = 0x0190_d7a4_5c2e_7d31_8e2f_0000_0000_0000_u128 + u128::from(number) + 1;
    Bytes::copy_from_slice(&id.to_be_bytes())
}

fn append(stream: &str, numbers: impl IntoIterator<Item = u64>) -> AppendRequest {
    let events = numbers.into_iter().map(event).collect();
    let part = StreamAppend { stream: stream.to_owned(), expected: None, events };
    AppendRequest { streams: vec![part], condition: None }
}

fn absent() -> Option<stream_append::Expected> {
    Some(stream_append::Expected::Existence(Existence::Absent.into()))
}

/// All events of a selection.
async fn read(client: &GrpcEventStore, request: ReadRequest) -> Vec<RecordedEvent> {
    let mut reading = client.read(&request).await.unwrap();
    let mut events = Vec::new();
    while let Some(message) = reading.next().await.unwrap() {
        events.extend(message.appends.into_iter().flat_map(|append| append.events));
    }
    events
}

fn of(stream: &str) -> ReadRequest {
    ReadRequest { stream: Some(stream.to_owned()), ..ReadRequest::default() }
}
