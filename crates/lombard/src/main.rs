//! The program: command line, supervisor, and which role runs.

#![expect(clippy::print_stdout, reason = "the command line answers on standard output")]

mod agree;
mod auth_audit_command;
mod auth_commands;
mod auth_key_commands;
mod backup_commands;
mod cli;
mod commands;
mod data_directory;
mod dpop;
mod event_commands;
mod exit;
mod explain_commands;
mod explain_error;
mod gateway_commands;
mod gateway_top;
mod group_commands;
mod groups_backup;
mod import;
mod key;
mod ledger_commands;
mod log_commands;
mod login;
mod open_files;
mod operator;
mod progress;
mod projection_commands;
mod role;
mod run_role;
mod schema_commands;
mod sealer;
mod service_commands;
mod statement_commands;
mod status;
mod subject_commands;
mod table;
mod tour;
mod up;
mod verify;
mod xds_commands;

use std::{io::Write as _, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};

use crate::{
    cli::{Cli, Command, UpArguments},
    role::Role,
};

/// A request of the roles costs up to a sixth less with it than with the C library's, and an idle connection half the memory
/// (ARCHITECTURE.md, section 5).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let Cli { command, common } = Cli::parse();
    match run(command, common) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do where even standard error is closed.
            drop(writeln!(std::io::stderr(), "lombard: {error:#}"));
            exit::code(&error)
        }
    }
}

fn run(command: Command, common: cli::CommonArguments) -> anyhow::Result<()> {
    match command {
        Command::Up(up) => {
            block_on(up::run(UpArguments { common, any_port: up.any_port, with: up.with }))
        }
        Command::Status(output) => block_on(status::run(&common, output)),
        Command::Tour(arguments) => block_on(tour::run(&common, &arguments)),
        Command::Service(command) => block_on(service_commands::run(&common, command)),
        Command::Xds(command) => xds_commands::run(&common, &command),
        Command::Transfer(command) => block_on(ledger_commands::transfer(&common, command)),
        Command::Account(command) => block_on(ledger_commands::account(&common, command)),
        Command::Statement(command) => block_on(statement_commands::run(&common, command)),
        Command::Explain(command) => block_on(explain_commands::run(&common, command)),
        Command::Asset(command) => block_on(ledger_commands::asset(&common, command)),
        Command::Event(command) => block_on(event_commands::run(&common, command)),
        Command::Group(command) => block_on(group_commands::run(&common, command)),
        Command::Projection(command) => block_on(projection_commands::run(&common, command)),
        Command::Schema(command) => block_on(schema_commands::run(&common, command)),
        Command::Subject(command) => block_on(subject_commands::run(&common, command)),
        Command::Client(command) => block_on(commands::client(&common, command)),
        Command::Log(command) => log_commands::run(&common, command),
        Command::Backup(arguments) => backup_commands::backup(&common, &arguments),
        Command::Restore { backup } => backup_commands::restore(&common, &backup),
        Command::Verify(arguments) => verify::run(&common, &arguments),
        Command::Login(arguments) => block_on(login::login(&common, &arguments)),
        Command::Logout(arguments) => block_on(login::logout(&common, &arguments)),
        Command::Token(arguments) => block_on(commands::token(&common, &arguments)),
        Command::ExplainError { error } => explain_error::run(error.as_deref()),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "lombard", &mut std::io::stdout());
            Ok(())
        }
        Command::Gateway { command: None } => run_role(Role::Gateway, &common),
        Command::Gateway { command: Some(command) } => {
            block_on(gateway_commands::run(&common, command))
        }
        Command::Registry => run_role(Role::Registry, &common),
        Command::Auth { command: None } => run_role(Role::Auth, &common),
        Command::Auth { command: Some(command) } => block_on(auth_commands::run(&common, command)),
        Command::Eventstore => run_role(Role::Eventstore, &common),
        Command::Ledger => run_role(Role::Ledger, &common),
        Command::Query => run_role(Role::Query, &common),
        Command::Console => run_role(Role::Console, &common),
    }
}

/// A role says why it ends in its log, like everything else that it says.
fn run_role(role: Role, common: &cli::CommonArguments) -> anyhow::Result<()> {
    block_on(run_role::run(role, common)).inspect_err(|error| {
        tracing::error!(error = format!("{error:#}"), "ending");
    })
}

/// One thread serves a process; what must not wait for it has threads of its own.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
