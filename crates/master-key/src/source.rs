//! Where the master key comes from: a file, an environment variable, or a command such as a KMS's.
//!
//! Each gives 32 bytes: as they are, as 64 hexadecimal digits, or in Base64. Only a file is made where there is none.

use std::{
    env, fmt,
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::{KEY_BYTES, MasterKey};

/// Where the master key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeySource {
    /// This file.
    File(PathBuf),
    /// The environment variable of this name.
    Variable(String),
    /// What a program prints.
    Command {
        /// The program.
        program: String,
        /// Its arguments: nothing secret, which anybody on the machine could read.
        arguments: Vec<String>,
        /// How long it may take.
        patience: Duration,
    },
}

/// What a configuration says about where the master key is: at most one place.
#[derive(Clone, Copy, Debug)]
pub struct MasterKeyPlaces<'a> {
    /// A file.
    pub file: Option<&'a Path>,
    /// An environment variable.
    pub variable: Option<&'a str>,
    /// A program with its arguments; empty where none is said.
    pub command: &'a [String],
    /// How long the program may take.
    pub patience: Duration,
}

impl MasterKeyPlaces<'_> {
    /// Whether no more than one place is said.
    pub fn are_unambiguous(&self) -> bool {
        let places = [self.file.is_some(), self.variable.is_some(), !self.command.is_empty()];
        places.into_iter().filter(|is_said| *is_said).count() <= 1
    }

    /// The place that is said, else the file `master.key` in `directory`.
    pub fn source(&self, directory: &Path) -> MasterKeySource {
        if let [program, arguments @ ..] = self.command {
            let (program, arguments) = (program.clone(), arguments.to_vec());
            return MasterKeySource::Command { program, arguments, patience: self.patience };
        }
        match (self.variable, self.file) {
            (Some(name), _) => MasterKeySource::Variable(name.to_owned()),
            (None, Some(path)) => MasterKeySource::File(path.to_owned()),
            (None, None) => MasterKeySource::File(directory.join("master.key")),
        }
    }
}

impl fmt::Display for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Command { program, .. } => write!(f, "the output of {program}"),
        }
    }
}

/// The master key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The system refused.
    #[error("failed to read or write {from}")]
    Io {
        /// The file, the variable or the command.
        from: String,
        /// What the system said.
        source: io::Error,
    },
    /// The environment has no such variable.
    #[error("the environment variable {name} is not set")]
    Unset {
        /// The variable.
        name: String,
    },
    /// The program ended with a failure.
    #[error("{program} failed to print the master key: {status}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The program took too long and was killed.
    #[error("{program} printed no master key within {} ms", patience.as_millis())]
    Late {
        /// The program.
        program: String,
        /// How long it had.
        patience: Duration,
    },
    /// What is there is no key.
    #[error(
        "{from} is not a master key: {KEY_BYTES} bytes, as they are, in hexadecimal, or in Base64"
    )]
    Malformed {
        /// The file, the variable or the command.
        from: String,
    },
    /// The system gave no randomness, or the provider took no key.
    #[error("failed to make a key")]
    Provider,
}

/// Longest text of a key, with white space around it.
const TEXT_BYTES_MAX: usize = 256;

impl MasterKeySource {
    /// Reads the key. A file that is not there is made, so that only its owner can read it, where `may_make`: there must
    /// be no keys yet, which no new one would open. Blocks.
    pub fn read(&self, may_make: bool) -> Result<MasterKey, MasterKeyError> {
        let bytes = match self {
            Self::File(path) => match read_file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && may_make => {
                    return self.make(path);
                }
                read => read.map_err(|source| self.failed(source))?,
            },
            Self::Variable(name) => {
                let value = env::var_os(name).map(std::ffi::OsString::into_encoded_bytes);
                value.map(Zeroizing::new).ok_or(MasterKeyError::Unset { name: name.clone() })?
            }
            Self::Command { program, arguments, patience } => {
                self.run(program, arguments, *patience)?
            }
        };
        let malformed = || MasterKeyError::Malformed { from: self.to_string() };
        MasterKey::new(&*decode(&bytes).ok_or_else(malformed)?)
    }

    fn failed(&self, source: io::Error) -> MasterKeyError {
        MasterKeyError::Io { from: self.to_string(), source }
    }

    fn make(&self, path: &Path) -> Result<MasterKey, MasterKeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(&mut *bytes).map_err(|_| MasterKeyError::Provider)?;
        write(path, &*bytes).map_err(|source| self.failed(source))?;
        tracing::info!(path = %path.display(), "made a master key");
        MasterKey::new(&bytes)
    }

    /// What it prints. Its standard error is the role's.
    fn run(
        &self,
        program: &str,
        arguments: &[String],
        patience: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|source| self.failed(source))?;
        let output = child.stdout.take();
        // It is read while the program runs, so that it is never held up by what it prints.
        let reading = thread::spawn(move || output.map_or(Ok(Vec::new()), read_some));
        let status = wait(&mut child, patience).map_err(|source| self.failed(source))?;
        let program = program.to_owned();
        let Some(status) = status else { return Err(MasterKeyError::Late { program, patience }) };
        if !status.success() {
            return Err(MasterKeyError::Failed { program, status });
        }
        let read = reading.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        read.map(Zeroizing::new).map_err(|source| self.failed(source))
    }
}

/// How the program ended; `None` where it had to be killed.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    const PAUSE: Duration = Duration::from_millis(5);
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() >= patience {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    read_some(fs::File::open(path)?).map(Zeroizing::new)
}

/// More than any key has is cut off, and then no key.
fn read_some(from: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(TEXT_BYTES_MAX + 1);
    let limit = u64::try_from(TEXT_BYTES_MAX + 1).unwrap_or_default();
    from.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    if let Ok(bytes) = bytes.try_into() {
        return Some(Zeroizing::new(bytes));
    }
    let text = std::str::from_utf8(bytes).ok()?.trim_ascii();
    let is_hex = text.len() == 2 * KEY_BYTES && text.bytes().all(|it| it.is_ascii_hexdigit());
    let decoded = Zeroizing::new(if is_hex {
        let digits = |at| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
        (0..text.len()).step_by(2).map(digits).collect::<Option<Vec<u8>>>()?
    } else {
        BASE64_STANDARD.decode(text).ok()?
    });
    decoded.as_slice().try_into().ok().map(Zeroizing::new)
}

/// Writes a new file durably, whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const PATIENCE: Duration = Duration::from_secs(30);

    fn bytes() -> [u8; KEY_BYTES] {
        std::array::from_fn(|index| u8::try_from(index).unwrap())
    }

    /// Whether it is the key of [`bytes`].
    fn is_right(key: &MasterKey) -> bool {
        let wrapped = MasterKey::new(&bytes()).unwrap().wrap(b"x", b"y").unwrap();
        key.unwrap(&wrapped, b"y").is_some()
    }

    fn command(script: &str, patience: Duration) -> MasterKeySource {
        let arguments = ["-c", script].map(str::to_owned).into();
        MasterKeySource::Command { program: "sh".to_owned(), arguments, patience }
    }

    #[test]
    fn a_key_is_32_bytes_in_one_of_three_forms() {
        for (text, expected) in [
            (HEX, true),
            (BASE64, true),
            (" \n000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", true),
            ("", false),
            ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", false),
            ("zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", false),
            ("+10102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1ff", false),
        ] {
            let decoded = decode(text.as_bytes());
            assert_eq!(decoded.is_some_and(|key| *key == bytes()), expected, "{text}");
        }
        assert!(decode(&bytes()).is_some());
        assert!(decode(&[0; 31]).is_none() && decode(&[0; 33]).is_none());
    }

    #[test]
    fn at_most_one_place_is_said() {
        let (directory, command) = (Path::new("/d"), ["kms".to_owned(), "print".to_owned()]);
        let nothing =
            MasterKeyPlaces { file: None, variable: None, command: &[], patience: PATIENCE };
        let file = MasterKeyPlaces { file: Some(Path::new("/k")), ..nothing };
        let variable = MasterKeyPlaces { variable: Some("KEY"), ..nothing };
        let command = MasterKeyPlaces { command: &command, ..nothing };
        for (places, expected) in [
            (nothing, "the file /d/master.key"),
            (file, "the file /k"),
            (variable, "the environment variable KEY"),
            (command, "the output of kms"),
        ] {
            assert!(places.are_unambiguous());
            assert_eq!(places.source(directory).to_string(), expected);
        }
        assert!(!MasterKeyPlaces { variable: Some("KEY"), ..file }.are_unambiguous());
        assert!(!MasterKeyPlaces { variable: Some("KEY"), ..command }.are_unambiguous());
    }

    #[test]
    fn a_file_is_read_or_made_where_there_is_none() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("master.key");
        let source = MasterKeySource::File(path.clone());
        let refused = source.read(false);
        assert!(matches!(refused, Err(MasterKeyError::Io { .. })), "{refused:?}");
        let made = source.read(true).unwrap();
        let wrapped = made.wrap(b"x", b"y").unwrap();
        assert!(source.read(false).unwrap().unwrap(&wrapped, b"y").is_some());
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        for (content, expected) in
            [(&bytes()[..], true), (HEX.as_bytes(), true), (b"x", false), (&[b'0'; 1000], false)]
        {
            fs::write(&path, content).unwrap();
            let read = source.read(true);
            assert_eq!(read.as_ref().is_ok_and(is_right), expected, "{read:?}");
        }
    }

    #[test]
    fn a_variable_has_to_be_set_to_a_key() {
        let refused = MasterKeySource::Variable("LOMBARD_TEST_UNSET".to_owned()).read(true);
        assert!(matches!(refused, Err(MasterKeyError::Unset { .. })), "{refused:?}");
        // Set by cargo to what is no key.
        let refused = MasterKeySource::Variable("CARGO_PKG_NAME".to_owned()).read(true);
        assert!(matches!(refused, Err(MasterKeyError::Malformed { .. })), "{refused:?}");
    }

    #[test]
    fn a_command_prints_a_key_in_time_or_is_refused() {
        let key = command(&format!("printf '%s\\n' {BASE64}"), PATIENCE).read(false).unwrap();
        assert!(is_right(&key));
        let refused = command("echo 00; exit 3", PATIENCE).read(true);
        assert!(matches!(refused, Err(MasterKeyError::Failed { .. })), "{refused:?}");
        let refused = command("head -c 1000 /dev/zero", PATIENCE).read(true);
        assert!(matches!(refused, Err(MasterKeyError::Malformed { .. })), "{refused:?}");
        let refused = command("exec sleep 600", Duration::from_millis(20)).read(true);
        assert!(matches!(refused, Err(MasterKeyError::Late { .. })), "{refused:?}");
        let program = "/nonexistent/kms".to_owned();
        let missing =
            MasterKeySource::Command { program, arguments: Vec::new(), patience: PATIENCE };
        let refused = missing.read(true);
        assert!(matches!(refused, Err(MasterKeyError::Io { .. })), "{refused:?}");
        // No error says what was printed.
        assert!(!format!("{:?}", command("echo s3cret", PATIENCE).read(true)).contains("s3cret"));
    }
}
