//! Where a request stands in its trace (W3C Trace Context).

use http::HeaderValue;

use crate::{random::Random, values::Values};

/// The gateway's part of a trace: one request, from its head to the head of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) trace_id: u128,
    pub(crate) id: u64,
    /// The caller's.
    pub(crate) parent: Option<u64>,
    pub(crate) is_sampled: bool,
}

impl Span {
    /// A span below the caller's, or the first one of a new trace. `percent`: how many of the new traces are recorded; for others
    /// the caller has decided.
    pub(crate) fn begin(traceparent: Option<&str>, random: &Random, percent: u32) -> Self {
        let id = random.next() | 1;
        match traceparent.and_then(read) {
            Some((trace_id, parent, is_sampled)) => {
                Self { trace_id, id, parent: Some(parent), is_sampled }
            }
            None => Self {
                trace_id: random.uuid().as_u128(),
                id,
                parent: None,
                is_sampled: random.next() % 100 < u64::from(percent),
            },
        }
    }

    /// What the upstream is told: its spans belong below this one.
    pub(crate) fn traceparent(&self, values: &Values) -> Option<HeaderValue> {
        let Self { trace_id, id, is_sampled, .. } = *self;
        values.write(format_args!("00-{trace_id:032x}-{id:016x}-{:02x}", u8::from(is_sampled)))
    }
}

/// The trace, the caller's span, and whether it is recorded, of a `traceparent` that is in order.
fn read(traceparent: &str) -> Option<(u128, u64, bool)> {
    let mut parts = traceparent.split('-').skip(1);
    let trace_id = u128::from_str_radix(parts.next()?, 16).ok()?;
    let parent = u64::from_str_radix(parts.next()?, 16).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    Some((trace_id, parent, flags & 1 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_belongs_to_the_callers_trace() {
        let random = Random::new();
        let came = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let span = Span::begin(Some(came), &random, 0);
        assert_eq!(span.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((span.parent, span.is_sampled), (Some(0x00f0_67aa_0ba9_02b7), true));
        let said = span.traceparent(&Values::new()).unwrap();
        let said = said.to_str().unwrap();
        assert!(lombard_chassis::context::is_traceparent(said), "{said}");
        assert_eq!(read(said), Some((span.trace_id, span.id, true)));
        // What the caller does not record is not recorded here.
        let span = Span::begin(Some(&came.replace("-01", "-00")), &random, 100);
        assert!(
            !span.is_sampled
                && span.traceparent(&Values::new()).unwrap().as_bytes().ends_with(b"-00")
        );
    }

    #[test]
    fn new_traces_are_recorded_as_often_as_is_said() {
        let random = Random::new();
        let recorded =
            |percent| (0..1000).filter(|_| Span::begin(None, &random, percent).is_sampled).count();
        assert_eq!([recorded(0), recorded(100)], [0, 1000]);
        assert!((100..500).contains(&recorded(30)));
        let span = Span::begin(None, &random, 100);
        assert!(span.trace_id != 0 && span.id != 0 && span.parent.is_none());
    }
}
