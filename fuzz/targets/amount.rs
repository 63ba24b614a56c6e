//! Amounts of money: what is read is written back as it was, but for fraction digits that were left out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lombard_types::{Amount, Scale};

fuzz_target!(|input: (u8, &str)| {
    let (scale, text) = input;
    let Ok(scale) = Scale::new(scale) else { return };
    let Ok(amount) = Amount::parse(text, scale) else { return };
    let shown = amount.display(scale).to_string();
    assert_eq!(Amount::parse(&shown, scale), Ok(amount), "{text} was shown as {shown}");
    assert!(shown.starts_with(text), "{text} was shown as {shown}");
});
