//! `lombard explain-error`: the pages of `docs/errors`, which are built in.

use anyhow::bail;

include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

pub(crate) fn run(slug: Option<&str>) -> anyhow::Result<()> {
    let Some(slug) = slug else {
        for (slug, page) in ERROR_PAGES {
            let title = page.lines().next().unwrap_or_default().trim_start_matches("# ");
            println!("{slug:<32} {title}");
        }
        return Ok(());
    };
    let slug = slug.rsplit(':').next().unwrap_or(slug);
    match ERROR_PAGES.iter().find(|(name, _)| *name == slug) {
        Some((_, page)) => println!("{}", page.trim_end()),
        None => bail!("no such error: {slug}; `lombard explain-error` lists all"),
    }
    Ok(())
}
