//! Configurations of the gateway: every text has mistakes or is one, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lombard_gateway::Config;

fuzz_target!(|text: &str| {
    let Ok(config) = toml::from_str::<Config>(text) else { return };
    let mistakes = config.mistakes();
    // Said again, they are the same.
    assert_eq!(config.mistakes(), mistakes);
});
