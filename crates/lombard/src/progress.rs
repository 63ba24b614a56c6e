//! Progress bars.

use indicatif::{ProgressBar, ProgressStyle};
use lombard_log::maintain::Progress;

/// Shows a bar on a terminal while `work` goes on.
pub(crate) fn with_progress<T>(name: &str, work: impl FnOnce(&mut dyn FnMut(Progress)) -> T) -> T {
    let bar = bar(name);
    let result = work(&mut |at: Progress| show(&bar, at));
    bar.finish_and_clear();
    result
}

/// A bar for work that is not one call; to be cleared by whoever asked for it.
pub(crate) fn bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("{prefix:<10} {bar:40} {percent:>3} %  {elapsed}")
    {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar
}

pub(crate) fn show(bar: &ProgressBar, at: Progress) {
    bar.set_length(at.total);
    bar.set_position(at.done);
}
