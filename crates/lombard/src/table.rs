//! Plain tables on standard output.

use comfy_table::{CellAlignment, Table, presets};

/// A table without lines; the columns in `numbers` are aligned to the right.
pub(crate) fn plain<const N: usize>(
    header: [&str; N],
    rows: Vec<[String; N]>,
    numbers: &[usize],
) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    for &column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
