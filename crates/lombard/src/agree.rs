//! Asking before something is lost.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::ensure;

/// Asks on the terminal; where there is none, nobody can agree.
pub(crate) fn agrees() -> anyhow::Result<bool> {
    ensure!(io::stdin().is_terminal(), "this loses data: say --yes to do it without being asked");
    print!("Type yes to do it: ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
