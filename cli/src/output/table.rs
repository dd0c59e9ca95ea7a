//! Columns and wrapping, from 80 columns up. A cell wraps between words; a word, which may be a drug, a dose or a code, is
//! never cut to make a column fit. The table grows wider instead.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width};

use super::plain::plain;

/// How text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether colour and weight may be used; what they say always stands in words too.
    pub colour: bool,
    /// Columns to fill.
    pub width: u16,
}

/// A table as text, with its line end; nothing for neither headers nor rows.
#[must_use]
pub fn grid(headers: &[&str], rows: &[Vec<String>], style: Style) -> String {
    let columns = rows.iter().map(Vec::len).chain([headers.len()]).max().unwrap_or(0);
    if columns == 0 {
        return String::new();
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(style.width);
    if style.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let head = |text: &&str| {
        let cell = Cell::new(text);
        if style.colour { cell.add_attribute(Attribute::Bold) } else { cell }
    };
    table.set_header(headers.iter().map(head));
    let mut longest: Vec<usize> = headers.iter().map(|header| longest_word(header)).collect();
    longest.resize(columns, 1);
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| bounded(&plain(cell))).collect();
        for (width, cell) in longest.iter_mut().zip(&cells) {
            *width = (*width).max(longest_word(cell));
        }
        table.add_row(cells.iter().map(|cell| coloured(cell, style)));
    }
    for (index, word) in longest.into_iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, GAP));
            let least = u16::try_from(word.clamp(1, WORD_MAX)).unwrap_or(1).saturating_add(GAP);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n", lines.join("\n"))
}

/// Text as lines of at most `width` columns behind `indent` spaces, wrapped between words; a longer word has a line of its own.
#[must_use]
pub fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let margin = " ".repeat(indent);
    let room = width.saturating_sub(indent).max(WORD_MAX);
    let mut lines = Vec::new();
    for paragraph in plain(text).lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && columns(&line) + 1 + columns(word) > room {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.iter().map(|line| format!("{margin}{line}").trim_end().to_owned() + "\n").collect()
}

/// Columns a text takes, counting wide (East Asian) characters twice.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| if c >= '\u{1100}' && !('\u{2000}'..='\u{2e7f}').contains(&c) { 2 } else { 1 }).sum()
}

/// Lines short enough for the table's arithmetic, which counts columns in 16 bits and ends the program when they overflow.
fn bounded(cell: &str) -> String {
    if cell.lines().all(|line| line.len() <= LINE_MAX) {
        return cell.to_owned();
    }
    let mut text = String::with_capacity(cell.len() + cell.len() / LINE_MAX + 1);
    let mut length = 0;
    for c in cell.chars() {
        // A space is the better place to break, from the second half of the line on.
        let full = length >= LINE_MAX || (c == ' ' && length >= LINE_MAX / 2);
        if full && c != '\n' {
            text.push('\n');
        }
        length = if full || c == '\n' { 0 } else { length + 1 };
        if !(full && c == ' ') {
            text.push(c);
        }
    }
    text
}

fn longest_word(text: &str) -> usize {
    text.split_whitespace().map(columns).max().unwrap_or(1)
}

/// Colour for words that carry a warning; the words say the same without it.
fn coloured(cell: &str, style: Style) -> Cell {
    let made = Cell::new(cell);
    let urgent = ALARMING.iter().any(|word| cell.starts_with(word));
    if style.colour && urgent { made.fg(Color::Red) } else { made }
}

/// Beginnings of cells that are coloured.
const ALARMING: [&str; 7] = ["timeout", "unreachable", "untrusted", "refused", "on-hold", "stopped", "severe"];
/// Spaces between columns.
const GAP: u16 = 2;
/// Characters in one line of a cell before it is broken: far more than any terminal has columns.
const LINE_MAX: usize = 2_000;
/// Longer runs without a space are not words; they are broken.
const WORD_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { colour: false, width: 80 };

    #[test]
    fn a_drug_a_dose_and_a_code_are_never_cut() {
        let row = vec![
            "Levothyroxine sodium 50microgram tablets".to_owned(),
            "Take one in the morning before food and not with calcium or iron".to_owned(),
            "active".to_owned(),
            "1382601000000107".to_owned(),
            "Y91001 Borough GP practice, Duty doctor, a very long author role indeed, also at VL901".to_owned(),
        ];
        let text = grid(&["MEDICINE", "DOSE", "STATUS", "CODE", "SOURCE"], std::slice::from_ref(&row), PLAIN);
        for word in row.iter().flat_map(|cell| cell.split_whitespace()) {
            assert!(text.contains(word), "{word} is cut in\n{text}");
        }
        assert!(text.lines().all(|line| columns(line) <= 80), "{text}");
    }

    #[test]
    fn cells_are_made_plain_and_short_rows_are_allowed() {
        let text = grid(&["A", "B"], &[vec!["\u{1b}[31mred".to_owned()], vec!["x".repeat(100_000)]], PLAIN);
        assert!(!text.contains('\u{1b}'));
        assert_eq!(text.matches('x').count(), 100_000);
        assert_eq!(grid(&[], &[], PLAIN), "");
    }

    #[test]
    fn colour_is_used_only_where_it_may_be() {
        let rows = [vec!["timeout".to_owned()]];
        assert!(!grid(&["OUTCOME"], &rows, PLAIN).contains('\u{1b}'));
        assert!(grid(&["OUTCOME"], &rows, Style { colour: true, width: 80 }).contains('\u{1b}'));
    }

    #[test]
    fn text_wraps_between_words_and_keeps_its_lines() {
        let text = wrapped("one two three\nfour", 2, 0);
        assert_eq!(text, "  one two three\n  four\n");
        let long = wrapped(&"word ".repeat(100), 4, 80);
        assert!(long.lines().all(|line| line.starts_with("    word") && line.len() <= 80));
    }
}
