//! The command line.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand};
use lombard_chassis::telemetry::LogFormat;
use lombard_log::checkpoint::VerifyingKey;

use crate::role::{GrpcAddress, OptionalAddress, Role, RoleAddress};

/// Where data is unless it is said otherwise.
pub(crate) const DATA_DIR_DEFAULT: &str = "./lombard-data";

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused (authentication or authorization),
5 conflict (such as insufficient funds), 6 the platform cannot be reached, 7 a check found a fault.
Settings: a flag counts over the environment, the environment over --config FILE, the file over the default.";

/// The integration platform for fintech microservices.
#[derive(Debug, Parser)]
#[command(name = "lombard", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct CommonArguments {
    /// Where the platform keeps its data
    #[arg(long, global = true, value_name = "DIR", default_value = DATA_DIR_DEFAULT, env = "LOMBARD_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// A TOML file with one table for each role
    #[arg(long, global = true, value_name = "FILE", env = "LOMBARD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where a role listens, such as gateway=127.0.0.1:9080; may be said for several roles
    #[arg(long, global = true, value_name = "ROLE=ADDRESS:PORT")]
    pub(crate) listen: Vec<RoleAddress>,
    /// Where a role listens for gRPC, such as eventstore=127.0.0.1:9183 [default: 127.0.0.1:9083; the ledger 127.0.0.1:9084; the registry, for xDS, 127.0.0.1:9081]
    #[arg(long, global = true, value_name = "ROLE=ADDRESS:PORT")]
    pub(crate) grpc_listen: Vec<GrpcAddress>,
    /// Where the registry listens for Consul's clients, or off [default: 127.0.0.1:8500 in `lombard up`, else off]
    #[arg(long, global = true, value_name = "ADDRESS:PORT", env = "LOMBARD_CONSUL_LISTEN")]
    pub(crate) consul_listen: Option<OptionalAddress>,
    /// Where the registry answers by DNS, UDP and TCP, or off [default: 127.0.0.1:8600 in `lombard up`, else off]
    #[arg(long, global = true, value_name = "ADDRESS:PORT", env = "LOMBARD_DNS_LISTEN")]
    pub(crate) dns_listen: Option<OptionalAddress>,
    /// The public URL of the gateway, which is also the issuer of tokens [default: the gateway's address]
    #[arg(long, global = true, value_name = "URL", env = "LOMBARD_ISSUER")]
    pub(crate) issuer: Option<String>,
    /// What to log: error, warn, info, debug, trace, or a list such as info,lombard_ledger=debug
    #[arg(long, global = true, value_name = "FILTER", default_value = "info", env = "LOMBARD_LOG")]
    pub(crate) log: String,
    /// Log JSON, one object a line
    #[arg(long, global = true, env = "LOMBARD_LOG_JSON")]
    pub(crate) log_json: bool,
    /// Allow clear text on addresses other than loopback
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
}

impl CommonArguments {
    pub(crate) fn log_format(&self) -> LogFormat {
        if self.log_json { LogFormat::Json } else { LogFormat::Text }
    }

    /// Where this role is told to listen.
    pub(crate) fn listen_of(&self, role: Role) -> SocketAddr {
        crate::role::Addresses::with(&self.listen).of(role)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the whole platform on this machine
    Up(UpCommand),
    /// Show what runs: roles, addresses, readiness, memory
    Status(OutputArguments),
    /// See the platform do its main job, with a role killed in the middle
    Tour(TourArguments),
    /// Move money
    #[command(subcommand)]
    Transfer(TransferCommand),
    /// Open, look at, close and reopen accounts
    #[command(subcommand)]
    Account(AccountCommand),
    /// Seal, list and read the statements of an account
    #[command(subcommand)]
    Statement(StatementCommand),
    /// See why a transfer was made, or what a balance is made of, down to the HTTP request
    #[command(subcommand)]
    Explain(ExplainCommand),
    /// Create and list assets
    #[command(subcommand)]
    Asset(AssetCommand),
    /// Append, read and watch events
    #[command(subcommand)]
    Event(EventCommand),
    /// See services and their instances, and keep traffic away from one
    #[command(subcommand)]
    Service(crate::service_commands::ServiceCommand),
    /// Configure clients of gRPC and Envoy to find services at the registry
    #[command(subcommand)]
    Xds(crate::xds_commands::XdsCommand),
    /// Share events between consumers: make and watch consumer groups, look after their dead letters
    #[command(subcommand)]
    Group(crate::group_commands::GroupCommand),
    /// Watch and rebuild the ledger's SQL projections
    #[command(subcommand)]
    Projection(crate::projection_commands::ProjectionCommand),
    /// Say what events of a type must look like, and how older ones become that
    #[command(subcommand)]
    Schema(crate::schema_commands::SchemaCommand),
    /// Forget people and others whom events are about
    #[command(subcommand)]
    Subject(crate::subject_commands::SubjectCommand),
    /// Manage OAuth clients
    #[command(subcommand)]
    Client(ClientCommand),
    /// Check and repair the roles' logs
    #[command(subcommand)]
    Log(LogCommand),
    /// Copy the logs into a new directory, while the platform runs or not, and read the copies back
    Backup(BackupArguments),
    /// Copy the logs of a backup into the data directory, and read them back; the platform must be stopped
    Restore {
        /// The backup
        backup: PathBuf,
    },
    /// Recompute the Merkle trees of the logs and compare them with a checkpoint, while the platform runs or not
    Verify(VerifyArguments),
    /// Log in as a person, in a browser here or on another device
    Login(crate::login::LoginArguments),
    /// Take back what came of a login, and forget it
    Logout(crate::login::LogoutArguments),
    /// Print an access token, for scripts: the operator's, or with --login that of whoever has logged in
    Token(TokenArguments),
    /// Explain an error by the last part of its type, such as insufficient-funds
    ExplainError {
        /// The error; without it all are listed
        error: Option<String>,
    },
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Run the gateway alone: the entry point. Or check its configuration, and look at one that runs
    Gateway {
        #[command(subcommand)]
        command: Option<crate::gateway_commands::GatewayCommand>,
    },
    /// Run the registry alone: who is there and alive
    Registry,
    /// Run the authorization server alone, or look after who may log in and what tokens are signed with
    Auth {
        #[command(subcommand)]
        command: Option<crate::auth_commands::AuthCommand>,
    },
    /// Run the event store alone
    Eventstore,
    /// Run the ledger alone
    Ledger,
    /// Run the ledger's read side alone: it follows the ledger's log over the network
    Query,
    /// Run the console alone: pages over the public APIs
    Console,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct UpCommand {
    /// Listen on free ports that the system chooses
    #[arg(long)]
    pub(crate) any_port: bool,
    /// Start a part that otherwise runs within another role as a process of its own
    #[arg(long, value_name = "PART", value_enum)]
    pub(crate) with: Vec<Part>,
}

/// What may run as a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// The ledger's read side, which otherwise runs within the ledger
    Query,
}

#[derive(Clone, Debug)]
pub(crate) struct UpArguments {
    pub(crate) common: CommonArguments,
    pub(crate) any_port: bool,
    pub(crate) with: Vec<Part>,
}

impl UpArguments {
    /// This address, or any port at it where any will do.
    pub(crate) fn port(&self, mut address: SocketAddr) -> SocketAddr {
        if self.any_port {
            address.set_port(0);
        }
        address
    }
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputArguments {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TourArguments {
    /// The payments to send
    #[arg(long, value_name = "FILE", default_value = "examples/data/payments.csv")]
    pub(crate) csv: PathBuf,
    /// How many payments are under way at once
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) in_flight: u16,
    /// How often the ledger is killed in the middle
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) kills: u32,
    /// Chooses the moments of the kills; the same seed chooses the same
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The payment service to start [default: built from examples/payments]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) service: Option<PathBuf>,
    /// Print only the result
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TransferCommand {
    /// Move an amount from one account to another
    Create {
        /// How much, such as 25.00
        amount: String,
        /// The asset, such as EUR
        asset: String,
        /// The account that pays
        #[arg(long, value_name = "PATH")]
        from: String,
        /// The account that receives
        #[arg(long, value_name = "PATH")]
        to: String,
        /// Open accounts that are missing; the payer's without a limit to how far it may fall
        #[arg(long)]
        open: bool,
        /// Only reserve it: it expires after so many seconds unless it is posted or voided; 0 for never
        #[arg(long, value_name = "SECONDS")]
        pending: Option<u32>,
        /// With --pending, how much more than the amount may be posted
        #[arg(long, value_name = "AMOUNT", requires = "pending")]
        allowance: Option<String>,
        /// Your own name for it, unique in the book
        #[arg(long, value_name = "ID")]
        external_id: Option<String>,
        /// Makes a repetition of this command harmless [default: a new one each time]
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Import history from a file of CSV (with a header) or of JSON lines; importing it again is harmless
    Import {
        /// The file, ending in .csv or .jsonl
        file: PathBuf,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show a transfer
    Get {
        /// Its id
        id: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Move what a pending transfer has reserved
    Post {
        #[command(flatten)]
        about: AboutArguments,
        /// How much [default: all of it]
        #[arg(long)]
        amount: Option<String>,
    },
    /// Release what a pending transfer has reserved
    Void {
        #[command(flatten)]
        about: AboutArguments,
    },
    /// Move back what a transfer has moved
    Reverse {
        #[command(flatten)]
        about: AboutArguments,
        /// How much [default: what is left of it]
        #[arg(long)]
        amount: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum StatementCommand {
    /// Seal the next statement: it says the same for ever, and what comes late for it is in the one after
    Seal {
        /// The account's path
        path: String,
        /// The first instant after the period, such as 2026-04-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        until: String,
        /// The first instant of the period, for an account's first statement [default: the beginning of time]
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// List the statements of an account, latest first
    List {
        /// The account's path
        path: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Print a statement with its lines
    Get {
        /// The account's path
        path: String,
        /// Its number, from 1
        number: u32,
        /// How it is written
        #[arg(long, value_enum, default_value_t = StatementFormat::Csv, conflicts_with = "json")]
        format: StatementFormat,
        #[command(flatten)]
        output: OutputArguments,
    },
}

/// What a statement is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StatementFormat {
    /// A row for each line
    Csv,
    /// JSON
    Json,
    /// ISO 20022 camt.053.001.08
    #[value(name = "camt.053")]
    Camt053,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExplainCommand {
    /// From a transfer to the command, the token and the HTTP request
    Transfer {
        /// Its id
        id: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// From a balance through its entries, latest first, to the HTTP requests
    Balance {
        /// The account's path or id
        account: String,
        /// How many entries
        #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
        entries: u32,
        #[command(flatten)]
        output: OutputArguments,
    },
}

/// What commands about another transfer take.
#[derive(Args, Debug)]
pub(crate) struct AboutArguments {
    /// The transfer's id
    pub(crate) id: String,
    /// Makes a repetition of this command harmless [default: a new one each time]
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AssetCommand {
    /// Make an asset known
    Create {
        /// Its code, such as POINTS
        code: String,
        /// Its digits after the point, for ever
        scale: u8,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// List all assets, the currencies of ISO 4217 included
    List(OutputArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Open an account
    Open {
        /// Its path, such as demo/alice
        path: String,
        /// What it holds, such as EUR
        asset: String,
        /// How far what is available may fall, such as -100.00
        #[arg(long, default_value = "0", allow_hyphen_values = true)]
        floor: String,
        /// It may fall without limit
        #[arg(long, conflicts_with = "floor")]
        no_floor: bool,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// List accounts
    List {
        /// Those whose path begins so
        #[arg(default_value = "")]
        prefix: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Let an account take no more transfers
    Close {
        /// Its path
        path: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Let an account take transfers again
    Reopen {
        /// Its path
        path: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show an account and its balance
    Get {
        /// Its path, such as demo/alice
        path: String,
        #[command(flatten)]
        output: OutputArguments,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Append one event to a stream
    Append {
        /// The stream, such as order-42; it begins with its first event
        stream: String,
        /// What happened, such as order.placed
        #[arg(value_name = "TYPE")]
        kind: String,
        /// The rest of the story, as JSON
        #[arg(default_value = "null")]
        data: String,
        /// What it is about across streams, such as customer:7; may be said several times
        #[arg(long)]
        tag: Vec<String>,
        /// What must be true of the stream: absent, or the revision of its last event
        #[arg(long, value_name = "REVISION")]
        expected: Option<String>,
        /// Whose data it has: it is stored encrypted, and unreadable after `lombard subject erase`
        #[arg(long, value_name = "SUBJECT")]
        data_subject: Option<String>,
        /// A UUID that makes a repetition of this command harmless [default: a new one each time]
        #[arg(long)]
        id: Option<String>,
        /// Where it comes from, as a URI reference
        #[arg(long, default_value = "/lombard-cli")]
        source: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show events
    List {
        #[command(flatten)]
        selection: SelectionArguments,
        /// At most this many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show events, and then those that happen, until Ctrl-C
    Watch {
        #[command(flatten)]
        selection: SelectionArguments,
        /// End after this many
        #[arg(long, value_name = "COUNT")]
        count: Option<u64>,
        #[command(flatten)]
        output: OutputArguments,
    },
}

/// Which events.
#[derive(Args, Clone, Debug)]
pub(crate) struct SelectionArguments {
    /// One stream [default: all]
    pub(crate) stream: Option<String>,
    /// Streams whose name begins so
    #[arg(long, conflicts_with = "stream")]
    pub(crate) prefix: Option<String>,
    /// Only events of this type; may be said several times, for any of them
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Vec<String>,
    /// Only events with this tag; may be said several times, for all of them
    #[arg(long)]
    pub(crate) tag: Vec<String>,
    /// Only events after this revision of the stream, or position among all
    #[arg(long, value_name = "NUMBER")]
    pub(crate) after: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Register an OAuth client, and print its secret once where it has one
    Create {
        /// What it is called
        name: String,
        /// What it may ask for, separated by spaces, such as "ledger:write registry:register:payments"
        #[arg(long)]
        scope: String,
        /// Where people's browsers may be sent back to it: it acts for persons then; may be said several times
        #[arg(long, value_name = "URI")]
        redirect_uri: Vec<String>,
        /// It can keep no secret, such as a program on a person's own machine
        #[arg(long, requires = "redirect_uri", conflicts_with = "key_file")]
        public: bool,
        /// It authenticates with the private key in this file (PKCS#8), which is made if it is not there
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// What it is held to: fapi-2.0, which takes --key-file, or oauth-2.1 [default: fapi-2.0; of a public client oauth-2.1]
        #[arg(long, value_name = "PROFILE")]
        profile: Option<String>,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show all clients, and what they are held to
    List(OutputArguments),
}

#[derive(Args, Debug)]
pub(crate) struct TokenArguments {
    /// What the token is for, as the gateway serves it, such as /v1/ledger
    #[arg(default_value = "/v1/ledger")]
    pub(crate) resource: String,
    /// As the person who has logged in for it, and not as the operator
    #[arg(long)]
    pub(crate) login: bool,
    #[command(flatten)]
    pub(crate) place: crate::login::LoginPlace,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Read every record and say whether all is as it was written; changes nothing
    Check {
        /// The role whose log is checked
        #[arg(value_name = "ROLE|all", default_value = "all")]
        whose: Whose,
    },
    /// Cut a damaged log off before its damage: loses records, asks first
    Repair {
        /// The role whose log is damaged
        role: Role,
        /// The first record to lose
        #[arg(long, value_name = "POSITION")]
        truncate_at: u64,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args, Clone, Debug)]
#[command(allow_missing_positional = true)]
pub(crate) struct BackupArguments {
    /// The role whose log is copied
    #[arg(value_name = "ROLE|all", default_value = "all")]
    pub(crate) whose: Whose,
    /// Where to; must not be there yet
    pub(crate) to: PathBuf,
}

const VERIFY_HELP: &str = "\
A checkpoint proves something if it was kept where nobody who can write the log could change it. Without one, this says \
that the log fits itself, and prints the checkpoint to keep. Over HTTP it takes LOMBARD_CLIENT_ID and \
LOMBARD_CLIENT_SECRET of a client with the audit scopes, or the operator's key in --data-dir.";

#[derive(Args, Clone, Debug)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct VerifyArguments {
    /// A data directory, a backup, one log, or a platform such as http://127.0.0.1:8080 or .../v1/ledger
    #[arg(value_name = "DIR|BACKUP|URL")]
    pub(crate) target: String,
    /// A checkpoint that was kept; then only the log that it is of is verified
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// The key that signed it, as `name+id+key` [default: the one that the target says, which proves less]
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<VerifyingKey>,
    /// Write the newest checkpoint there, if all fits; for one log
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
}

/// Whose log: a role's, or all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whose(Option<Role>);

impl Whose {
    pub(crate) fn is(self, role: Role) -> bool {
        self.0.is_none_or(|only| only == role)
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("any role", Role::name))
    }
}

impl FromStr for Whose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(None));
        }
        let role = Role::WITH_LOG.into_iter().find(|role| role.name() == text);
        role.map(|role| Self(Some(role))).ok_or_else(|| {
            let names = Role::WITH_LOG.map(Role::name).join(", ");
            format!("{text:?} has no log; say all, or one of {names}")
        })
    }
}
