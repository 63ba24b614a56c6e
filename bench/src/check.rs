//! Claims beside what was measured.

/// Prints a claim, what was measured, and whether it holds.
pub fn at_least(what: &str, measured: f64, claimed: f64) {
    print(what, "at least", measured, claimed, measured >= claimed);
}

/// [`at_least`] for what should be small.
pub fn at_most(what: &str, measured: f64, claimed: f64) {
    print(what, "at most", measured, claimed, measured <= claimed);
}

fn print(what: &str, bound: &str, measured: f64, claimed: f64, holds: bool) {
    let verdict = if holds { "holds" } else { "MISSED" };
    let digits = if claimed >= 1000.0 { 0 } else { 2 };
    println!("  {verdict:>6}: {what} {bound} {claimed:.digits$}: {measured:.digits$}");
}
