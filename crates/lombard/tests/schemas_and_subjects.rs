//! The commands about schemas and data subjects against a running platform: what they print, and how they end.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use lombard_testkit::Platform;
use serde_json::{Value, json};

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");

struct Commands(Platform);

impl Commands {
    /// What a command printed, and that it ended with this code.
    fn run(&self, arguments: &[&str], code: i32) -> String {
        let output = self.0.run(arguments).unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[arguments, &["--json"]].concat(), 0)).unwrap()
    }

    fn file(&self, name: &str, content: &Value) -> PathBuf {
        let path = self.0.data_dir().with_file_name(name);
        fs::write(&path, content.to_string()).unwrap();
        path
    }
}

#[test]
fn schemas_are_put_and_shown_and_subjects_erased() {
    let commands = Commands(Platform::start(Path::new(LOMBARD)).unwrap());
    schemas(&commands);
    subjects(&commands);
}

fn schemas(commands: &Commands) {
    let seats = json!({ "type": "object", "required": ["seats"] });
    let (first, upcast) = (
        commands.file("1.json", &seats),
        commands.file(
            "up.json",
            &json!([
                { "op": "default", "path": "/class", "value": "standard" }
            ]),
        ),
    );
    let second =
        commands.file("2.json", &json!({ "type": "object", "required": ["seats", "class"] }));
    let (first, second, upcast) =
        (first.to_str().unwrap(), second.to_str().unwrap(), upcast.to_str().unwrap());

    commands.run(&["schema", "get", "course.opened"], 3);
    let put = commands.json(&["schema", "put", "course.opened", first, "--expected", "0"]);
    let uri = "urn:lombard:schema:course.opened:1";
    let expected =
        json!({ "type": "course.opened", "version": 1, "dataschema": uri, "is_new": true });
    assert_eq!(put, expected);
    let again = commands.json(&["schema", "put", "course.opened", first]);
    assert_eq!((&again["version"], &again["is_new"]), (&json!(1), &json!(false)));
    let refused = ["schema", "put", "course.opened", second, "--expected", "7"];
    assert!(commands.run(&refused, 5).contains("wrong-document-revision"));
    let put = ["schema", "put", "course.opened", second, "--upcast", upcast, "--expected", "1"];
    let put = commands.run(&put, 0);
    assert!(put.contains("course.opened is at version 2"), "{put}");
    let bad = commands.file("bad.json", &json!({ "type": 7 }));
    let bad = bad.to_str().unwrap();
    assert!(commands.run(&["schema", "put", "course.closed", bad], 5).contains("invalid-schema"));
    assert!(commands.run(&["schema", "put", "x", "/nonexistent"], 1).contains("failed to read"));

    let newest = commands.json(&["schema", "get", "course.opened"]);
    assert_eq!((&newest["version"], &newest["upcast"][0]["op"]), (&json!(2), &json!("default")));
    let older = commands.json(&["schema", "get", "course.opened", "--version", "1"]);
    assert_eq!((&older["schema"], &older["upcast"]), (&seats, &json!([])));
    commands.run(&["schema", "get", "course.opened", "--version", "3"], 3);
    assert!(commands.run(&["schema", "get", "course.opened"], 0).contains("standard"));
    let all = commands.json(&["schema", "list"]);
    assert_eq!((all.as_array().unwrap().len(), &all[0]["version"]), (1, &json!(2)));
    assert_eq!(commands.json(&["schema", "list", "z"]), json!([]));
    assert!(commands.run(&["schema", "list", "course."], 0).contains(":2"));

    // Appended as version 1 was, shown as version 2 is.
    let append = ["event", "append", "course-1", "course.opened"];
    commands.run(&[&append[..], &["{\"class\": 1}"]].concat(), 5);
    let help = commands.run(&["schema", "put", "--help"], 0);
    assert!(help.contains("--upcast") && help.contains("standard input"), "{help}");
    commands.run(&["schema", "put", "x"], 2);
}

fn subjects(commands: &Commands) {
    let name = "Kunde 17?";
    assert!(commands.run(&["subject", "show", name], 3).contains("subject-not-found"));
    let append = ["event", "append", "order-1", "order.placed", "{\"name\": \"Ada\"}"];
    commands.run(&[&append[..], &["--data-subject", name]].concat(), 0);
    assert_eq!(commands.json(&["subject", "show", name])["state"], "active");
    assert!(commands.run(&["subject", "show", name], 0).contains("is active"));
    assert_eq!(commands.json(&["event", "list", "order-1"])[0]["data"]["name"], "Ada");
    // Nobody is there to agree.
    assert!(commands.run(&["subject", "erase", name], 1).contains("--yes"));
    assert_eq!(commands.json(&["subject", "show", name])["state"], "active");

    let erased = commands.json(&["subject", "erase", name, "--yes"]);
    assert_eq!((&erased["subject"], &erased["state"]), (&json!(name), &json!("erased")));
    assert!(erased["erased_at"].is_string() && erased["log_position"].is_string());
    assert_eq!(commands.json(&["subject", "erase", name, "--yes"]), erased);
    assert_eq!(commands.json(&["subject", "show", name]), erased);
    let event = &commands.json(&["event", "list", "order-1"])[0];
    assert_eq!((&event["data"], &event["redacted"]), (&Value::Null, &json!(true)));
    assert!(commands.run(&["event", "list", "order-1"], 0).contains("redacted"));
    let again = [&append[..], &["--data-subject", name]].concat();
    assert!(commands.run(&again, 5).contains("subject-erased"));
    assert!(commands.run(&["subject", "show", "a/b"], 1).contains("ambiguous-path"));
}
