//! JSON for programs. A view is printed as its own fields, which are stable and documented.

use serde::Serialize;

use crate::error::CliError;

/// An error as JSON: `{"error":{"code","cause","message","hint"}}`.
#[derive(Debug, Serialize)]
pub struct ErrorReport<'a> {
    error: ErrorFields<'a>,
}

#[derive(Debug, Serialize)]
struct ErrorFields<'a> {
    code: &'a str,
    cause: Option<&'a str>,
    message: &'a str,
    hint: Option<&'a str>,
}

impl<'a> From<&'a CliError> for ErrorReport<'a> {
    fn from(error: &'a CliError) -> Self {
        Self {
            error: ErrorFields {
                code: error.code,
                cause: error.cause.as_deref(),
                message: &error.message,
                hint: error.hint.as_deref(),
            },
        }
    }
}

/// A value as indented JSON with a line end. JSON escapes the C0 control characters itself; DEL, the C1 control characters
/// and direction overrides, which it would let through to a terminal, are escaped too.
///
/// # Errors
/// When the value has no JSON form, such as a map whose keys are no texts.
pub fn text<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string_pretty(value)?;
    let mut safe = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}' => {
                safe.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => safe.push(c),
        }
    }
    safe.push('\n');
    Ok(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_four_fields_always() {
        let error = CliError::failed("not-reachable", "node is not reachable").hint("start it");
        let value: serde_json::Value = serde_json::from_str(&text(&ErrorReport::from(&error)).unwrap()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"error": {"code": "not-reachable", "cause": null, "message": "node is not reachable", "hint": "start it"}})
        );
    }

    #[test]
    fn json_carries_every_character_and_shows_none_that_acts() {
        let odd = "a\u{1b}[2J\u{9b}\u{202e}\u{7f}王";
        let printed = text(odd).unwrap();
        assert!(!printed.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'));
        assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), odd);
    }
}
