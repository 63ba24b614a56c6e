//! `lombard transfer import`: a file of history, sent in parts that the gateway takes, with a progress bar.

use std::path::Path;

use anyhow::{Context as _, bail};
use lombard_client::{ImportFormat, Imported, Ledger};
use serde_json::json;

use crate::{cli::OutputArguments, exit::CheckFailed, progress};

/// Bytes of one part, about: far below what the gateway takes, and enough to be quick.
const PART_BYTES: usize = 1 << 20;

pub(crate) async fn run(
    ledger: &Ledger,
    file: &Path,
    output: OutputArguments,
) -> anyhow::Result<()> {
    let format = match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => ImportFormat::Csv,
        Some("jsonl" | "ndjson") => ImportFormat::JsonLines,
        _ => bail!("{} must end in .csv or .jsonl", file.display()),
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read {}", file.display()))?;
    let bar = progress::bar("importing");
    bar.set_length(text.len() as u64);
    let mut all = Imported::default();
    for part in parts(format, &text, PART_BYTES) {
        let sent = ledger.import(format, format!("{}{}", part.header, part.rows)).await;
        let mut done =
            sent.context("run the command again: rows that were imported are told by their ids")?;
        bar.inc(part.rows.len() as u64);
        // The part's first line is the header's, or its own first row's.
        let lines_before = part.line - if part.header.is_empty() { 1 } else { 2 };
        done.problems.iter_mut().for_each(|problem| problem.line += lines_before);
        add(&mut all, done);
    }
    bar.finish_and_clear();
    report(&all, output);
    match all.refused {
        0 => Ok(()),
        refused => Err(CheckFailed(format!("{refused} rows were refused")).into()),
    }
}

fn add(all: &mut Imported, done: Imported) {
    let Imported { rows, created, replayed, refused, problems } = done;
    all.rows += rows;
    all.created += created;
    all.replayed += replayed;
    all.refused += refused;
    all.problems.extend(problems);
}

fn report(all: &Imported, output: OutputArguments) {
    if output.json {
        println!("{:#}", json!(all));
        return;
    }
    for problem in &all.problems {
        let column = problem.column.map(|column| format!(", column {column}")).unwrap_or_default();
        println!("line {}{column}: {} ({})", problem.line, problem.detail, problem.error);
    }
    let Imported { rows, created, replayed, refused, .. } = all;
    println!("{rows} rows: {created} imported, {replayed} were there already, {refused} refused");
}

/// Some rows of the file.
#[derive(Debug, PartialEq, Eq)]
struct Part<'a> {
    /// The first line of CSV, with its end.
    header: &'a str,
    rows: &'a str,
    /// The line of the file that the rows begin in, from 1.
    line: u64,
}

/// Cuts a file between rows: at ends of lines that are not inside of quotes of CSV.
fn parts(format: ImportFormat, text: &str, part_bytes: usize) -> Vec<Part<'_>> {
    let header_end = match format {
        ImportFormat::Csv => text.find('\n').map_or(text.len(), |end| end + 1),
        ImportFormat::JsonLines => 0,
    };
    let (header, mut rest) = text.split_at(header_end);
    let mut line = if header.is_empty() { 1 } else { 2 };
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (rows, after) = rest.split_at(end_of_part(format, rest, part_bytes));
        parts.push(Part { header, rows, line });
        line += rows.bytes().filter(|byte| *byte == b'\n').count() as u64;
        rest = after;
    }
    parts
}

fn end_of_part(format: ImportFormat, text: &str, part_bytes: usize) -> usize {
    let mut in_quotes = false;
    for (at, byte) in text.bytes().enumerate() {
        in_quotes ^= format == ImportFormat::Csv && byte == b'"';
        if byte == b'\n' && !in_quotes && at + 1 >= part_bytes {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_cut_between_rows() {
        let csv = "id,m\n1,a\n2,\"x\ny\"\n3,c";
        let cut = |bytes| {
            let parts = parts(ImportFormat::Csv, csv, bytes);
            assert!(parts.iter().all(|part| part.header == "id,m\n"));
            parts.iter().map(|part| (part.line, part.rows)).collect::<Vec<_>>()
        };
        assert_eq!(cut(1), [(2, "1,a\n"), (3, "2,\"x\ny\"\n"), (5, "3,c")]);
        assert_eq!(cut(100), [(2, "1,a\n2,\"x\ny\"\n3,c")]);
        let json = parts(ImportFormat::JsonLines, "{}\n{}\n", 1);
        assert_eq!(
            json.iter().map(|part| (part.line, part.rows)).collect::<Vec<_>>(),
            [(1, "{}\n"), (2, "{}\n")]
        );
    }
}
