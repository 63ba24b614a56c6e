//! What is authorized is what is forwarded, and what every upstream reads, over a million generated paths.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use lombard_gateway_core::{
    Asked, Captures, End, HeaderRule, HostPattern, NormalPath, PathText, Pattern, Rewrite,
    RouteIndex, Rule,
};

const PATHS: u32 = 1_000_000;

/// What paths are made of: much of what readers disagree on, and some that is harmless.
const PIECES: [&str; 36] = [
    "/",
    "/",
    "/",
    "/",
    "c",
    "c",
    "id",
    "42",
    "a",
    "B",
    "~",
    "-",
    ".",
    "..",
    "...",
    "%2e",
    "%2E",
    "%2f",
    "%2F",
    "%5c",
    "\\",
    ";",
    ";x=1",
    "%3b",
    "//",
    "%25",
    "%252e",
    "%25%32%65",
    "%c3%a9",
    "%C0%AE",
    "%00",
    "%7e",
    "%41",
    "%zz",
    ":",
    "*",
];

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| *first == b'%' && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                decoded.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

/// The segments that an upstream reads which decodes so many times before it splits, takes `\` for `/`, cuts parameters off,
/// joins empty segments and resolves dots.
fn read(path: &str, decodings: u32) -> Vec<Vec<u8>> {
    let decoded = (0..decodings).fold(path.as_bytes().to_vec(), |text, _| decode(&text));
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        let segment = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            other => segments.push(other.to_vec()),
        }
    }
    segments
}

fn our_segments(path: &str, decodings: u32) -> Vec<Vec<u8>> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments
        .map(|segment| (0..decodings).fold(segment.as_bytes().to_vec(), |text, _| decode(&text)))
        .collect()
}

#[test]
fn authorization_sees_the_path_that_is_forwarded() {
    let pattern = Pattern::parse("/c/{id}", End::Prefix).unwrap();
    let rewrite = Rewrite::parse("/v2/{id}", &pattern).unwrap();
    let asked_for = PathText::parse("{id}", &pattern).unwrap();
    let (methods, headers) = (Vec::new(), Vec::new());
    let rule = Rule { host: HostPattern::Any, pattern, methods, headers };
    let index = RouteIndex::new(vec![rule]).unwrap();
    let find = |path: &NormalPath| -> Option<Captures> {
        let has_header = |_: &HeaderRule| true;
        Some(index.find(&Asked { host: "", path, method: "GET", has_header })?.1)
    };
    let mut random = Random(7);
    let (mut accepted, mut routed) = (0, 0);
    for _ in 0..PATHS {
        let mut raw = String::from("/");
        if random.below(2) == 0 {
            raw.push_str("c/");
        }
        for _ in 0..random.below(6) {
            raw.push_str(PIECES.get(random.below(PIECES.len())).unwrap());
        }
        let Ok(path) = NormalPath::parse(&raw) else { continue };
        accepted += 1;
        assert_eq!(NormalPath::parse(path.as_str()).as_ref(), Ok(&path), "{raw}");
        for decodings in 0..3 {
            let ours = our_segments(path.as_str(), decodings);
            assert_eq!(
                read(path.as_str(), decodings),
                ours,
                "{raw} read with {decodings} decodings"
            );
        }
        let Some(captures) = find(&path) else { continue };
        routed += 1;
        let forwarded = rewrite.apply(&path, &captures);
        assert_eq!(NormalPath::parse(&forwarded).unwrap().as_str(), forwarded, "{raw}");
        let authorized = asked_for.fill(&path, &captures);
        for decodings in 0..3 {
            let segments = read(&forwarded, decodings);
            let (ours, others) =
                (our_segments(&authorized, decodings), segments.get(1..2).unwrap());
            assert_eq!(others, ours, "{raw} forwarded as {forwarded}");
        }
    }
    // The generator is worth nothing where it makes only one kind.
    assert!(accepted > PATHS / 10 && accepted < PATHS, "{accepted}");
    assert!(routed > PATHS / 50, "{routed}");
}
