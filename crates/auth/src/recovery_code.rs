//! Recovery codes: for whoever has lost the authenticator app. Each is good once, and kept as SHA-256: they have 100 random
//! bits, so no slow hash is needed.

use aws_lc_rs::{error::Unspecified, rand};
use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::secret;

/// Letters and digits of a code, five bits each.
const SYMBOLS: usize = 20;
/// Symbols between two hyphens.
const GROUP: usize = 5;

/// A new one, as it is shown.
pub(crate) fn generate() -> Result<Zeroizing<String>, Unspecified> {
    let mut bytes = Zeroizing::new([0; 13]);
    rand::fill(bytes.as_mut())?;
    let symbols = Zeroizing::new(BASE32_NOPAD.encode(bytes.as_ref()));
    let mut code = Zeroizing::new(String::with_capacity(SYMBOLS + SYMBOLS / GROUP));
    for (index, symbol) in symbols.chars().take(SYMBOLS).enumerate() {
        if index > 0 && index.is_multiple_of(GROUP) {
            code.push('-');
        }
        code.push(symbol);
    }
    Ok(code)
}

/// What is kept of a code, however it is typed in; `None` where it can be none.
pub(crate) fn sha256(typed: &str) -> Option<[u8; 32]> {
    let mut symbols = Zeroizing::new(String::with_capacity(SYMBOLS));
    for symbol in typed.chars().filter(|symbol| !matches!(symbol, ' ' | '-')) {
        let symbol = match symbol.to_ascii_uppercase() {
            // What is never in a code, and looks like something that is.
            '0' => 'O',
            '1' => 'I',
            '8' => 'B',
            symbol => symbol,
        };
        if symbols.len() == SYMBOLS || !matches!(symbol, 'A'..='Z' | '2'..='7') {
            return None;
        }
        symbols.push(symbol);
    }
    (symbols.len() == SYMBOLS).then(|| secret::sha256(symbols.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code = generate().unwrap();
        assert_eq!(code.len(), 23, "four groups of five");
        assert_ne!(*code, *generate().unwrap());
        let kept = sha256(&code).unwrap();
        for typed in
            [code.to_lowercase(), code.replace('-', ""), format!(" {} ", code.replace('-', " "))]
        {
            assert_eq!(sha256(&typed), Some(kept), "{typed}");
        }
        assert_eq!(sha256("OOOOO-IIIII-BBBBB-22222"), sha256("0oo0o-1iI11-8bb8b-22222"));
        for typed in [
            "",
            "123456",
            "AAAAA-AAAAA-AAAAA-AAAA",
            "AAAAA-AAAAA-AAAAA-AAAAA-A",
            "AAAAA-AAAAA-AAAAA-AAAA9",
            "\u{c4}AAAA-AAAAA-AAAAA-AAAAA",
        ] {
            assert_eq!(sha256(typed), None, "{typed}");
        }
    }
}
