//! What all pages and sections have in common.

use maud::{DOCTYPE, Markup, html};

use crate::read::Unreadable;

pub(super) fn document(
    title: &str,
    stylesheet: &str,
    refresh_seconds: Option<u32>,
    content: Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = refresh_seconds {
                    meta http-equiv="refresh" content=(seconds);
                }
                title { (title) }
                link rel="stylesheet" href=(stylesheet);
            }
            body { (content) }
        }
    }
}

/// A section with a heading: its content, or why there is none.
pub(super) fn section<T>(
    id: &str,
    title: &str,
    read: &Result<T, Unreadable>,
    show: impl FnOnce(&T) -> Markup,
) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            @match read {
                Ok(content) => { (show(content)) }
                Err(why) => { (unreadable(why)) }
            }
        }
    }
}

pub(super) fn unreadable(why: &Unreadable) -> Markup {
    html! { p class="notice" { (why.sentence()) } }
}

/// A table with a caption, in a frame that scrolls by itself on narrow screens. `columns` are headings, and whether
/// the column is of numbers.
pub(super) fn table(caption: &str, columns: &[(&str, bool)], rows: &[Markup]) -> Markup {
    html! {
        @if rows.is_empty() {
            p { (caption) ": none." }
        } @else {
            // Reachable by keyboard, so that it can be scrolled by keyboard.
            div class="table" tabindex="0" role="region" aria-label=(caption) {
                table {
                    caption { (caption) }
                    thead {
                        tr {
                            @for (heading, is_number) in columns {
                                th scope="col" class=[is_number.then_some("number")] { (heading) }
                            }
                        }
                    }
                    tbody { @for row in rows { (row) } }
                }
            }
        }
    }
}

/// Good or bad, in a word and a sign and only then a colour.
pub(super) fn badge(is_good: bool, word: &str) -> Markup {
    let (class, sign) = if is_good { ("badge good", "✓") } else { ("badge bad", "✗") };
    html! { span class=(class) { span aria-hidden="true" { (sign) " " } (word) } }
}

pub(super) fn number(text: &str) -> Markup {
    html! { td class="number" { (text) } }
}

/// An amount and its asset, never apart.
pub(super) fn amount(text: &str, asset: &str) -> Markup {
    html! { td class="number" { (text) " " span class="asset" { (asset) } } }
}

pub(super) fn time(text: &str) -> Markup {
    // To the second, in UTC like everything here; the whole instant is in the attribute.
    let seconds = text.split(['.', 'Z']).next().unwrap_or(text).replacen('T', " ", 1);
    html! { time datetime=(text) title=(text) { (seconds) } }
}
