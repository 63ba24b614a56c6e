use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn upcast(data: &str, steps: &Json) -> String {
    let steps = read(&steps.to_string()).unwrap();
    apply(data, steps.iter()).unwrap_or_else(|| data.to_owned())
}

#[test]
fn each_step() {
    for (step, data, expected) in [
        (
            json!({"op": "rename", "path": "/a/b", "to": "c"}),
            r#"{"a":{"x":1,"b":2.50,"y":3}}"#,
            r#"{"a":{"x":1,"c":2.50,"y":3}}"#,
        ),
        (json!({"op": "rename", "path": "/a", "to": "b"}), r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#),
        (json!({"op": "rename", "path": "", "to": "b"}), "1", "1"),
        (json!({"op": "move", "from": "/a", "to": "/b/c"}), r#"{"a":1}"#, r#"{"b":{"c":1}}"#),
        (
            json!({"op": "move", "from": "/a/b", "to": "/b"}),
            r#"{"a":{"b":1}}"#,
            r#"{"a":{},"b":1}"#,
        ),
        (json!({"op": "move", "from": "/a", "to": "/a/b"}), r#"{"a":1}"#, r#"{"a":1}"#),
        (json!({"op": "move", "from": "/a", "to": "/a/b"}), r#"{"a":{}}"#, r#"{"a":{"b":{}}}"#),
        (json!({"op": "move", "from": "/a", "to": "/b/c"}), r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#),
        (json!({"op": "move", "from": "/a", "to": "/b"}), r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#),
        (
            json!({"op": "default", "path": "/a/b", "value": [1]}),
            r#"{"x":1}"#,
            r#"{"x":1,"a":{"b":[1]}}"#,
        ),
        (json!({"op": "default", "path": "/a", "value": 1}), r#"{"a":null}"#, r#"{"a":null}"#),
        (
            json!({"op": "default", "path": "/a/1/b", "value": 1}),
            r#"{"a":[{},{}]}"#,
            r#"{"a":[{},{"b":1}]}"#,
        ),
        (json!({"op": "default", "path": "/a", "value": 1}), "[]", "[]"),
        (
            json!({"op": "remove", "path": "/a/0/b"}),
            r#"{"a":[{"b":1,"c":2}]}"#,
            r#"{"a":[{"c":2}]}"#,
        ),
        (json!({"op": "remove", "path": "/a~1b"}), r#"{"a/b":1,"c":2}"#, r#"{"c":2}"#),
        (json!({"op": "remove", "path": "/a/00/b"}), r#"{"a":[{"b":1}]}"#, r#"{"a":[{"b":1}]}"#),
        (
            json!({"op": "wrap", "path": "/a", "as": "value"}),
            r#"{"a":12345678901234567890.10}"#,
            r#"{"a":{"value":12345678901234567890.10}}"#,
        ),
        (json!({"op": "default", "path": "/a", "value": null}), "{}", r#"{"a":null}"#),
        (json!({"op": "wrap", "path": "", "as": "v"}), "[1]", r#"{"v":[1]}"#),
        (json!({"op": "remove", "path": "/a"}), r#"{"a":1,"a":2,"b":3}"#, r#"{"b":3}"#),
    ] {
        assert_eq!(upcast(data, &json!([step])), expected, "{step} on {data}");
    }
}

#[test]
fn a_default_keeps_its_digits() {
    let steps = r#"[{"op":"default","path":"/a","value":12345678901234567890.10}]"#;
    let steps = read(steps).unwrap();
    assert_eq!(apply("{}", steps.iter()).unwrap(), r#"{"a":12345678901234567890.10}"#);
}

#[test]
fn a_malformed_step_is_named() {
    for (steps, pointer) in [
        (json!({}), "/upcast"),
        (json!([{"op": "remove", "path": "/a"}, {"op": "eval"}]), "/upcast/1"),
        (json!([{"op": "remove", "path": "a"}]), "/upcast/0"),
        (json!([{"op": "remove", "path": "/~2"}]), "/upcast/0"),
        (json!([{"op": "remove", "path": "/a", "more": 1}]), "/upcast/0"),
        (json!([{"op": "rename", "path": "/a"}]), "/upcast/0"),
    ] {
        assert_eq!(read(&steps.to_string()).unwrap_err().pointer, pointer, "{steps}");
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "[a-c\"\\\\]{0,3}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            proptest::collection::vec(("[a-d]", inner), 0..4)
                .prop_map(|members| { Json::Object(members.into_iter().collect()) }),
        ]
    })
}

fn any_pointer() -> impl Strategy<Value = String> {
    proptest::collection::vec("[a-d0-1]", 0..4)
        .prop_map(|names| names.iter().map(|name| format!("/{name}")).collect())
}

fn any_step() -> impl Strategy<Value = Json> {
    prop_oneof![
        (any_pointer(), "[a-d]")
            .prop_map(|(path, to)| json!({"op": "rename", "path": path, "to": to})),
        (any_pointer(), any_pointer())
            .prop_map(|(from, to)| json!({"op": "move", "from": from, "to": to})),
        (any_pointer(), any_json())
            .prop_map(|(path, value)| json!({"op": "default", "path": path, "value": value})),
        any_pointer().prop_map(|path| json!({"op": "remove", "path": path})),
        (any_pointer(), "[a-d]")
            .prop_map(|(path, name)| json!({"op": "wrap", "path": path, "as": name})),
    ]
}

// === the model: the same on parsed JSON, as the table says it ===

fn child<'a>(value: &'a mut Json, name: &str) -> Option<&'a mut Json> {
    match value {
        Json::Object(members) => members.get_mut(name),
        Json::Array(items) => items.get_mut(name.parse::<usize>().ok()?),
        _ => None,
    }
}

fn at<'a>(value: &'a mut Json, way: &[&str]) -> Option<&'a mut Json> {
    way.iter().try_fold(value, |value, name| child(value, name))
}

/// The object at the end of a way; those that are missing are made.
fn object_at<'a>(
    mut value: &'a mut Json,
    way: &[&str],
) -> Option<&'a mut serde_json::Map<String, Json>> {
    for name in way {
        if let Json::Object(members) = value {
            members.entry(*name).or_insert_with(|| json!({}));
        }
        value = child(value, name)?;
    }
    value.as_object_mut()
}

fn model(data: &Json, step: &Json) -> Json {
    let parts =
        |name: &str| -> Vec<&str> { step[name].as_str().unwrap().split('/').skip(1).collect() };
    let mut changed = data.clone();
    let done = match step["op"].as_str().unwrap() {
        "rename" => (|| {
            let path = parts("path");
            let (name, way) = path.split_last()?;
            let object = at(&mut changed, way)?.as_object_mut()?;
            let to = step["to"].as_str()?;
            if object.contains_key(to) {
                return None;
            }
            let value = object.remove(*name)?;
            object.insert(to.to_owned(), value);
            Some(())
        })(),
        "move" => (|| {
            let (from, to) = (parts("from"), parts("to"));
            let ((from, from_way), (to, to_way)) = (from.split_last()?, to.split_last()?);
            // Room is asked for before anything is taken away.
            if object_at(&mut data.clone(), to_way)?.contains_key(*to) {
                return None;
            }
            let value = at(&mut changed, from_way)?.as_object_mut()?.remove(*from)?;
            object_at(&mut changed, to_way)?.insert((*to).to_owned(), value);
            Some(())
        })(),
        "default" => (|| {
            let path = parts("path");
            let (name, way) = path.split_last()?;
            let object = object_at(&mut changed, way)?;
            if object.contains_key(*name) {
                return None;
            }
            object.insert((*name).to_owned(), step["value"].clone());
            Some(())
        })(),
        "remove" => (|| {
            let path = parts("path");
            let (name, way) = path.split_last()?;
            at(&mut changed, way)?.as_object_mut()?.remove(*name)?;
            Some(())
        })(),
        _ => (|| {
            let place = at(&mut changed, &parts("path"))?;
            let value = place.take();
            *place = json!({step["as"].as_str()?: value});
            Some(())
        })(),
    };
    if done.is_some() { changed } else { data.clone() }
}

proptest! {
    #[test]
    fn steps_do_what_the_model_does(data in any_json(), steps in proptest::collection::vec(any_step(), 0..5)) {
        let found = upcast(&data.to_string(), &Json::from(steps.clone()));
        let expected = steps.iter().fold(data, |data, step| model(&data, step));
        let found: Json = serde_json::from_str(&found).unwrap();
        prop_assert_eq!(found, expected);
    }

    /// Whatever the data is: an answer, and the same one each time.
    #[test]
    fn any_text_has_an_answer(data in "\\PC{0,40}", steps in proptest::collection::vec(any_step(), 0..5)) {
        let steps = Json::from(steps);
        prop_assert_eq!(upcast(&data, &steps), upcast(&data, &steps));
    }

    /// In two pieces or in one: versions are brought forward one after the other.
    #[test]
    fn steps_can_be_taken_one_after_the_other(data in any_json(), first in any_step(), second in any_step()) {
        let data = data.to_string();
        let one = upcast(&upcast(&data, &json!([first])), &json!([second]));
        prop_assert_eq!(one, upcast(&data, &json!([first, second])));
    }
}
