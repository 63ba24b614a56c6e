//! Patterns, rewrites and scopes of routes with any path: what is forwarded is normalized, and made of what was captured.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lombard_gateway_core::{
    Asked, End, HeaderRule, HostPattern, NormalPath, Pattern, RequiredScope, Rewrite, RouteIndex, Rule,
};

fuzz_target!(|text: &str| {
    // Pattern, rewrite, scope, host, path: one a line.
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (pattern, rewrite, scope, host, raw) = (next(), next(), next(), next(), next());
    for end in [End::Exact, End::Prefix] {
        let Ok(pattern) = Pattern::parse(pattern, end) else { continue };
        let rule = Rule {
            host: host.parse().unwrap_or(HostPattern::Any),
            pattern: pattern.clone(),
            methods: Vec::new(),
            headers: Vec::new(),
        };
        let Ok(index) = RouteIndex::new(vec![rule]) else { continue };
        let Ok(path) = NormalPath::parse(raw) else { continue };
        let has_header = |_: &HeaderRule| true;
        let asked = Asked { host, path: &path, method: "GET", has_header };
        let Some((_, captures)) = index.find(&asked) else { continue };
        for index in 0..pattern.parameters().count() {
            let captured = captures.get(&path, index);
            assert!(!captured.is_empty() && !captured.contains('/'), "{captured}");
        }
        if let Ok(rewrite) = Rewrite::parse(rewrite, &pattern) {
            let forwarded = rewrite.apply(&path, &captures);
            let normal = NormalPath::parse(&forwarded);
            // Only what grew too long on the way is no path any more.
            let is_long = forwarded.len() > NormalPath::BYTES_MAX;
            assert!(is_long || normal.is_ok_and(|normal| normal.as_str() == forwarded), "{forwarded}");
        }
        if let Ok(scope) = RequiredScope::parse(scope, &pattern) {
            let nothing = "".parse().unwrap_or_default();
            assert!(!scope.is_met_by(&nothing, &path, &captures), "nothing permits something");
        }
    }
});
