//! Second factors: where their secrets are made and opened, and codes are checked. That a code is good once is decided by
//! `lombard_auth_core::second_factors`.

use aws_lc_rs::error::Unspecified;
use lombard_auth_core::{
    Command, Rejection, Reply, SecondFactor, UserId,
    second_factors::{self, Reply as FactorReply},
};
use lombard_engine::SubmitError;
use lombard_types::Timestamp;
use zeroize::Zeroizing;

use crate::{
    recovery_code,
    service::Api,
    totp::{DIGITS, TotpSecret},
};

/// What was shown, and was good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A code of the app.
    Totp,
    /// A recovery code.
    RecoveryCode {
        /// How many are left.
        left: usize,
    },
}

/// Why what was shown is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no code of the person.
    Wrong,
    /// It was good once.
    Used,
    /// The server cannot tell now.
    Unavailable,
}

/// Checks what a person has typed in, and uses it up.
pub(crate) async fn check(
    api: &Api,
    user: UserId,
    typed: &str,
    now: Timestamp,
) -> Result<Shown, Refusal> {
    let factor = api.view.read(|view| view.state.second_factors.get(user).cloned());
    let factor = factor.ok_or(Refusal::Wrong)?;
    let typed = Zeroizing::new(typed.split_whitespace().collect::<String>());
    let is_totp = typed.len() == DIGITS && typed.bytes().all(|byte| byte.is_ascii_digit());
    let command = if is_totp {
        let secret = open(api, &factor).ok_or(Refusal::Unavailable)?;
        let step = secret.step_of(&typed, now).ok_or(Refusal::Wrong)?;
        second_factors::Command::UseStep { user, enrolled_at: factor.enrolled_at, step }
    } else {
        let sha256 = recovery_code::sha256(&typed).ok_or(Refusal::Wrong)?;
        second_factors::Command::UseRecoveryCode { user, sha256 }
    };
    let used = api.writer.submit(Command::SecondFactor(command, api.config.lives())).await;
    let left = match used.map(|committed| committed.reply) {
        Ok(Reply::SecondFactor(FactorReply::Used { recovery_codes_left })) => recovery_codes_left,
        Err(SubmitError::Rejected { rejection: Rejection::SecondFactor(rejection), .. }) => {
            return Err(match rejection {
                second_factors::Rejection::CodeUsed if is_totp => Refusal::Used,
                _ => Refusal::Wrong,
            });
        }
        Ok(_) | Err(_) => return Err(Refusal::Unavailable),
    };
    Ok(if is_totp { Shown::Totp } else { Shown::RecoveryCode { left } })
}

/// The secret of a factor. None where the master key is not the one that it was sealed with.
fn open(api: &Api, factor: &SecondFactor) -> Option<TotpSecret> {
    let plain = api.keyring.master().unwrap(&factor.sealed_secret, &binding(factor.user));
    let secret = plain.and_then(|plain| TotpSecret::from_bytes(&plain));
    if secret.is_none() {
        tracing::error!(user = %factor.user, "the master key does not open the secret of a second factor");
    }
    secret
}

fn binding(user: UserId) -> Vec<u8> {
    format!("lombard totp {user}").into_bytes()
}

/// Recovery codes, to be shown once.
pub(crate) type RecoveryCodes = Vec<Zeroizing<String>>;

/// A factor with this secret, and its recovery codes. `used_step`: the step whose code has proved that the person has it.
pub(crate) fn new(
    api: &Api,
    user: UserId,
    secret: &TotpSecret,
    used_step: u64,
    by: &str,
) -> Result<(second_factors::Command, RecoveryCodes), Unspecified> {
    let count = api.config.recovery_codes;
    let codes: RecoveryCodes =
        (0..count).map(|_| recovery_code::generate()).collect::<Result<_, _>>()?;
    let sealed = api.keyring.master().wrap(secret.as_bytes(), &binding(user));
    let factor = SecondFactor {
        user,
        sealed_secret: sealed.map_err(|_| Unspecified)?.into(),
        used_step,
        recovery_codes_sha256: codes
            .iter()
            .filter_map(|code| recovery_code::sha256(code))
            .collect(),
        enrolled_at: Timestamp::EPOCH,
        enrolled_by: by.into(),
    };
    Ok((second_factors::Command::Enrol { factor }, codes))
}

/// What an app calls the account: this server, without the scheme of its URL.
pub(crate) fn issuer_name(api: &Api) -> &str {
    api.issuer.split_once("://").map_or(&*api.issuer, |(_, host)| host)
}
