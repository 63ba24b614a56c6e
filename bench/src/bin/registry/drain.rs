//! How long after it was drained an instance still gets requests through the gateway of the real program.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lombard_bench::{HttpConnection, check};
use lombard_client::{Credentials, Platform as Client};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Runtime,
    task::JoinSet,
};

const CALLERS: usize = 32;
const DRAINS: usize = 20;
const TTL: Duration = Duration::from_secs(60);

/// When an instance lately got a request.
type Last = Arc<Mutex<Option<Instant>>>;

pub(crate) fn run(lombard: &Path, runtime: &Runtime) -> anyhow::Result<()> {
    println!("an instance is drained {DRAINS} times, with {CALLERS} callers at the gateway");
    let platform = Platform::start(lombard)?;
    runtime.block_on(async {
        let gateway = platform.url("gateway")?;
        let key = std::fs::read(platform.data_dir().join("identity/lombard-operator.key"))?;
        let credentials = Credentials::key("lombard-operator", SigningKey::from_pkcs8(&key)?);
        let client = Client::connect(&gateway, credentials).await?;
        let token = client.access_token("/hello").await?.secret().to_owned();
        let registry = client.registry();
        let (kept, drained) = (Last::default(), Last::default());
        let stays = registry.register("hello", "kept", &serve(&kept).await?, TTL).await?;
        let url = serve(&drained).await?;
        let mut calling = JoinSet::new();
        let address = gateway.strip_prefix("http://").context("no address")?.to_owned();
        for _ in 0..CALLERS {
            calling.spawn(call(address.clone(), token.clone()));
        }
        let mut longest = Duration::ZERO;
        for _ in 0..DRAINS {
            let instance = registry.register("hello", "drained", &url, TTL).await?;
            *lock(&drained) = None;
            while lock(&drained).is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            registry.drain("hello", "drained", "").await?;
            let answered = Instant::now();
            tokio::time::sleep(Duration::from_millis(300)).await;
            let last = lock(&drained).context("it was never asked")?;
            longest = longest.max(last.saturating_duration_since(answered));
            instance.release().await?;
        }
        let last = longest.as_secs_f64() * 1e3;
        check::at_most("last request after the answer, the longest in ms", last, 50.0);
        anyhow::ensure!(lock(&kept).is_some(), "nobody asked the other");
        stays.release().await?;
        calling.abort_all();
        Ok(())
    })
}

fn lock(last: &Last) -> std::sync::MutexGuard<'_, Option<Instant>> {
    last.lock().expect("nobody panics with it")
}

/// An instance; answers where it listens.
async fn serve(last: &Last) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let last = Arc::clone(last);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let last = Arc::clone(&last);
            tokio::spawn(async move {
                let mut request = [0; 8192];
                while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                    *lock(&last) = Some(Instant::now());
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(url)
}

async fn call(address: String, token: String) -> anyhow::Result<()> {
    let mut connection = HttpConnection::open(&address, &token).await?;
    loop {
        connection.get("/hello/").await?;
    }
}
