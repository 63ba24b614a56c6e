//! Which routes of a table the next one can keep. Thousands of routes change seldom all at once, and making one takes much longer
//! than seeing that it is the same.

use std::{collections::HashMap, sync::Arc};

use lombard_gateway_core::Rule;
use serde_json::Value;

use super::{Policy, Table, build::PLATFORM};
use crate::Config;

/// Keys of a route that name what may be another thing without the route being changed: a file, or a table with a file.
const ELSEWHERE: [&str; 3] = ["openapi_file", "issuers", "api_keys"];

/// The routes of the table in use, by name.
pub(super) struct Kept<'a> {
    table: &'a Table,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Kept<'a> {
    /// `None` where something about all routes is another thing.
    pub(super) fn of(table: &'a Table, config: &Config) -> Option<Self> {
        let before = &table.config;
        let is_same = before.response_timeout_ms == config.response_timeout_ms
            && before.request_body_bytes_max == config.request_body_bytes_max
            && before.issuer == config.issuer
            // Routes that name no issuer would have the keys of its file.
            && !config.issuer.iter().any(|issuer| issuer.get("name") == Some(&Value::from(PLATFORM)));
        let names = table.policies.iter().enumerate();
        is_same.then(|| Self {
            table,
            by_name: names.map(|(number, policy)| (&*policy.name, number)).collect(),
        })
    }

    /// The route of this name, where it stands there as it did before. Most are at the place where they were.
    pub(super) fn find(
        &self,
        index: usize,
        name: &str,
        entry: &Value,
    ) -> Option<(Arc<Rule>, Arc<Policy>)> {
        let at_place = self.table.policies.get(index).filter(|policy| &*policy.name == name);
        let number = match at_place {
            Some(_) => index,
            None => *self.by_name.get(name)?,
        };
        let is_same = self.table.config.route.get(number) == Some(entry)
            && ELSEWHERE.iter().all(|key| entry.get(key).is_none());
        let (rules, policies) = (self.table.index.rules(), &self.table.policies);
        is_same
            .then(|| Some((Arc::clone(rules.get(number)?), Arc::clone(policies.get(number)?))))?
    }
}
