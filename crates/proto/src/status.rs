//! How a call ended: codes, and their way through trailers.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message as _;

use crate::rpc::{ErrorInfo, RetryInfo, Status};

/// `grpc-status`: the code.
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// `grpc-message`: what went wrong, percent-encoded.
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// `grpc-status-details-bin`: a whole `google.rpc.Status` in base64.
pub const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Standard base64, written without padding and read with or without it, as gRPC asks of `-bin` headers.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The codes of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// The caller gave up.
    Cancelled = 1,
    /// Nothing is known.
    Unknown = 2,
    /// The request can never succeed as it is.
    InvalidArgument = 3,
    /// Not done in time, or the outcome is unknown.
    DeadlineExceeded = 4,
    /// No such thing, or the caller may not know of it.
    NotFound = 5,
    /// It is there already, and differs.
    AlreadyExists = 6,
    /// The token does not permit it.
    PermissionDenied = 7,
    /// A limit is reached.
    ResourceExhausted = 8,
    /// The state does not permit it.
    FailedPrecondition = 9,
    /// Somebody else was faster: read again, decide again.
    Aborted = 10,
    /// Beyond the end.
    OutOfRange = 11,
    /// No such method, or a part of the protocol that is not offered.
    Unimplemented = 12,
    /// A defect of the server.
    Internal = 13,
    /// Nothing was done; try again.
    Unavailable = 14,
    /// Data is damaged.
    DataLoss = 15,
    /// No token, or one that is not accepted.
    Unauthenticated = 16,
}

impl Code {
    /// All of them, by number.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The number on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The code with this number; one that is not known is [`Code::Unknown`].
    pub fn from_number(number: i32) -> Self {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        Self::ALL.get(index).copied().unwrap_or(Self::Unknown)
    }

    /// The name in gRPC's documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    const fn header(self) -> &'static str {
        match self {
            Self::Ok => "0",
            Self::Cancelled => "1",
            Self::Unknown => "2",
            Self::InvalidArgument => "3",
            Self::DeadlineExceeded => "4",
            Self::NotFound => "5",
            Self::AlreadyExists => "6",
            Self::PermissionDenied => "7",
            Self::ResourceExhausted => "8",
            Self::FailedPrecondition => "9",
            Self::Aborted => "10",
            Self::OutOfRange => "11",
            Self::Unimplemented => "12",
            Self::Internal => "13",
            Self::Unavailable => "14",
            Self::DataLoss => "15",
            Self::Unauthenticated => "16",
        }
    }
}

impl Status {
    /// The code.
    pub fn grpc_code(&self) -> Code {
        Code::from_number(self.code)
    }

    /// Why, for programs: the first `ErrorInfo` among the details.
    pub fn error_info(&self) -> Option<ErrorInfo> {
        self.detail()
    }

    /// When to try again.
    pub fn retry_info(&self) -> Option<RetryInfo> {
        self.detail()
    }

    fn detail<M: prost::Message + prost::Name + Default>(&self) -> Option<M> {
        let name = M::full_name();
        let is_meant = |url: &str| url.rsplit('/').next() == Some(name.as_str());
        let any = self.details.iter().find(|any| is_meant(&any.type_url))?;
        M::decode(any.value.as_slice()).ok()
    }

    /// Adds a detail.
    #[must_use]
    pub fn with<M: prost::Message + prost::Name>(mut self, detail: &M) -> Self {
        let type_url = format!("type.googleapis.com/{}", M::full_name());
        self.details.push(prost_types::Any { type_url, value: detail.encode_to_vec() });
        self
    }
}

/// The trailers that say how a call ended; `None`: well.
pub fn trailers(status: Option<&Status>) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(3);
    let Some(status) = status else {
        trailers.insert(GRPC_STATUS, HeaderValue::from_static(Code::Ok.header()));
        return trailers;
    };
    let code = status.grpc_code();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static(code.header()));
    if let Ok(message) = HeaderValue::from_str(&percent_encode(&status.message)) {
        trailers.insert(GRPC_MESSAGE, message);
    }
    if !status.details.is_empty()
        && let Ok(details) = HeaderValue::from_str(&BASE64.encode(status.encode_to_vec()))
    {
        trailers.insert(GRPC_STATUS_DETAILS, details);
    }
    trailers
}

/// How the trailers say that a call ended: `Ok` where it went well. Without a code nothing is known.
pub fn status_from_trailers(trailers: &HeaderMap) -> Result<(), Status> {
    let text = |name: HeaderName| trailers.get(name).and_then(|value| value.to_str().ok());
    let code = text(GRPC_STATUS).and_then(|text| text.parse().ok());
    let message = || text(GRPC_MESSAGE).map(percent_decode).unwrap_or_default();
    match code {
        Some(0) => Ok(()),
        Some(code) => {
            let details = text(GRPC_STATUS_DETAILS)
                .and_then(|details| BASE64.decode(details).ok())
                .and_then(|details| Status::decode(details.as_slice()).ok());
            // The details are more than the headers only where they speak of the same.
            let details = details.filter(|details| details.code == code);
            Err(details.unwrap_or_else(|| Status { code, message: message(), details: Vec::new() }))
        }
        None => Err(Status {
            code: Code::Unknown.number(),
            message: "the answer ended without a status".to_owned(),
            details: Vec::new(),
        }),
    }
}

/// Everything but printable ASCII, and `%`.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Reads percent-encoded text; what is not well-formed stays as it is.
fn percent_decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%'
            && let Some((digits, after)) = after.split_first_chunk::<2>()
            && let Ok(digits) = std::str::from_utf8(digits)
            && let Ok(escaped) = u8::from_str_radix(digits, 16)
        {
            decoded.push(escaped);
            rest = after;
        } else {
            decoded.push(*byte);
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_are_their_numbers() {
        for (number, code) in (0..).zip(Code::ALL) {
            assert_eq!(code.number(), number);
            assert_eq!(code.header(), number.to_string());
            assert_eq!(Code::from_number(number), code);
        }
        assert_eq!(Code::from_number(17), Code::Unknown);
        assert_eq!(Code::from_number(-1), Code::Unknown);
    }

    #[test]
    fn the_absence_of_a_status_is_an_error() {
        let status = status_from_trailers(&HeaderMap::new()).unwrap_err();
        assert_eq!(status.grpc_code(), Code::Unknown);
        assert_eq!(status_from_trailers(&trailers(None)), Ok(()));
    }

    #[test]
    fn details_of_another_code_are_not_believed() {
        let status = Status { code: 5, message: "gone".into(), details: Vec::new() };
        let mut headers = trailers(Some(&status.with(&ErrorInfo::default())));
        headers.insert(GRPC_STATUS, HeaderValue::from_static("7"));
        let read = status_from_trailers(&headers).unwrap_err();
        assert_eq!((read.code, read.details.len()), (7, 0));
    }

    proptest! {
        #[test]
        fn statuses_survive_trailers(code in 1i32..17, message: String, reason: String) {
            let status = Status { code, message, details: Vec::new() };
            prop_assert_eq!(status_from_trailers(&trailers(Some(&status))), Err(status.clone()));
            let info = ErrorInfo { reason, domain: "lombard".into(), ..ErrorInfo::default() };
            let status = status.with(&info);
            let read = status_from_trailers(&trailers(Some(&status))).unwrap_err();
            prop_assert_eq!(read.error_info(), Some(info));
            prop_assert_eq!(read, status);
        }

        #[test]
        fn any_message(text: String) {
            drop(percent_decode(&text));
            prop_assert_eq!(percent_decode(&percent_encode(&text)), text);
        }
    }
}
