//! Text of records inside HTML: escaped, unable to act, and unable to turn its neighbours around.

use maud::{Markup, PreEscaped, Render, html};

use super::super::plain::plain;

/// Text from a record or another organisation. It is made harmless as for a terminal ([`plain()`]), escaped, and set apart
/// (`<bdi>`) where it is written from right to left, so that a number beside it keeps its place (Unicode UAX #9).
pub(super) struct Said<'a>(pub(super) &'a str);

impl Render for Said<'_> {
    fn render_to(&self, buffer: &mut String) {
        let text = plain(self.0);
        let set_apart = text.chars().any(from_right_to_left);
        if set_apart {
            PreEscaped("<bdi>").render_to(buffer);
        }
        text.as_ref().render_to(buffer);
        if set_apart {
            PreEscaped("</bdi>").render_to(buffer);
        }
    }
}

/// A date in words, whose days do not break at their hyphens: `25-Oct-2026 to 01-Nov-2026`.
pub(super) fn dated(text: &str) -> Markup {
    html! {
        @for (index, word) in text.split(' ').enumerate() {
            @if index > 0 { " " }
            @if word.contains('-') { span.day { (Said(word)) } } @else { (Said(word)) }
        }
    }
}

/// The text as a CSS string (CSS Syntax, section 4.3.5) that is harmless inside `<style>` too: letters, digits and spaces stand
/// as they are, a line break as a space, everything else as an escape of its number with the space that ends it.
pub(super) fn css_string(text: &str) -> String {
    let text = plain(text);
    let set_apart = text.chars().any(from_right_to_left);
    let mut made = String::with_capacity(text.len() + 2);
    made.push('"');
    if set_apart {
        made.push_str(FIRST_STRONG_ISOLATE);
    }
    for c in text.chars() {
        match c {
            '\n' => made.push(' '),
            c if c.is_alphanumeric() || matches!(c, ' ' | '-' | '.' | ',' | ':') => made.push(c),
            c => made.push_str(&format!("\\{:x} ", u32::from(c))),
        }
    }
    if set_apart {
        made.push_str(POP_ISOLATE);
    }
    made.push('"');
    made
}

/// Letters of the scripts that run from right to left: Hebrew to Arabic Extended, their presentation forms, and the blocks
/// that Unicode keeps for such scripts.
fn from_right_to_left(c: char) -> bool {
    matches!(
        c,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}'
    )
}

/// What follows is set apart, in the direction of its first letter.
const FIRST_STRONG_ISOLATE: &str = "\\2068 ";
/// End of what is set apart.
const POP_ISOLATE: &str = "\\2069 ";
