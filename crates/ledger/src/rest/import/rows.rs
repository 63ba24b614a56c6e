//! Rows of a stream of bytes: each is kept until its end has come, and no longer.

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// Takes bytes, gives rows.
#[derive(Debug)]
pub(super) struct Rows {
    format: Format,
    row_bytes_max: usize,
    buffer: Vec<u8>,
    /// Where the row that is being looked for begins, and how far it was looked at.
    start: usize,
    looked_at: usize,
    in_quotes: bool,
    /// The line that the row begins in, from 1, and how many lines it has so far.
    line: u64,
    lines: u64,
}

/// One row, without its end of line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The line that it begins in, from 1.
    pub(super) line: u64,
    pub(super) bytes: Vec<u8>,
}

/// A row over the limit: what comes after it cannot be told apart from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowTooLong {
    pub(super) line: u64,
}

impl Rows {
    pub(super) fn new(format: Format, row_bytes_max: usize) -> Self {
        Self {
            format,
            row_bytes_max,
            buffer: Vec::new(),
            start: 0,
            looked_at: 0,
            in_quotes: false,
            line: 1,
            lines: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.looked_at -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next row that is whole; at the end of the stream, also the last one without an end of line. Blank lines are
    /// left out.
    pub(super) fn next(&mut self, is_end: bool) -> Result<Option<Row>, RowTooLong> {
        loop {
            let Some(end) = self.end_of_row() else {
                self.looked_at = self.buffer.len();
                if self.looked_at - self.start > self.row_bytes_max {
                    return Err(RowTooLong { line: self.line });
                }
                if !is_end || self.start == self.buffer.len() {
                    return Ok(None);
                }
                let last = self.take(self.buffer.len());
                self.start = self.buffer.len();
                return if last.bytes.is_empty() { Ok(None) } else { self.checked(last) };
            };
            let row = self.take(end);
            (self.start, self.looked_at) = (end + 1, end + 1);
            if !row.bytes.is_empty() {
                return self.checked(row);
            }
        }
    }

    fn checked(&self, row: Row) -> Result<Option<Row>, RowTooLong> {
        if row.bytes.len() > self.row_bytes_max {
            return Err(RowTooLong { line: row.line });
        }
        Ok(Some(row))
    }

    /// Where the row ends: at a line feed outside of quotes.
    fn end_of_row(&mut self) -> Option<usize> {
        let bytes = self.buffer.get(self.looked_at..).unwrap_or_default();
        let is_csv = self.format == Format::Csv;
        let (mut in_quotes, mut lines) = (self.in_quotes, self.lines);
        let end = bytes.iter().position(|byte| {
            // A doubled quote inside of quotes ends them and begins them again.
            in_quotes ^= is_csv && *byte == b'"';
            lines += u64::from(*byte == b'\n');
            *byte == b'\n' && !in_quotes
        });
        (self.in_quotes, self.lines) = (in_quotes, lines);
        end.map(|end| self.looked_at + end)
    }

    fn take(&mut self, end: usize) -> Row {
        let bytes = self.buffer.get(self.start..end).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes).to_vec();
        let line = self.line;
        self.line += std::mem::take(&mut self.lines);
        Row { line, bytes }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(format: Format, parts: &[&[u8]]) -> Result<Vec<(u64, String)>, RowTooLong> {
        let mut rows = Rows::new(format, 20);
        let mut found = Vec::new();
        let text = |row: Row| (row.line, String::from_utf8(row.bytes).unwrap());
        for part in parts {
            rows.push(part);
            while let Some(row) = rows.next(false)? {
                found.push(text(row));
            }
        }
        while let Some(row) = rows.next(true)? {
            found.push(text(row));
        }
        Ok(found)
    }

    fn owned(rows: &[(u64, &str)]) -> Vec<(u64, String)> {
        rows.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
    }

    #[test]
    fn rows_know_their_lines() {
        let csv: &[u8] = b"a,b\r\n\n\"x\ny\",\"\"\"\"\nlast";
        let expected = owned(&[(1, "a,b"), (3, "\"x\ny\",\"\"\"\""), (5, "last")]);
        assert_eq!(rows(Format::Csv, &[csv]), Ok(expected));
        let json: &[u8] = b"{\"a\":\"\\\"\"}\n{}\n";
        assert_eq!(
            rows(Format::JsonLines, &[json]),
            Ok(owned(&[(1, "{\"a\":\"\\\"\"}"), (2, "{}")]))
        );
        assert_eq!(rows(Format::Csv, &[b"a\n", &[b'x'; 21]]), Err(RowTooLong { line: 2 }));
        assert_eq!(
            rows(Format::Csv, &[b"a\n\"never closed", b"\nb\nc"]),
            Ok(owned(&[(1, "a"), (2, "\"never closed\nb\nc")]))
        );
    }

    proptest! {
        /// However the stream is cut, the rows are the same.
        #[test]
        fn cuts_do_not_matter(text in "[a\",\n\r]{0,15}", cut in 0usize..16) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            for format in [Format::Csv, Format::JsonLines] {
                let whole = rows(format, &[bytes]);
                prop_assert_eq!(rows(format, &[&bytes[..cut], &bytes[cut..]]), whole);
            }
        }
    }
}
