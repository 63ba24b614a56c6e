//! Paths of requests: what is accepted has one reading, and is its own normal form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lombard_gateway_core::NormalPath;

fuzz_target!(|raw: &str| {
    let Ok(path) = NormalPath::parse(raw) else { return };
    let text = path.as_str();
    assert_eq!(NormalPath::parse(text).as_ref(), Ok(&path), "{text} is not its own normal form");
    assert!(text.starts_with('/') && !text.contains("//"), "{text}");
    assert!(!text.bytes().any(|byte| byte == b'\\' || byte == b';' || byte <= b' '), "{text}");
    let lower = text.to_ascii_lowercase();
    for hidden in ["%2e", "%2f", "%5c", "%00", "%3b"] {
        assert!(!lower.contains(hidden), "{text} hides {hidden}");
    }
    let hides_an_encoding = |after: &str| {
        after.as_bytes().iter().take(2).all(u8::is_ascii_hexdigit) && after.len() >= 2
    };
    assert!(!lower.split("%25").skip(1).any(hides_an_encoding), "{text} hides an encoding");
    assert!(!text.split('/').any(|segment| segment == "." || segment == ".."), "{text}");
});
