//! A group as it is told.

use lombard_eventstore_core::group::{Consumer, Group};
use lombard_types::GroupName;
use serde::Serialize;

use super::settings::SettingsView;
use crate::groups::ConsumerGroups;

/// A group's settings and state. Positions are strings, since many programs round large numbers.
#[derive(Debug, Serialize)]
pub(super) struct GroupView {
    group: String,
    settings: SettingsView,
    created_at: String,
    created_by: String,
    /// Every event before it that the filter lets through is settled, or a dead letter.
    cursor: String,
    /// The first event that was not read into the window.
    read_to: String,
    /// Events that are not settled, or not yet looked at.
    lag: u64,
    /// Events that were read and are not settled.
    outstanding: usize,
    in_flight: usize,
    /// Events that wait for another attempt.
    delayed: usize,
    dead_letters: usize,
    redelivered: u64,
    /// Those that have deliveries.
    consumers: Vec<ConsumerView>,
}

#[derive(Debug, Serialize)]
struct ConsumerView {
    consumer: String,
    in_flight: u32,
}

impl GroupView {
    pub(super) fn new(groups: &ConsumerGroups, name: &GroupName, group: &Group) -> Self {
        let consumers = group.consumers().map(|Consumer { name, in_flight }| ConsumerView {
            consumer: name.to_string(),
            in_flight,
        });
        Self {
            group: name.to_string(),
            settings: group.settings().into(),
            created_at: group.created_at().to_string(),
            created_by: group.created_by().to_string(),
            cursor: group.cursor().to_string(),
            read_to: group.read_to().to_string(),
            lag: groups.lag(name, group),
            outstanding: group.outstanding(),
            in_flight: group.in_flight(),
            delayed: group.delayed(),
            dead_letters: group.dead_letters().len(),
            redelivered: group.redelivered(),
            consumers: consumers.collect(),
        }
    }
}
