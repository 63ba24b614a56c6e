//! The check that a registration asks the registry to make.

use lombard_chassis::Problem;
use lombard_registry_core::{Address, Check, Question, Scheme};
use serde::Deserialize;

use crate::{ChecksConfig, problem};

/// `"check"` of a registration: made at the instance's own address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckBody {
    /// `http`, `tcp` or `grpc`.
    r#type: String,
    /// Of `http`; `/` where it does not say.
    path: Option<String>,
    /// Of `grpc`; all together where it does not say.
    service: Option<String>,
    interval_ms: Option<u32>,
    timeout_ms: Option<u32>,
    successes_min: Option<u8>,
    failures_min: Option<u8>,
}

/// How often an instance is asked that does not say.
const INTERVAL_MS: u32 = 10_000;
/// How long its answer may take.
const TIMEOUT_MS: u32 = 2000;
/// How often it may fail: one question lost on the way is no reason.
const FAILURES_MIN: u8 = 2;

impl CheckBody {
    /// Reads the check of an instance at this address.
    pub(super) fn check(self, address: &Address, config: &ChecksConfig) -> Result<Check, Problem> {
        let question = self.question()?;
        if address.scheme() == Scheme::Https && question != Question::Tcp {
            let expected = "must be tcp where the URL is https: questions are asked in clear text";
            return Err(wrong("check.type", expected));
        }
        let intervals = config.interval_ms_min..=config.interval_ms_max;
        let interval_ms = self
            .interval_ms
            .unwrap_or(INTERVAL_MS.clamp(config.interval_ms_min, config.interval_ms_max));
        if !intervals.contains(&interval_ms) {
            let (least, most) = (intervals.start(), intervals.end());
            return Err(wrong("check.interval_ms", format!("must be {least} to {most}")));
        }
        let most = config.timeout_ms_max;
        let timeout_ms = self.timeout_ms.unwrap_or(TIMEOUT_MS.min(most));
        if !(1..=most).contains(&timeout_ms) {
            return Err(wrong("check.timeout_ms", format!("must be 1 to {most}")));
        }
        let successes_min = self.successes_min.unwrap_or(1);
        let failures_min = self.failures_min.unwrap_or(FAILURES_MIN);
        for (field, count) in
            [("check.successes_min", successes_min), ("check.failures_min", failures_min)]
        {
            if count == 0 {
                return Err(wrong(field, "must be at least 1"));
            }
        }
        let (at, begins_passing) = (None, false);
        Ok(Check {
            question,
            at,
            interval_ms,
            timeout_ms,
            successes_min,
            failures_min,
            begins_passing,
        })
    }

    fn question(&self) -> Result<Question, Problem> {
        match (self.r#type.as_str(), self.path.as_deref(), self.service.as_deref()) {
            ("http", path, None) => {
                let path = path.unwrap_or("/").parse();
                Ok(Question::Http { path: path.map_err(|error| wrong("check.path", error))? })
            }
            ("tcp", None, None) => Ok(Question::Tcp),
            ("grpc", None, service) => {
                let service = service.unwrap_or_default().parse();
                Ok(Question::Grpc {
                    service: service.map_err(|error| wrong("check.service", error))?,
                })
            }
            ("http", _, Some(_)) => Err(wrong("check.service", "is for the type grpc")),
            ("tcp" | "grpc", _, _) => Err(wrong("check.path", "is for the type http")),
            _ => Err(wrong("check.type", "must be http, tcp or grpc")),
        }
    }
}

fn wrong(field: &'static str, error: impl std::fmt::Display) -> Problem {
    problem::invalid_field(field, error)
}
