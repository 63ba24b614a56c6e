//! Persons at the command line, against the real platform: in a browser on this machine, and on another device.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

#[path = "login/secrets.rs"]
mod secrets;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use lombard_testkit::Platform;
use serde_json::Value;

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const PASSWORD: &str = "correct horse battery";

/// A browser without JavaScript.
struct Browser {
    client: reqwest::Client,
    cookies: std::collections::BTreeMap<String, String>,
    /// What is typed in as password, and as code of a second factor, in this order.
    passwords: std::collections::VecDeque<String>,
    codes: std::collections::VecDeque<String>,
}

impl Browser {
    fn new() -> Self {
        let policy = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(policy).no_proxy().build().unwrap();
        let (passwords, codes) = ([PASSWORD.to_owned()].into(), Default::default());
        Self { client, cookies: Default::default(), passwords, codes }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> (Option<String>, String) {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header("cookie", cookies.join("; ")).send().await.unwrap();
        for set in answer.headers().get_all("set-cookie") {
            let (name, value) =
                set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = answer.headers().get("location").map(|it| it.to_str().unwrap().to_owned());
        (location, answer.text().await.unwrap())
    }

    /// Follows redirects and fills in forms as `ada` until there is nothing more to do; the last page.
    async fn go(&mut self, url: &str, user_code: &str) -> String {
        match self.walk(url, user_code, None).await {
            Ok(page) => page,
            Err(url) => panic!("sent to {url}"),
        }
    }

    /// The same until a client's page, which is not asked for.
    async fn until_sent_to(&mut self, url: &str, client: &str) -> reqwest::Url {
        match self.walk(url, "", Some(client)).await {
            Ok(page) => panic!("the last page is {page}"),
            Err(url) => url,
        }
    }

    async fn walk(
        &mut self,
        url: &str,
        user_code: &str,
        client: Option<&str>,
    ) -> Result<String, reqwest::Url> {
        let (mut url, mut page) = (reqwest::Url::parse(url).unwrap(), None::<String>);
        for _ in 0..20 {
            let (location, text) = match page.take() {
                None => self.send(self.client.get(url.clone())).await,
                Some(text) => {
                    let field = |name: &str| {
                        let begin = format!("name=\"{name}\" value=\"");
                        let rest = text.split_once(&begin).map(|(_, rest)| rest);
                        rest.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
                    };
                    let action = ["login", "second-factor", "consent", "device"]
                        .into_iter()
                        .find(|id| text.contains(&format!("form id=\"{id}\"")));
                    let Some(action) = action else { return Ok(text) };
                    url = url.join(action).unwrap();
                    let next = |what: &str, typed: &mut std::collections::VecDeque<String>| {
                        if action == what { typed.pop_front().unwrap() } else { String::new() }
                    };
                    let password = next("login", &mut self.passwords);
                    let code = next("second-factor", &mut self.codes);
                    let form = [
                        ("request", field("request")),
                        ("csrf", field("csrf")),
                        ("shown", field("shown")),
                        ("username", "ada".to_owned()),
                        ("password", password),
                        ("code", code),
                        ("user_code", user_code.to_owned()),
                        ("decision", "allow".to_owned()),
                    ];
                    self.send(self.client.post(url.clone()).form(&form)).await
                }
            };
            match location {
                Some(location) => {
                    url = url.join(&location).unwrap();
                    if client.is_some_and(|client| url.as_str().starts_with(client)) {
                        return Err(url);
                    }
                }
                None => page = Some(text),
            }
        }
        panic!("no end: {page:?}");
    }
}

fn command(platform: &Platform, cache: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(LOMBARD);
    command
        .args(arguments)
        .env("LOMBARD_DATA_DIR", platform.data_dir())
        .env("LOMBARD_TOKEN_CACHE", cache)
        .env("DISPLAY", ":0")
        .env_remove("SSH_CONNECTION")
        .env_remove("SSH_TTY")
        .stdin(Stdio::null());
    command
}

/// A login under way, and what it prints.
fn begin(platform: &Platform, cache: &Path, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = command(platform, cache, arguments).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// The first line with this in it.
fn line(output: &mut BufReader<ChildStdout>, with: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended without {with}");
        if line.contains(with) {
            return line.trim().to_owned();
        }
    }
}

fn run(platform: &Platform, cache: &Path, arguments: &[&str]) -> (bool, String) {
    let output = command(platform, cache, arguments).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

fn end(mut child: Child, mut output: BufReader<ChildStdout>) -> String {
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    rest
}

#[test]
fn a_person_logs_in_at_the_command_line() {
    let mut platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = tempfile::tempdir().unwrap();
    let cache = place.path().join("tokens.json");
    let password = place.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let ada = [
        "auth",
        "user",
        "create",
        "ada",
        "--scope",
        "ledger:read registry:read",
        "--password-file",
        password.to_str().unwrap(),
    ];
    assert!(run(&platform, &cache, &ada).0);
    assert!(!run(&platform, &cache, &["token", "--login"]).0, "nobody is logged in");

    let (child, mut output) = begin(&platform, &cache, &["login"]);
    let url = line(&mut output, "/oauth/authorize?");
    let page = runtime.block_on(Browser::new().go(&url, ""));
    assert!(page.contains("id=done"), "{page}");
    let said = end(child, output);
    assert!(said.contains("ledger:read") && !said.contains("registry"), "{said}");
    let mode = std::fs::metadata(&cache).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (is_done, token) = run(&platform, &cache, &["token", "--login"]);
    assert!(is_done && !said.contains(&token), "a token is printed where it is asked for only");
    let gateway = platform.state().unwrap()["issuer"].as_str().unwrap().to_owned();
    let ask = |token: &str| {
        let request = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = request.get(format!("{gateway}/v1/ledger/accounts")).bearer_auth(token);
        runtime.block_on(request.send()).unwrap().status().as_u16()
    };
    assert_eq!(ask(&token), 200);

    // One that has expired is replaced, and so is the refresh token.
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&cache).unwrap()).unwrap();
    let before = kept["logins"][0]["refresh_token"].clone();
    kept["logins"][0]["expires_at"] = 1.into();
    std::fs::write(&cache, kept.to_string()).unwrap();
    let (_, next) = run(&platform, &cache, &["token", "--login"]);
    assert!(next != token && ask(&next) == 200);
    let kept: Value = serde_json::from_slice(&std::fs::read(&cache).unwrap()).unwrap();
    assert_ne!(kept["logins"][0]["refresh_token"], before);

    // On another device.
    let (child, mut output) = begin(&platform, &cache, &["login", "/v1/registry", "--device"]);
    let said = line(&mut output, "type in the code");
    let code = said.rsplit(' ').next().unwrap();
    let page = runtime.block_on(Browser::new().go(&format!("{gateway}/oauth/device"), code));
    assert!(page.contains("id=\"device-allowed\""), "{page}");
    assert!(end(child, output).contains("registry:read"));
    assert!(run(&platform, &cache, &["token", "/v1/registry", "--login"]).0);

    // Out again: what came of it is taken back, and nothing of the other login.
    assert!(run(&platform, &cache, &["logout"]).0);
    assert!(!run(&platform, &cache, &["token", "--login"]).0);
    platform.wait_until("the token is refused", |_| Ok(ask(&next) == 401)).unwrap();
    assert!(run(&platform, &cache, &["token", "/v1/registry", "--login"]).0);
    assert!(!platform.log().contains(&next), "no token is logged");
}
