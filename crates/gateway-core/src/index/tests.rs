use proptest::prelude::*;

use super::*;
use crate::pattern::segments_of;

fn segments(path: &NormalPath) -> Vec<&str> {
    segments_of(path.as_str().strip_prefix('/').unwrap_or_default()).collect()
}

fn rule(host: &str, path: &str, end: End, methods: &[&str], headers: &[(&str, &str)]) -> Rule {
    Rule {
        host: if host.is_empty() { HostPattern::Any } else { host.parse().unwrap() },
        pattern: Pattern::parse(path, end).unwrap(),
        methods: methods.iter().map(|method| (*method).into()).collect(),
        headers: headers
            .iter()
            .map(|(name, value)| HeaderRule { name: (*name).into(), value: Some((*value).into()) })
            .collect(),
    }
}

fn find(
    index: &RouteIndex,
    host: &str,
    path: &str,
    method: &str,
    headers: &[(&str, &str)],
) -> Option<(usize, Vec<String>, String)> {
    let path = NormalPath::parse(path).unwrap();
    let has_header = |rule: &HeaderRule| {
        headers.iter().any(|(name, value)| {
            *name == &*rule.name && rule.value.as_deref().is_none_or(|wanted| wanted == *value)
        })
    };
    let (found, captures) = index.find(&Asked { host, path: &path, method, has_header })?;
    let count = index.rules()[found].pattern.parameters().count();
    let captured = (0..count).map(|index| captures.get(&path, index).to_owned()).collect();
    Some((found, captured, captures.rest(&path).to_owned()))
}

#[test]
fn the_most_specific_route_takes_a_request() {
    let rules = vec![
        rule("", "/", End::Prefix, &[], &[]),
        rule("", "/a", End::Prefix, &[], &[]),
        rule("", "/a/{id}", End::Exact, &[], &[]),
        rule("", "/a/me", End::Exact, &[], &[]),
        rule("", "/a/{id}/b", End::Prefix, &["POST"], &[]),
        rule("", "/a/{id}/b", End::Prefix, &[], &[("x-v", "2")]),
        rule("api.example.com", "/", End::Prefix, &[], &[]),
        rule("*.example.com", "/", End::Prefix, &[], &[]),
        rule("*.b.example.com", "/only", End::Exact, &[], &[]),
        rule("", "/a/", End::Exact, &[], &[]),
    ];
    let index = RouteIndex::new(rules).unwrap();
    let two = [("x-v", "2")];
    for (host, path, method, headers, expected) in [
        ("x", "/", "GET", &[][..], (0, "", "/")),
        ("x", "/zzz/y", "GET", &[], (0, "", "/zzz/y")),
        ("x", "/a", "GET", &[], (1, "", "")),
        ("x", "/a/", "GET", &[], (9, "", "")),
        ("x", "/a/7", "GET", &[], (2, "7", "")),
        ("x", "/a/7/", "GET", &[], (1, "", "/7/")),
        ("x", "/a/me", "GET", &[], (3, "", "")),
        ("x", "/a/me/b", "POST", &[], (4, "me", "")),
        ("x", "/a/7/b/c", "POST", &two, (4, "7", "/c")),
        ("x", "/a/7/b/c", "GET", &two, (5, "7", "/c")),
        ("x", "/a/7/b/c", "GET", &[], (1, "", "/7/b/c")),
        ("API.example.com.:8080", "/a", "GET", &[], (6, "", "/a")),
        ("q.example.com", "/a", "GET", &[], (7, "", "/a")),
        ("a.b.example.com", "/only", "GET", &[], (8, "", "")),
        ("a.b.example.com", "/other", "GET", &[], (7, "", "/other")),
        ("example.com", "/only", "GET", &[], (0, "", "/only")),
    ] {
        let found = find(&index, host, path, method, headers).unwrap();
        let found = (found.0, found.1.join(","), found.2);
        assert_eq!(
            found,
            (expected.0, expected.1.to_owned(), expected.2.to_owned()),
            "{host} {path} {method}"
        );
    }
}

#[test]
fn hosts() {
    for (text, shown) in [
        ("a.example", Some("a.example")),
        ("*.example.com", Some("*.example.com")),
        ("127.0.0.1", Some("127.0.0.1")),
        ("[::1]", Some("[::1]")),
        ("A.example", None),
        ("a:80", None),
        ("", None),
        ("*", None),
        ("a..b", None),
        ("*.*.b", None),
    ] {
        let parsed = text.parse::<HostPattern>().map(|host| host.to_string());
        assert_eq!(parsed.ok().as_deref(), shown, "{text}");
    }
    for (host, normal) in
        [("A.b:80", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("a.", "a"), ("", "")]
    {
        assert_eq!(normal_host(host), normal);
    }
}

#[test]
fn too_many_that_differ_in_headers_only_are_named() {
    let same = |number: usize| rule("", "/a", End::Exact, &[], &[("x", &number.to_string())]);
    assert!(RouteIndex::new((0..RouteIndex::ALIKE_MAX).map(same).collect()).is_ok());
    let error = RouteIndex::new((0..=RouteIndex::ALIKE_MAX).map(same).collect()).unwrap_err();
    assert_eq!(error, [RouteIndex::ALIKE_MAX]);
}

/// The model: all rules one after the other, each judged by itself; the best by a key wins.
fn scan(
    rules: &[Rule],
    host: &str,
    path: &NormalPath,
    method: &str,
    header: Option<&str>,
) -> Option<usize> {
    let given = segments(path);
    let host = normal_host(host);
    let mut best: Option<(Vec<u8>, usize)> = None;
    for (number, rule) in rules.iter().enumerate() {
        let host_rank = match &rule.host {
            HostPattern::Exact(exact) if **exact == *host => 0,
            HostPattern::Under(suffix) if host.ends_with(&**suffix) => {
                200 - u8::try_from(suffix.len()).unwrap()
            }
            HostPattern::Any => 255,
            _ => continue,
        };
        let pattern = &rule.pattern;
        let is_length = match pattern.end {
            End::Exact => given.len() == pattern.segments.len(),
            End::Prefix => given.len() >= pattern.segments.len(),
        };
        let fits = pattern.segments.iter().zip(&given).all(|(segment, given)| match segment {
            Segment::Literal(text) => **text == **given,
            Segment::Parameter(_) => !given.is_empty(),
        });
        let is_method =
            rule.methods.is_empty() || rule.methods.iter().any(|each| **each == *method);
        let has_headers = rule.headers.iter().all(|rule| rule.value.as_deref() == header);
        if !is_length || !fits || !is_method || !has_headers {
            continue;
        }
        let mut key = vec![host_rank];
        key.extend(pattern.segments.iter().map(|segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Parameter(_) => 1,
        }));
        // Where the path goes on, the end of a prefix comes after a longer pattern; where it ends, after an exact one.
        key.push(if pattern.end == End::Exact { 0 } else { 2 });
        key.extend([
            u8::from(rule.methods.is_empty()),
            u8::MAX - u8::try_from(rule.headers.len()).unwrap(),
        ]);
        if best.as_ref().is_none_or(|(other, _)| key < *other) {
            best = Some((key, number));
        }
    }
    best.map(|(_, number)| number)
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let host = prop::sample::select(vec!["", "a.b.c", "b.c", "*.b.c", "*.c"]);
    let path = prop::collection::vec(prop::sample::select(vec!["a", "b", "{}", "{}"]), 0..4);
    let methods = prop::sample::select(vec![&[][..], &["GET"], &["POST", "PUT"]]);
    let header = prop::option::of(prop::sample::select(vec!["1", "2"]));
    (host, path, any::<bool>(), methods, header).prop_map(
        |(host, path, is_prefix, methods, header)| {
            let path = path.iter().enumerate().map(|(index, segment)| match *segment {
                "{}" => format!("/{{p{index}}}"),
                literal => format!("/{literal}"),
            });
            let path: String = path.collect();
            let path = if path.is_empty() { "/" } else { &path };
            let headers: Vec<_> = header.map(|value| ("x", value)).into_iter().collect();
            rule(host, path, if is_prefix { End::Prefix } else { End::Exact }, methods, &headers)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_tree_finds_what_a_scan_of_all_rules_finds(
        rules in prop::collection::vec(any_rule(), 0..40),
        host in prop::sample::select(vec!["a.b.c", "b.c", "x.b.c:80", "y.x.b.c", "z"]),
        path in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..6),
        closing in any::<bool>(),
        method in prop::sample::select(vec!["GET", "POST", "DELETE"]),
        header in prop::option::of(prop::sample::select(vec!["1", "2", "3"])),
    ) {
        let mut text: String = path.iter().flat_map(|segment| ["/", segment]).collect();
        if text.is_empty() || closing {
            text.push('/');
        }
        let path = NormalPath::parse(&text).unwrap();
        let expected = scan(&rules, host, &path, method, header);
        let index = RouteIndex::new(rules).unwrap();
        let headers: Vec<_> = header.map(|value| ("x", value)).into_iter().collect();
        let found = find(&index, host, &text, method, &headers);
        prop_assert_eq!(found.as_ref().map(|found| found.0), expected);
        if let Some((number, captured, rest)) = found {
            // Put together again, what was captured is the path.
            let mut captured = captured.into_iter();
            let mut again = String::new();
            for segment in &index.rules()[number].pattern.segments {
                again.push('/');
                match segment {
                    Segment::Literal(text) => again.push_str(text),
                    Segment::Parameter(_) => again.push_str(&captured.next().unwrap()),
                }
            }
            again.push_str(&rest);
            let again = if again.is_empty() { "/" } else { &again };
            prop_assert_eq!(again, path.as_str());
        }
    }
}
