//! Text of records on a terminal: nothing in it may act on the terminal or mislead the eye.

use std::borrow::Cow;

/// The text with line breaks kept and everything else that acts made visible or harmless: control characters and escape
/// sequences, direction overrides (Unicode UAX #9), invisible and tag characters, and towers of combining marks.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b == b'\n' || (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut marks = 0usize;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        match c {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => shown.push('\n'),
            '\t' | '\u{a0}' => shown.push(' '),
            c if c.is_control() || acts(c) => shown.push(char::REPLACEMENT_CHARACTER),
            '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => {}
            _ if marks > MARKS_MAX => {}
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Direction marks, embeddings, overrides and isolates; interlinear annotation; tags; variation selectors beyond the first.
fn acts(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Combining diacritical marks in their blocks.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
    )
}

/// Marks on one letter: Vietnamese and Yoruba need two, phonetic notation three.
const MARKS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_record_acts_on_the_terminal() {
        for (text, shown) in [
            ("plain text\nsecond line", "plain text\nsecond line"),
            ("red \u{1b}[31malert\u{1b}[0m", "red \u{fffd}[31malert\u{fffd}[0m"),
            ("\u{1b}]0;title\u{7}", "\u{fffd}]0;title\u{fffd}"),
            ("8-bit \u{9b}2J", "8-bit \u{fffd}2J"),
            ("bell\u{7} back\u{8} null\0 del\u{7f}", "bell\u{fffd} back\u{fffd} null\u{fffd} del\u{fffd}"),
            ("over\rwrite", "over\nwrite"),
            ("dos\r\nline", "dos\nline"),
            ("tab\there", "tab here"),
            ("take \u{202e}gm 05\u{202c}", "take \u{fffd}gm 05\u{fffd}"),
            ("zero\u{200b}width", "zerowidth"),
            ("tag\u{e0041}", "tag\u{fffd}"),
            ("Adébáyọ̀ Nguyễn 王 شاه", "Adébáyọ̀ Nguyễn 王 شاه"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn towers_of_marks_are_cut_to_what_a_language_needs() {
        let tower = format!("e{}x", "\u{301}".repeat(5000));
        assert_eq!(plain(&tower).chars().count(), 2 + MARKS_MAX);
    }
}
