//! Registers an instance and finds it: as `docs/guides/discovery.md` shows it.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::time::Duration;

use lombard_client::{Error, Platform};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let registry = Platform::from_env().await?.registry();
    let ttl = Duration::from_secs(10);
    let lease = registry.register("hello", "three", "http://127.0.0.1:9000", ttl).await?;
    for instance in registry.instances("hello").await? {
        println!("{} is {}", instance.instance, instance.state);
    }
    lease.release().await
}
