//! Bounds what checking an event can cost, before a schema is taken.
//!
//! The cost of a validation is at most the number of subschemas, each `$ref` counted as what it refers to, times the
//! size of the data. Two applicators that both descend into the same member multiply, so a schema that refers to itself
//! can take time exponential in the data's depth: recursion is refused. References lead nowhere but into the schema
//! itself, so nothing is ever fetched.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::InvalidSchema;

/// Depth of the subschemas, with references followed.
const DEPTH_MAX: usize = 64;
/// Regular expressions, and bytes of one. They are compiled to automata whose size is bounded, and run in linear time.
const PATTERNS_MAX: usize = 32;
const PATTERN_BYTES_MAX: usize = 256;
/// The one draft.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Keywords whose value is a schema.
const ONE: [&str; 12] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "additionalItems",
];
/// Keywords whose value is a list of schemas.
const LIST: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];
/// Keywords whose value has schemas for members.
const MAP: [&str; 4] = ["properties", "patternProperties", "dependentSchemas", "dependencies"];
/// Keywords whose members are schemas to be referred to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// Keywords that would lead out of the schema, or make what a reference means depend on the way to it.
const REFUSED: [&str; 6] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$recursiveAnchor",
    "$recursiveRef",
    "$vocabulary",
];

/// Refuses a schema that could be costly, or that refers to something outside.
pub(super) fn check(schema: &Value, nodes_max: usize) -> Result<(), InvalidSchema> {
    let mut walk = Walk {
        root: schema,
        nodes_max,
        costs: BTreeMap::new(),
        under_way: Vec::new(),
        patterns: 0,
    };
    walk.cost(schema, "", 0)?;
    walk.definitions(schema, "", 0)
}

struct Walk<'a> {
    root: &'a Value,
    nodes_max: usize,
    /// What each reference was found to cost.
    costs: BTreeMap<&'a str, usize>,
    /// References that are being followed.
    under_way: Vec<&'a str>,
    patterns: usize,
}

impl<'a> Walk<'a> {
    /// How many subschemas a value may be checked against.
    fn cost(
        &mut self,
        schema: &'a Value,
        pointer: &str,
        depth: usize,
    ) -> Result<usize, InvalidSchema> {
        if depth > DEPTH_MAX {
            let reason = format!("is nested over {DEPTH_MAX} deep");
            return Err(invalid(pointer, reason));
        }
        let Value::Object(members) = schema else { return Ok(1) };
        self.check_keywords(members, pointer)?;
        let mut cost = 1;
        for (keyword, value, below) in subschemas(members, pointer) {
            if keyword == "patternProperties" {
                let pattern = below.rsplit('/').next().unwrap_or_default();
                self.check_pattern(pattern, &below)?;
            }
            cost += self.cost(value, &below, depth + 1)?;
            self.check_cost(cost, &below)?;
        }
        if let Some(reference) = members.get("$ref") {
            cost += self.reference(reference, &format!("{pointer}/$ref"), depth + 1)?;
            self.check_cost(cost, pointer)?;
        }
        Ok(cost)
    }

    fn check_cost(&self, cost: usize, pointer: &str) -> Result<(), InvalidSchema> {
        if cost <= self.nodes_max {
            return Ok(());
        }
        let reason = format!(
            "is over {} subschemas, with each $ref counted as what it refers to",
            self.nodes_max
        );
        Err(invalid(pointer, reason))
    }

    fn reference(
        &mut self,
        reference: &'a Value,
        pointer: &str,
        depth: usize,
    ) -> Result<usize, InvalidSchema> {
        let target = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let target = target.filter(|target| !target.contains('%'));
        let Some((target, schema)) =
            target.and_then(|target| Some((target, self.root.pointer(target)?)))
        else {
            let reason = "must be # and a JSON Pointer to a part of this schema";
            return Err(invalid(pointer, reason));
        };
        if self.under_way.contains(&target) || target.is_empty() {
            return Err(invalid(pointer, "refers to a schema that refers to itself"));
        }
        if let Some(cost) = self.costs.get(target) {
            return Ok(*cost);
        }
        self.under_way.push(target);
        let cost = self.cost(schema, target, depth)?;
        self.under_way.pop();
        self.costs.insert(target, cost);
        Ok(cost)
    }

    /// What nothing refers to must be in order too.
    fn definitions(
        &mut self,
        schema: &'a Value,
        pointer: &str,
        depth: usize,
    ) -> Result<(), InvalidSchema> {
        let Value::Object(members) = schema else { return Ok(()) };
        if depth > DEPTH_MAX {
            return Err(invalid(pointer, format!("is nested over {DEPTH_MAX} deep")));
        }
        for keyword in DEFINITIONS {
            let Some(Value::Object(definitions)) = members.get(keyword) else { continue };
            for (name, definition) in definitions {
                let below = format!("{pointer}/{keyword}/{}", escape(name));
                self.cost(definition, &below, depth + 1)?;
                self.definitions(definition, &below, depth + 1)?;
            }
        }
        for (_, value, below) in subschemas(members, pointer) {
            self.definitions(value, &below, depth + 1)?;
        }
        Ok(())
    }

    fn check_keywords(
        &mut self,
        members: &Map<String, Value>,
        pointer: &str,
    ) -> Result<(), InvalidSchema> {
        let below = |keyword: &str| format!("{pointer}/{keyword}");
        if let Some(keyword) = REFUSED.into_iter().find(|keyword| members.contains_key(*keyword)) {
            return Err(invalid(&below(keyword), "is not taken here: refer with $ref"));
        }
        if members.contains_key("$id") && !pointer.is_empty() {
            return Err(invalid(&below("$id"), "is taken at the root of a schema only"));
        }
        if let Some(draft) = members.get("$schema")
            && draft.as_str().map(|draft| draft.trim_end_matches('#')) != Some(DRAFT)
        {
            return Err(invalid(&below("$schema"), format!("must be {DRAFT}")));
        }
        match members.get("pattern") {
            Some(Value::String(pattern)) => self.check_pattern(pattern, &below("pattern")),
            _ => Ok(()),
        }
    }

    fn check_pattern(&mut self, pattern: &str, pointer: &str) -> Result<(), InvalidSchema> {
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            return Err(invalid(pointer, format!("is over the limit of {PATTERNS_MAX} patterns")));
        }
        if pattern.len() > PATTERN_BYTES_MAX {
            let reason = format!("is over the limit of {PATTERN_BYTES_MAX} bytes of a pattern");
            return Err(invalid(pointer, reason));
        }
        Ok(())
    }
}

/// The subschemas of a schema that apply with it: keyword, schema, where it is.
fn subschemas<'a>(
    members: &'a Map<String, Value>,
    pointer: &str,
) -> Vec<(&'static str, &'a Value, String)> {
    let mut found = Vec::new();
    for keyword in ONE {
        if let Some(value) = members.get(keyword)
            && !value.is_array()
        {
            found.push((keyword, value, format!("{pointer}/{keyword}")));
        }
    }
    for keyword in LIST {
        if let Some(Value::Array(values)) = members.get(keyword) {
            let at = |(index, value)| (keyword, value, format!("{pointer}/{keyword}/{index}"));
            found.extend(values.iter().enumerate().map(at));
        }
    }
    for keyword in MAP {
        if let Some(Value::Object(values)) = members.get(keyword) {
            let at = |(name, value): (&String, &'a Value)| {
                (keyword, value, format!("{pointer}/{keyword}/{}", escape(name)))
            };
            found.extend(values.iter().map(|(name, value)| at((name, value))));
        }
    }
    found
}

/// A name as part of a JSON Pointer (RFC 6901 section 3).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// In the request's body the schema is the member `schema`.
fn invalid(pointer: &str, reason: impl Into<String>) -> InvalidSchema {
    InvalidSchema::new(format!("/schema{pointer}"), reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_at(schema: &Value, expected: Result<(), &str>) {
        let pointer = check(schema, 100).map_err(|error| error.pointer);
        assert_eq!(pointer.as_ref().map(drop).map_err(String::as_str), expected, "{schema}");
    }

    #[test]
    fn what_could_be_costly_or_lead_elsewhere_is_refused() {
        check_at(&json!(true), Ok(()));
        check_at(
            &json!({"$schema": DRAFT, "$id": "https://a.example/s", "type": "object"}),
            Ok(()),
        );
        check_at(
            &json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            Err("/schema/$schema"),
        );
        check_at(&json!({"$defs": {"a/b": {"type": "string"}}, "$ref": "#/$defs/a~1b"}), Ok(()));
        check_at(&json!({"$ref": "https://a.example/s"}), Err("/schema/$ref"));
        check_at(&json!({"$ref": "other.json#/a"}), Err("/schema/$ref"));
        check_at(&json!({"$ref": "#anchor"}), Err("/schema/$ref"));
        check_at(&json!({"$ref": "#/$defs/absent"}), Err("/schema/$ref"));
        check_at(&json!({"items": {"$ref": "#"}}), Err("/schema/items/$ref"));
        check_at(
            &json!({"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
            Err("/schema/$defs/a/items/$ref"),
        );
        check_at(
            &json!({"properties": {"$ref": {"type": "string"}, "const": {"$dynamicRef": "#"}}}),
            Err("/schema/properties/const/$dynamicRef"),
        );
        check_at(&json!({"enum": [{"$ref": "x"}], "const": {"$id": "y"}}), Ok(()));
        check_at(&json!({"items": {"$id": "x"}}), Err("/schema/items/$id"));
        check_at(&json!({"pattern": "a".repeat(257)}), Err("/schema/pattern"));
        check_at(
            &json!({"patternProperties": {"a".repeat(257): true}}).clone(),
            Err(&format!("/schema/patternProperties/{}", "a".repeat(257))),
        );
    }

    #[test]
    fn references_that_double_are_counted_and_not_followed_for_ever() {
        let mut definitions = Map::new();
        for level in 0..60 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            definitions.insert(format!("d{level}"), json!({"allOf": [next, next]}));
        }
        definitions.insert("d60".to_owned(), json!({"type": "string"}));
        let schema = json!({"$defs": definitions, "$ref": "#/$defs/d0"});
        let error = check(&schema, 10_000).unwrap_err();
        assert!(error.reason.contains("over"), "{error:?}");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = (0..100).fold(json!(true), |schema, _| json!({"not": schema}));
        assert!(check(&deep, 10_000).unwrap_err().reason.contains("deep"));
    }
}
