//! The sections of the overview.

use maud::{Markup, html};

use super::layout::{amount, badge, number, section, table, time, unreadable};
use crate::read::{
    Account, Readiness, Role, Service, ServiceList, Stream, Transfer, TrialBalance, Unreadable,
};

/// Who is not known to belong to the platform sees which role is away, but not what it says of itself.
pub(super) fn roles(roles: &[Role], is_authenticated: bool) -> Markup {
    let rows: Vec<Markup> = roles
        .iter()
        .map(|role| {
            let (is_good, word, why) = match &role.readiness {
                Readiness::Ready => (true, "ready", String::new()),
                Readiness::NotReady(reasons) => (false, "not ready", reasons.join("; ")),
                Readiness::Away(why) => (false, "away", why.clone()),
            };
            html! {
                tr {
                    th scope="row" { (role.name) }
                    td { (badge(is_good, word)) }
                    @if is_authenticated { td { (why) } td { (role.url) } }
                }
            }
        })
        .collect();
    let columns = [("Role", false), ("State", false), ("Why", false), ("Address", false)];
    let shown = if is_authenticated { &columns[..] } else { &columns[..2] };
    html! {
        section aria-labelledby="roles" {
            h2 id="roles" { "Roles" }
            (table("Roles of the platform", shown, &rows))
        }
    }
}

pub(super) fn trial_balance(read: &Result<TrialBalance, Unreadable>) -> Markup {
    section("trial-balance", "Trial balance", read, |trial_balance| {
        let rows: Vec<Markup> = trial_balance
            .assets
            .iter()
            .map(|line| {
                html! {
                    tr {
                        th scope="row" { (line.asset) }
                        (amount(&line.debits, &line.asset))
                        (amount(&line.credits, &line.asset))
                        td { (balanced(line.balanced)) }
                    }
                }
            })
            .collect();
        let columns = [("Asset", false), ("Debits", true), ("Credits", true), ("Result", false)];
        html! {
            p { "The books are " (balanced(trial_balance.balanced)) "." }
            (table("Debits and credits of all accounts, per asset", &columns, &rows))
        }
    })
}

fn balanced(is_balanced: bool) -> Markup {
    badge(is_balanced, if is_balanced { "balanced" } else { "NOT balanced" })
}

pub(super) fn transfers(read: &Result<Vec<Transfer>, Unreadable>) -> Markup {
    section("transfers", "Last transfers", read, |transfers| {
        let rows: Vec<Markup> = transfers.iter().map(transfer).collect();
        let columns = [
            ("Recorded", false),
            ("From", false),
            ("To", false),
            ("Amount", true),
            ("Result", false),
            ("Id", false),
        ];
        table("Transfers, the latest first", &columns, &rows)
    })
}

fn transfer(transfer: &Transfer) -> Markup {
    let status = transfer.status.as_deref().unwrap_or("unknown");
    html! {
        tr {
            td { (time(&transfer.recorded_at)) }
            td { (transfer.debit_account) }
            td { (transfer.credit_account) }
            (amount(&transfer.amount, &transfer.asset))
            td {
                (badge(status == "posted", status))
                @if let Some(result) = &transfer.result { " " (result) }
            }
            th scope="row" class="id" { (transfer.id) }
        }
    }
}

pub(super) fn accounts(read: &Result<Vec<Account>, Unreadable>) -> Markup {
    section("accounts", "Accounts", read, |accounts| {
        let rows: Vec<Markup> = accounts
            .iter()
            .map(|account| {
                let Account { path, asset, balance } = account;
                html! {
                    tr {
                        th scope="row" { (path) }
                        (amount(&balance.posted, asset))
                        (amount(&balance.pending, asset))
                        (amount(&balance.available, asset))
                    }
                }
            })
            .collect();
        let columns = [("Path", false), ("Posted", true), ("Pending", true), ("Available", true)];
        table("The first accounts, in order of path", &columns, &rows)
    })
}

pub(super) fn services(read: &Result<ServiceList, Unreadable>) -> Markup {
    section("services", "Registered services", read, |services| {
        let ServiceList { shown, rest } = services;
        html! {
            @if shown.is_empty() { p { "Registered services: none." } }
            @for service in shown { (instances(service)) }
            @if *rest > 0 { p { "Not shown: " (rest) " more." } }
        }
    })
}

fn instances(service: &Service) -> Markup {
    let shown = match &service.instances {
        Err(why) => unreadable(why),
        Ok(instances) => {
            let rows: Vec<Markup> = instances
                .iter()
                .map(|instance| {
                    html! {
                        tr {
                            th scope="row" { (instance.instance) }
                            td { (instance.url) }
                            td { (instance.version.as_deref().unwrap_or("–")) }
                        }
                    }
                })
                .collect();
            let columns = [("Instance", false), ("Address", false), ("Version", false)];
            table(&format!("Instances of {}", service.name), &columns, &rows)
        }
    };
    html! { h3 { (service.name) } (shown) }
}

pub(super) fn streams(read: &Result<Vec<Stream>, Unreadable>) -> Markup {
    section("streams", "Event streams", read, |streams| {
        let rows: Vec<Markup> = streams
            .iter()
            .map(|stream| {
                html! {
                    tr {
                        th scope="row" { (stream.stream) }
                        (number(&stream.last_revision))
                        (number(&stream.last_position))
                    }
                }
            })
            .collect();
        let columns = [("Stream", false), ("Last revision", true), ("Last position", true)];
        table("The first streams, in order of name", &columns, &rows)
    })
}
