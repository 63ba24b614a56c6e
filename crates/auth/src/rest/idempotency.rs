//! The header `Idempotency-Key`: a repetition makes the same thing again, not another one.

use aws_lc_rs::digest;
use axum::http::HeaderMap;
use lombard_chassis::{Problem, extract::single_header};
use uuid::Uuid;

use crate::problem;

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let key = single_header(headers, "idempotency-key")?;
    match key {
        Some(key)
            if key.is_empty()
                || key.len() > 255
                || !key.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Err(Problem::new(&problem::IDEMPOTENCY_KEY_INVALID)
                .detail("an Idempotency-Key is 1 to 255 visible ASCII characters without spaces"))
        }
        key => Ok(key),
    }
}

/// The same id for the same words.
pub(super) fn derived_id(words: [&str; 3]) -> Uuid {
    let mut context = digest::Context::new(&digest::SHA256);
    for word in words {
        context.update(&u64::try_from(word.len()).unwrap_or(u64::MAX).to_le_bytes());
        context.update(word.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(context.finish().as_ref().get(..16).unwrap_or(&[0; 16]));
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
