//! Logs: one line an event on standard error, with the role's name, as text or JSON.

use std::fmt;

use lombard_types::Timestamp;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `time LEVEL role message field=value`, for people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts logging for this process. `filter` follows the `tracing` directive syntax (`info`, `lombard_ledger=debug`);
/// a filter that cannot be read counts as `info`. A second call has no effect.
pub fn init(role: &'static str, format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .event_format(RoleFormat { role, format })
        .try_init();
    // In tests several services share a process; the first one's logging serves all.
    drop(started);
}

struct RoleFormat {
    role: &'static str,
    format: LogFormat,
}

impl<S, N> FormatEvent<S, N> for RoleFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = Timestamp::from_system_time(std::time::SystemTime::now());
        let level = event.metadata().level();
        match self.format {
            LogFormat::Text => {
                let Fields { message, others } = fields;
                write!(writer, "{time:.3} {level:>5} {:<10} {message}", self.role)?;
                for (name, value) in others {
                    match value {
                        Value::String(text) if !text.contains([' ', '"', '\n', '=']) => {
                            write!(writer, " {name}={text}")?;
                        }
                        value => write!(writer, " {name}={value}")?,
                    }
                }
                writeln!(writer)
            }
            LogFormat::Json => {
                let mut line = Map::new();
                line.insert("time".to_owned(), time.to_string().into());
                line.insert("level".to_owned(), level.as_str().to_ascii_lowercase().into());
                line.insert("role".to_owned(), self.role.into());
                line.insert("target".to_owned(), event.metadata().target().into());
                line.insert("message".to_owned(), fields.message.into());
                line.extend(fields.others);
                writeln!(writer, "{}", Value::Object(line))
            }
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn insert(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.insert(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value.into());
    }
}
