use proptest::prelude::*;

use super::*;

const NAME: &str = "ledger.example.com/books/main";

fn key() -> SigningKey {
    SigningKey::from_seed(NAME, &[7; 32]).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: NAME.to_owned(),
        size: 20_852_163,
        root: TreeHash::new([9; 32]),
        extensions: Vec::new(),
    }
}

#[test]
fn golden_note() {
    let note = checkpoint().sign(&key()).unwrap();
    // Made with another implementation of Ed25519 and SHA-256.
    assert_eq!(
        note,
        "ledger.example.com/books/main\n\
         20852163\n\
         CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n\
         \n\
         — ledger.example.com/books/main HAsPIpjOK+7NGkRiZDT6NwfCE+Jh06XhxclP+mLn87USovk7V1V8CgovAJ75CNgiT9R6PEC12MqX3qRPahviEv4kXAA=\n"
    );
    assert_eq!(
        key().verifying_key().to_string(),
        "ledger.example.com/books/main+1c0b0f22+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
    );
    assert_eq!(Checkpoint::verify(note.as_bytes(), key().verifying_key()), Ok(checkpoint()));
}

/// The example key of the signed note specification's first implementation (golang.org/x/mod/sumdb/note).
#[test]
fn reads_a_note_made_elsewhere() {
    let key =
        VerifyingKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
            .unwrap();
    let note = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n\
                \n\
                — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    // The signature fits; what it signs is no checkpoint.
    assert_eq!(Checkpoint::verify(note.as_bytes(), &key), Err(CheckpointError::Size));
    let altered = note.replace("answer", "reason");
    assert_eq!(Checkpoint::verify(altered.as_bytes(), &key), Err(CheckpointError::WrongSignature));
}

#[test]
fn malformed_notes() {
    use CheckpointError as E;
    let good = checkpoint().sign(&key()).unwrap();
    let signature = good.lines().last().unwrap().to_owned();
    let root = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let with_body = |body: &str| format!("{body}\n{signature}\n");
    let with_signature = |line: &str| format!("o\n1\n{root}\n\n{line}\n");
    let table: Vec<(&str, String, E)> = vec![
        ("nothing", String::new(), E::NoSignatures),
        ("one newline", "\n".into(), E::NoSignatures),
        ("no signatures", format!("o\n1\n{root}\n"), E::NoSignatures),
        ("empty signatures", format!("o\n1\n{root}\n\n"), E::NoSignatures),
        ("no newline at the end", good.trim_end().to_owned(), E::NoSignatures),
        ("an empty line at the end", format!("{good}\n"), E::NoSignatures),
        ("carriage returns", good.replace('\n', "\r\n"), E::NotText),
        ("a tab", good.replace(NAME, "a\tb"), E::NotText),
        ("a zero byte", good.replace(NAME, "a\0b"), E::NotText),
        (
            "too long",
            with_body(&format!("o\n1\n{root}\n{}\n", "x".repeat(NOTE_BYTES_MAX))),
            E::TooLong,
        ),
        (
            "too many signatures",
            format!("o\n1\n{root}\n\n{}", format!("{signature}\n").repeat(65)),
            E::TooManySignatures,
        ),
        ("empty origin", with_body(&format!("\n1\n{root}\n")), E::Origin),
        ("no size", with_body("o\n"), E::Size),
        ("empty size", with_body(&format!("o\n\n{root}\n")), E::Size),
        ("size with a leading zero", with_body(&format!("o\n01\n{root}\n")), E::Size),
        ("size with a sign", with_body(&format!("o\n+1\n{root}\n")), E::Size),
        ("negative size", with_body(&format!("o\n-1\n{root}\n")), E::Size),
        ("size with a space", with_body(&format!("o\n1 \n{root}\n")), E::Size),
        ("hexadecimal size", with_body(&format!("o\n1f\n{root}\n")), E::Size),
        ("size over 64 bits", with_body(&format!("o\n18446744073709551616\n{root}\n")), E::Size),
        ("digits of another script", with_body(&format!("o\n١\n{root}\n")), E::Size),
        ("no root", with_body("o\n1\n"), E::Root),
        ("short root", with_body("o\n1\nCQkJ\n"), E::Root),
        ("long root", with_body(&format!("o\n1\nCQkJ{root}\n")), E::Root),
        ("root without padding", with_body(&format!("o\n1\n{}\n", &root[..43])), E::Root),
        ("root of another alphabet", with_body(&format!("o\n1\n_{}\n", &root[1..])), E::Root),
        ("root with loose bits", with_body(&format!("o\n1\n{}l=\n", &root[..42])), E::Root),
        ("empty extension", with_body(&format!("o\n1\n{root}\n\nx\n")), E::Extension),
        (
            "hyphen for a dash",
            with_signature(&signature.replace('—', "-")),
            E::MalformedSignature { line: 1 },
        ),
        ("no name", with_signature("— AAAAAAA="), E::MalformedSignature { line: 1 }),
        ("empty name", with_signature("—  AAAAAAA="), E::MalformedSignature { line: 1 }),
        ("name with a plus", with_signature("— a+b AAAAAAA="), E::MalformedSignature { line: 1 }),
        ("no signature bytes", with_signature("— a AAAAAA=="), E::MalformedSignature { line: 1 }),
        ("bad base64", with_signature("— a !!!!"), E::MalformedSignature { line: 1 }),
        (
            "a second line that is none",
            with_signature(&format!("{signature}\nnone")),
            E::MalformedSignature { line: 2 },
        ),
    ];
    for (name, note, expected) in table {
        assert_eq!(
            Checkpoint::parse_unverified(note.as_bytes()),
            Err(expected),
            "{name}: {note:?}"
        );
        assert!(Checkpoint::verify(note.as_bytes(), key().verifying_key()).is_err(), "{name}");
    }
    assert_eq!(Checkpoint::parse_unverified(&[0xFF, b'\n']), Err(E::NotText));
}

#[test]
fn whose_signature_counts() {
    let note = checkpoint().sign(&key()).unwrap();
    let witness = SigningKey::from_seed("witness", &[1; 32]).unwrap();
    let impostor = SigningKey::from_seed(NAME, &[2; 32]).unwrap();
    let line =
        |key: &SigningKey| checkpoint().sign(key).unwrap().lines().last().unwrap().to_owned();
    let both = format!("{note}{}\n{}\n", line(&impostor), line(&witness));
    for key in [&key(), &witness, &impostor] {
        assert_eq!(Checkpoint::verify(both.as_bytes(), key.verifying_key()), Ok(checkpoint()));
    }
    for key in [&witness, &impostor] {
        let refused = Checkpoint::verify(note.as_bytes(), key.verifying_key());
        assert_eq!(refused, Err(CheckpointError::UnknownKey));
    }
}

#[test]
fn what_could_not_be_read_back_is_not_signed() {
    for origin in ["", "two\nlines", "tab\t"] {
        let bad = Checkpoint { origin: origin.to_owned(), ..checkpoint() };
        assert_eq!(bad.sign(&key()), Err(CheckpointError::Origin), "{origin:?}");
    }
    for extension in ["", "two\nlines"] {
        let bad = Checkpoint { extensions: vec![extension.to_owned()], ..checkpoint() };
        assert_eq!(bad.sign(&key()), Err(CheckpointError::Extension), "{extension:?}");
    }
}

#[test]
fn malformed_keys() {
    let good = key().verifying_key().to_string();
    assert_eq!(VerifyingKey::parse(&good).as_ref(), Ok(key().verifying_key()));
    let (rest, _) = good.rsplit_once('+').unwrap();
    for bad in [
        "",
        "name",
        "name+00000000",
        rest,
        &good.replacen("ledger", "Ledger", 1),
        &good[..good.len() - 4],
        &format!("{good}AAAA"),
        &format!(" {good}"),
    ] {
        assert_eq!(VerifyingKey::parse(bad), Err(KeyError), "{bad:?}");
    }
    assert_eq!(VerifyingKey::new("with space", [0; 32]), Err(KeyError));
}

proptest! {
    #[test]
    fn round_trips(
        origin in "[ -~]{1,60}",
        size: u64,
        root: [u8; 32],
        extensions in prop::collection::vec("[ -~äöü]{1,30}", 0..4),
    ) {
        let checkpoint = Checkpoint { origin, size, root: TreeHash::new(root), extensions };
        let note = checkpoint.sign(&key()).unwrap();
        prop_assert_eq!(Checkpoint::verify(note.as_bytes(), key().verifying_key()), Ok(checkpoint));
    }

    /// Whatever one byte is changed to, the note is not believed.
    #[test]
    fn no_altered_note_is_believed(at in any::<prop::sample::Index>(), bit in 0u32..8) {
        let mut note = checkpoint().sign(&key()).unwrap().into_bytes();
        let at = at.index(note.len());
        note[at] ^= 1 << bit;
        prop_assert!(Checkpoint::verify(&note, key().verifying_key()).is_err());
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(Checkpoint::parse_unverified(&bytes));
    }
}
