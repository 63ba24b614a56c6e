use lombard_log::checkpoint::SigningKey;

use super::*;

const ORIGIN: &str = "lombard/ledger/1";
const PAGE: usize = 7;

/// A server that says what it is told to.
struct Server {
    records: Vec<Vec<u8>>,
    tree: Tree<Vec<TreeHash>>,
    key: SigningKey,
    /// Of the checkpoint.
    size: u64,
}

fn payload(position: u64) -> Vec<u8> {
    format!("record {position}").into_bytes()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

impl Server {
    fn honest(size: u64) -> Self {
        Self::over((0..size).map(payload).collect())
    }

    fn over(records: Vec<Vec<u8>>) -> Self {
        let mut tree = Tree::in_memory();
        for (position, payload) in (0..).zip(&records) {
            tree.append(&[TreeHash::of_record(Position::new(position), payload)]).unwrap();
        }
        Self { records, size: tree.size(), tree, key: key(1) }
    }

    fn note(&self) -> String {
        let root = self.tree.root(self.size).unwrap();
        let origin = ORIGIN.to_owned();
        let checkpoint = Checkpoint { origin, size: self.size, root, extensions: Vec::new() };
        checkpoint.sign(&self.key).unwrap()
    }

    /// What somebody kept when the log had so many records.
    fn kept(&self, size: u64) -> Trusted {
        let root = self.tree.root(size).unwrap();
        let checkpoint =
            Checkpoint { origin: ORIGIN.to_owned(), size, root, extensions: Vec::new() };
        let note = checkpoint.sign(&self.key).unwrap();
        Trusted { checkpoint: Some(note.into_bytes()), key: Some(self.key.verifying_key().clone()) }
    }

    fn verify(&self, trusted: &Trusted) -> Result<Verified, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut done = 0;
        let mut progress = |at: Progress| {
            assert!(at.done > done && at.done <= at.total);
            done = at.done;
        };
        let verified = runtime.block_on(verify(self, trusted, &mut progress));
        verified.map_err(|error| error.downcast::<CheckFailed>().unwrap().to_string())
    }
}

impl Feed for Server {
    async fn key(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n", self.key.verifying_key()))
    }

    async fn checkpoint(&self) -> anyhow::Result<String> {
        Ok(self.note())
    }

    async fn consistency(&self, from: u64, to: u64) -> anyhow::Result<Vec<TreeHash>> {
        Ok(self.tree.consistency(from, to)?)
    }

    async fn records(&self, from: u64) -> anyhow::Result<Vec<Sent>> {
        let sent =
            |(position, payload): (u64, &Vec<u8>)| Sent { position, payload: payload.clone() };
        Ok((0..).zip(&self.records).map(sent).skip(usize::try_from(from)?).take(PAGE).collect())
    }
}

#[test]
fn an_honest_log_fits_with_and_without_a_checkpoint() {
    for size in [0, 1, PAGE as u64, 25] {
        let server = Server::honest(size);
        let verified = server.verify(&Trusted::default()).unwrap();
        assert_eq!((verified.records, verified.proved), (size, None));
        for kept in 0..=size {
            let verified = server.verify(&server.kept(kept)).unwrap();
            assert_eq!((verified.records, verified.proved), (size, Some(kept)));
        }
    }
}

#[test]
fn every_changed_record_is_named() {
    for changed in 0..25 {
        let mut server = Server::honest(25);
        server.records[changed][0] ^= 1;
        let fault = server.verify(&Trusted::default()).unwrap_err();
        assert!(fault.contains(&format!("record {changed} is not")), "{changed}: {fault}");
    }
}

#[test]
fn a_rewritten_history_is_refused_although_all_of_it_fits() {
    let before = Server::honest(25);
    for changed in 0..20 {
        let mut records = before.records.clone();
        records[changed][0] ^= 1;
        let server = Server::over(records);
        // It is consistent in itself: only what somebody kept tells.
        server.verify(&Trusted::default()).unwrap();
        let fault = server.verify(&before.kept(20)).unwrap_err();
        assert!(fault.contains("first 20 records are not those"), "{fault}");
    }
    // What was not under the checkpoint yet is not vouched for.
    let mut records = before.records.clone();
    records[20][0] ^= 1;
    assert_eq!(Server::over(records).verify(&before.kept(20)).unwrap().proved, Some(20));
}

#[test]
fn what_is_missing_is_named() {
    let before = Server::honest(25);
    let fault = Server::honest(19).verify(&before.kept(20)).unwrap_err();
    assert!(fault.contains("record 19 is missing"), "{fault}");
    for count in [0, 3, 14, 24] {
        let mut server = Server::honest(25);
        server.records.truncate(count);
        let fault = server.verify(&Trusted::default()).unwrap_err();
        assert!(fault.contains(&format!("record {count} is missing")), "{fault}");
    }
}

#[test]
fn only_the_trusted_key_counts() {
    let server = Server::honest(5);
    let other = Trusted { checkpoint: None, key: Some(key(2).verifying_key().clone()) };
    let fault = server.verify(&other).unwrap_err();
    assert!(fault.contains("no signature is of the trusted key"), "{fault}");
    // Signed anew with another key by whoever took the platform over.
    let forger = Server { key: key(2), ..Server::honest(5) };
    let fault = forger.verify(&server.kept(3)).unwrap_err();
    assert!(fault.contains("no signature is of the trusted key"), "{fault}");
}

#[test]
fn the_checkpoint_of_another_log_is_no_measure() {
    let server = Server::honest(5);
    let root = server.tree.root(3).unwrap();
    let other =
        Checkpoint { origin: "lombard/ledger/2".to_owned(), size: 3, root, extensions: Vec::new() };
    let note = other.sign(&server.key).unwrap().into_bytes();
    let trusted = Trusted { checkpoint: Some(note), key: None };
    let fault = server.verify(&trusted).unwrap_err();
    assert!(fault.contains("is of lombard/ledger/2"), "{fault}");
}
