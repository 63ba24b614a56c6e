//! The JSON of Eureka's interface as XML, and back: what its clients in Java speak where nothing is configured.
//!
//! A member is an element, a list one element for each, `$` the text and `@name` an attribute, as their own converter has it.

use bytes::Bytes;
use lombard_chassis::Problem;
use quick_xml::{Reader, XmlVersion, escape, events::Event};
use serde_json::{Map, Value};

use crate::problem;

/// A registration has four levels.
const DEPTH_MAX: usize = 8;
/// What is written in the language of the names, not of the protocol: a `$` or a `_` in them is written in another way.
const FREE_NAMES: &str = "metadata";

/// An element that has begun.
#[derive(Default)]
struct Element {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// Reads a document: an object with one member, the root.
pub(crate) fn read(body: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(body).map_err(malformed)?;
    let mut reader = Reader::from_str(text);
    // What is around the root has nothing but space.
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(tag) => {
                if open.len() > DEPTH_MAX {
                    return Err(malformed("elements are nested too deeply"));
                }
                open.push(Element::begin(&tag)?);
            }
            Event::Empty(tag) => {
                let element = Element::begin(&tag)?;
                add(&mut open, element)?;
            }
            Event::End(_) => {
                // The reader has checked that it ends what has begun.
                let Some(element) = open.pop().filter(|_| !open.is_empty()) else { break };
                add(&mut open, element)?;
            }
            Event::Text(text) => say(&mut open, &text.xml10_content()),
            Event::CData(text) => say(&mut open, &text.xml10_content()),
            Event::GeneralRef(entity) => {
                let letter = entity.resolve_char_ref().map_err(malformed)?;
                let letter = letter.map(String::from);
                let known = || escape::resolve_xml_entity(&entity).map(ToOwned::to_owned);
                let said = letter.or_else(known);
                say(&mut open, &said.ok_or_else(|| malformed("an unknown entity"))?);
            }
            // Entities of one's own are how a small document becomes a large one.
            Event::DocType(_) => return Err(malformed("a document type is not served")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    let document =
        open.pop().filter(|_| open.is_empty()).ok_or_else(|| malformed("it breaks off"))?;
    if document.members.len() != 1 || !document.text.trim().is_empty() {
        return Err(malformed("one element is expected"));
    }
    Ok(Value::Object(document.members))
}

impl Element {
    fn begin(tag: &quick_xml::events::BytesStart<'_>) -> Result<Self, Problem> {
        let mut element = Self { name: tag.name().into_inner().to_owned(), ..Self::default() };
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(malformed)?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(malformed)?;
            let key = format!("@{}", attribute.key.into_inner());
            element.members.insert(key, value.into_owned().into());
        }
        Ok(element)
    }

    fn into_value(mut self) -> Value {
        let text = self.text.trim();
        if self.members.is_empty() {
            return text.into();
        }
        if !text.is_empty() {
            self.members.insert("$".to_owned(), text.into());
        }
        Value::Object(self.members)
    }
}

fn say(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

/// An element is complete.
fn add(open: &mut [Element], element: Element) -> Result<(), Problem> {
    let Some(parent) = open.last_mut() else { return Ok(()) };
    let is_free = parent.name == FREE_NAMES;
    let name = if is_free { from_element_name(&element.name) } else { element.name.clone() };
    if parent.members.insert(name, element.into_value()).is_some() {
        return Err(malformed("an element is there twice"));
    }
    Ok(())
}

fn malformed(error: impl std::fmt::Display) -> Problem {
    Problem::new(&problem::MALFORMED_XML).detail(error.to_string())
}

/// Writes an answer, which is an object with one member.
pub(crate) fn write(value: &Value) -> Bytes {
    let mut out = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        write_element(name, value, &mut out);
    }
    out.into()
}

/// As deep as answers are.
fn write_element(name: &str, value: &Value, out: &mut String) {
    let (is_object, members) = match value {
        Value::Array(values) => {
            return values.iter().for_each(|each| write_element(name, each, out));
        }
        Value::Null => return,
        Value::Object(members) => (true, Some(members)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => (false, None),
    };
    let members = || members.into_iter().flatten();
    out.extend(["<", name]);
    for (key, value) in members() {
        if let (Some(key), Some(value)) = (key.strip_prefix('@'), value.as_str()) {
            let value = escape::escape(value);
            out.extend([" ", key, "=\"", &*value, "\""]);
        }
    }
    out.push('>');
    match value {
        Value::String(text) => out.push_str(&escape::escape(text)),
        value if !is_object => out.push_str(&value.to_string()),
        _ => {}
    }
    for (key, value) in members().filter(|(key, _)| !key.starts_with('@')) {
        if key == "$" {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            out.push_str(&escape::escape(text));
        } else if name == FREE_NAMES {
            // A key that is no element's name cannot be said in XML at all.
            if let Some(key) = to_element_name(key) {
                write_element(&key, value, out);
            }
        } else {
            write_element(key, value, out);
        }
    }
    out.extend(["</", name, ">"]);
}

/// A key of metadata as those clients write it.
fn to_element_name(key: &str) -> Option<String> {
    let name = key.replace('_', "__").replace('$', "_-");
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_fine =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    (begins_well && name.chars().all(is_fine)).then_some(name)
}

fn from_element_name(name: &str) -> String {
    let parts = name.split("__").map(|part| part.replace("_-", "$"));
    parts.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_java_writes_is_what_others_write_in_json() {
        let read = read(
            b"<?xml version=\"1.0\"?>\n<instance>\n  <hostName>a&amp;b &#x41;</hostName><port enabled=\"true\">80</port>
              <dataCenterInfo class=\"x\"><name>MyOwn</name></dataCenterInfo><!-- no -->
              <metadata class=\"java.util.Collections$EmptyMap\"/><x><![CDATA[<&>]]></x>\n</instance>",
        );
        assert_eq!(
            read.unwrap(),
            json!({ "instance": {
                "hostName": "a&b A", "port": { "$": "80", "@enabled": "true" },
                "dataCenterInfo": { "@class": "x", "name": "MyOwn" },
                "metadata": { "@class": "java.util.Collections$EmptyMap" }, "x": "<&>",
            } })
        );
    }

    #[test]
    fn answers_are_read_as_they_were() {
        let answer = json!({ "instance": {
            "port": { "$": "80", "@enabled": "a\"b" }, "name": "<&>", "metadata": { "a_b": "1", "c$d": "2", "e": "" },
        } });
        assert_eq!(read(&write(&answer)).unwrap(), answer);
        let said = String::from_utf8(write(&answer).to_vec()).unwrap();
        assert!(
            said.contains("<metadata><a__b>1</a__b><c_-d>2</c_-d><e></e></metadata>"),
            "{said}"
        );
        let list = json!({ "applications": { "n": 1, "is": true, "application": [{ "name": "A" }, { "name": "B" }],
            "metadata": { "no name": "x", "1": "x", "": "x" } } });
        assert_eq!(
            write(&list),
            "<applications><application><name>A</name></application><application><name>B</name></application>\
             <is>true</is><metadata></metadata><n>1</n></applications>"
        );
    }

    #[test]
    fn what_is_no_registration_is_refused() {
        let deep = "<a>".repeat(9) + &"</a>".repeat(9);
        for (body, said) in [
            (b"\xff".as_slice(), "utf-8"),
            (b"", "one element"),
            (b"text", "one element"),
            (b"<a/><b/>", "one element"),
            (b"<a/>x", "one element"),
            (b"<a>", "breaks off"),
            (b"<a></b>", "a"),
            (b"</a>", "a"),
            (b"<a><b/><b/></a>", "twice"),
            (b"<a>&lol;</a>", "entity"),
            (b"<!DOCTYPE a [<!ENTITY lol \"x\">]><a/>", "document type"),
            (deep.as_bytes(), "too deeply"),
        ] {
            let refused = read(body).unwrap_err();
            let detail = refused.detail_text();
            assert!(detail.contains(said), "{:?}: {detail}", String::from_utf8_lossy(body));
        }
    }
}
