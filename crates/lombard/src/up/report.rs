//! What `lombard up` tells people when everything is ready.

use std::time::Duration;

use super::{
    first_start::Administrator,
    run_state::{RoleState, RunState},
};
use crate::{data_directory::DataDirectory, role::Role, table};

pub(super) fn ready(
    state: &RunState,
    directory: &DataDirectory,
    took: Duration,
    administrator: Option<&Administrator>,
) {
    let row = |entry: &RoleState| {
        [
            entry.role.to_string(),
            format!("http://{}", entry.address),
            entry.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            entry.ready_ms.map_or_else(|| "not yet".to_owned(), |ms| format!("{ms} ms")),
        ]
    };
    let header = ["ROLE", "ADDRESS", "PID", "READY"];
    let table = table::plain(header, state.roles.iter().map(row).collect(), &[2, 3]);
    println!("\n{table}\n");
    println!("Lombard is ready after {} ms: {}", took.as_millis(), state.issuer);
    println!("Data    {}", directory.path().display());
    println!("Console {}/console", state.issuer);
    let registry = state.role(Role::Registry);
    if let Some(address) = registry.and_then(|registry| registry.consul_address) {
        println!("Consul  http://{address}, for its clients");
    }
    if let Some(address) = registry.and_then(|registry| registry.dns_address) {
        println!("DNS     {address}, names such as hello.service.lombard.internal");
    }
    if let Some(Administrator { client_id, secret }) = administrator {
        println!("\nAdministrator, shown this once (it is stored as a hash only):");
        println!("  client id      {client_id}");
        println!("  client secret  {}", secret.as_str());
    }
    println!("\nMove money, in a second terminal:");
    println!(
        "  {} transfer create 25.00 EUR --from demo/bank --to demo/alice --open",
        program(directory)
    );
    println!("Or see everything work, with a role killed in the middle:");
    println!("  {} tour", program(directory));
    println!("\nCtrl-C drains and stops everything.");
}

/// The command line that reaches this platform, as short as it can be.
fn program(directory: &DataDirectory) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "lombard".to_owned());
    let program = match std::env::var("CARGO") {
        Ok(_) => "cargo run --release --".to_owned(),
        Err(_) => program,
    };
    let is_default = std::fs::canonicalize(crate::cli::DATA_DIR_DEFAULT)
        .is_ok_and(|path| path == directory.path());
    if is_default {
        program
    } else {
        format!("{program} --data-dir {}", directory.path().display())
    }
}
