//! A ledger in this process behind a gRPC server on a free port, and a client for it.

use std::{
    net::SocketAddr,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use bytes::Bytes;
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_ledger::{Config, Deps, Ledger};
use lombard_ledger_core::{
    AccountIdentity, Balance, Command, CreateAsset, Evidence, NormalSide, OpenAccount,
};
use lombard_log::MemoryLog;
use lombard_proto::ledger::v1::{self as proto, account::Name, lookup_request::Key};
use lombard_testkit::{Issuer, grpc};
use lombard_types::{AccountId, Scale};
use tonic::{Status, Streaming};

pub(crate) use lombard_testkit::grpc::reason;

const ISSUER: Issuer = Issuer::for_role("ledger");

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) drain: CancellationToken,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    ledger: Ledger,
    _index: tempfile::TempDir,
}

impl TestServer {
    /// With the accounts `world` (1, without a floor), `shop/a` (2) and `shop/b` (3), which may not go below zero.
    pub(crate) async fn new() -> Self {
        let server = Self::with(Config::default());
        server.open_accounts().await;
        server
    }

    pub(crate) async fn open_accounts(&self) {
        let writer = self.ledger.handle();
        let evidence = Arc::new(Evidence {
            command_id: 1,
            client_id: "tester".parse().unwrap(),
            subject: "tester".into(),
            token_id: "t".into(),
            request_id: "r".parse().unwrap(),
            traceparent: None,
            idempotency_key: None,
        });
        let scale = Scale::new(2).unwrap();
        let asset =
            CreateAsset { code: "EUR".parse().unwrap(), scale, evidence: Arc::clone(&evidence) };
        writer.submit(Command::CreateAsset(asset)).await.unwrap();
        for (id, path, floor) in [
            (1, "world", None),
            (2, "shop/a", Some(Balance::new(false, 0))),
            (3, "shop/b", Some(Balance::new(false, 0))),
        ] {
            let account = OpenAccount {
                identity: AccountIdentity::Chosen(AccountId::from_u128(id).unwrap()),
                path: path.parse().unwrap(),
                asset: "EUR".parse().unwrap(),
                normal_side: NormalSide::Credit,
                floor,
                ceiling: None,
                evidence: Arc::clone(&evidence),
            };
            writer.submit(Command::OpenAccount(account)).await.unwrap();
        }
    }

    pub(crate) fn with(config: Config) -> Self {
        let metrics = Metrics::new("ledger");
        let health = Health::starting();
        let index = tempfile::tempdir().unwrap();
        let verifier = ISSUER.verifier();
        let deps = Deps {
            log: Arc::new(MemoryLog::new()),
            snapshot_directory: None,
            index_directory: index.path().to_owned(),
            verifier: verifier.clone(),
            health: health.clone(),
            metrics: metrics.clone(),
        };
        let ledger = Ledger::new(config, deps).unwrap();
        let server = lombard_grpc::Server {
            routes: ledger.grpc_routes(),
            verifier,
            health: health.clone(),
            metrics: metrics.clone(),
            limits: ledger.grpc_limits(),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let drain = CancellationToken::new();
        let serving = tokio::spawn(lombard_grpc::serve(listener, server, drain.clone()));
        Self { address, drain, serving, ledger, _index: index }
    }

    pub(crate) fn token(&self, scope: &str) -> String {
        ISSUER.token("payments", scope)
    }

    /// A client with a connection of its own and a token of this scope.
    pub(crate) async fn client(&self, scope: &str) -> Client {
        Client(grpc::Client::connect(self.address, &self.token(scope)).await)
    }

    /// Begins the drain and waits for its end.
    pub(crate) async fn stop(self) {
        self.drain.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// A client that knows the service's methods.
#[derive(Clone)]
pub(crate) struct Client(grpc::Client);

impl Deref for Client {
    type Target = grpc::Client;

    fn deref(&self) -> &grpc::Client {
        &self.0
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut grpc::Client {
        &mut self.0
    }
}

impl Client {
    pub(crate) async fn create(
        &self,
        request: proto::CreateRequest,
    ) -> Result<proto::CreateResponse, Status> {
        self.unary("/lombard.ledger.v1.Ledger/Create", self.request(request)).await
    }

    pub(crate) async fn lookup(&self, key: Key) -> Result<proto::LookupResponse, Status> {
        let request = proto::LookupRequest { key: Some(key) };
        self.unary("/lombard.ledger.v1.Ledger/Lookup", self.request(request)).await
    }

    /// Sends all frames, and gives the answers.
    pub(crate) async fn session(
        &self,
        frames: Vec<proto::SessionRequest>,
    ) -> Result<Streaming<proto::SessionResponse>, Status> {
        let request = self.request(futures_util::stream::iter(frames));
        self.streaming("/lombard.ledger.v1.Ledger/Session", request).await
    }
}

/// A packed transfer of one cent or more.
pub(crate) fn record(id: u128, debit: u128, credit: u128, cents: u128, flags: u16) -> Vec<u8> {
    let mut record = [id, debit, credit, cents, 0, 0].map(u128::to_le_bytes).concat();
    record.resize(122, 0);
    record.extend(flags.to_le_bytes());
    record.resize(128, 0);
    record
}

/// Result, whether it is a replay, position and time of each transfer.
pub(crate) fn results(bytes: &[u8]) -> Vec<(u16, bool, u64, u64)> {
    let number =
        |bytes: &[u8]| bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    assert_eq!(bytes.len() % 24, 0);
    bytes
        .chunks(24)
        .map(|one| {
            let result = u16::try_from(number(&one[..2])).unwrap();
            (result, number(&one[2..4]) == 1, number(&one[8..16]), number(&one[16..]))
        })
        .collect()
}

pub(crate) fn payment(id: u128, from: &str, to: &str, amount: &str) -> proto::CreateRequest {
    let account = |path: &str| Some(proto::Account { name: Some(Name::Path(path.to_owned())) });
    let transfer = proto::NewTransfer {
        debit_account: account(from),
        credit_account: account(to),
        asset: "EUR".to_owned(),
        amount: amount.to_owned(),
        ..Default::default()
    };
    proto::CreateRequest {
        id: Bytes::copy_from_slice(&id.to_be_bytes()),
        transfers: vec![transfer],
        ..Default::default()
    }
}
