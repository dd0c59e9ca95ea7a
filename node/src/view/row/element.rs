//! Reading FHIR JSON that may have anything in it: every function answers "nothing" for a missing or wrongly typed element.

use std::collections::BTreeSet;

use careweave_protocol::desk::view::Identifier;
use careweave_protocol::record::Coding;
use serde_json::Value;

/// A `CodeableConcept` or `Coding`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Concept {
    /// What the writer wrote, else a display, else the code.
    pub text: String,
    /// Its codes.
    pub codings: Vec<Coding>,
}

/// The trimmed text at a JSON pointer, when there is some.
#[must_use]
pub fn text(json: &Value, pointer: &str) -> Option<String> {
    let text = at(json, pointer)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The first of several pointers with text.
#[must_use]
pub fn first_text(json: &Value, pointers: &[&str]) -> Option<String> {
    pointers.iter().find_map(|pointer| text(json, pointer))
}

/// The list at a JSON pointer; a single object where a list belongs counts as a list of one.
#[must_use]
pub fn list<'a>(json: &'a Value, pointer: &str) -> &'a [Value] {
    match at(json, pointer) {
        Some(Value::Array(items)) => items,
        Some(object @ Value::Object(_)) => std::slice::from_ref(object),
        _ => &[],
    }
}

/// The concept at a JSON pointer.
#[must_use]
pub fn concept(json: &Value, pointer: &str) -> Option<Concept> {
    let value = at(json, pointer)?;
    let codings: Vec<Coding> = if value.get("code").is_some_and(Value::is_string) {
        coding(value).into_iter().collect()
    } else {
        list(value, "/coding").iter().filter_map(coding).collect()
    };
    let text = text(value, "/text")
        .or_else(|| codings.iter().find_map(|c| c.display.clone()))
        .or_else(|| codings.first().map(|c| format!("code {}", c.code)))?;
    Some(Concept { text, codings })
}

/// Every concept of a list, a single one counting as a list of one.
#[must_use]
pub fn concepts(json: &Value, pointer: &str) -> Vec<Concept> {
    list(json, pointer).iter().filter_map(|item| concept(item, "")).collect()
}

/// Texts of every concept of a list, joined.
#[must_use]
pub fn concept_texts(json: &Value, pointer: &str) -> Option<String> {
    joined(concepts(json, pointer).into_iter().map(|c| c.text), ", ")
}

/// First code of the concept at a pointer, as in a status.
#[must_use]
pub fn code(json: &Value, pointer: &str) -> Option<String> {
    let concept = concept(json, pointer)?;
    Some(concept.codings.into_iter().next().map_or(concept.text, |c| c.code))
}

/// What a reference shows: its display, else the identifier it names.
#[must_use]
pub fn reference(json: &Value, pointer: &str) -> Option<String> {
    let value = at(json, pointer)?;
    text(value, "/display").or_else(|| text(value, "/identifier/value"))
}

/// `Quantity` as written, with comparator: value, unit.
#[must_use]
pub fn quantity(json: &Value, pointer: &str) -> Option<(String, Option<String>)> {
    let value = at(json, pointer)?;
    let number = value.get("value").and_then(number)?;
    let comparator = text(value, "/comparator").unwrap_or_default();
    Some((format!("{comparator}{number}"), first_text(value, &["/unit", "/code"])))
}

/// A quantity with its unit in one text.
#[must_use]
pub fn quantity_text(json: &Value, pointer: &str) -> Option<String> {
    let (value, unit) = quantity(json, pointer)?;
    Some(unit.map_or_else(|| value.clone(), |unit| format!("{value} {unit}")))
}

/// A `Range` or `referenceRange` entry as `low to high`.
#[must_use]
pub fn range_text(json: &Value, pointer: &str) -> Option<String> {
    let value = at(json, pointer)?;
    match (quantity_text(value, "/low"), quantity_text(value, "/high")) {
        (Some(low), Some(high)) => Some(format!("{low} to {high}")),
        (Some(low), None) => Some(format!("from {low}")),
        (None, Some(high)) => Some(format!("up to {high}")),
        (None, None) => text(value, "/text"),
    }
}

/// `value[x]` of an observation, answer or characteristic: value and unit.
#[must_use]
pub fn any_value(json: &Value) -> Option<(String, Option<String>)> {
    let plain = |value: String| (value, None);
    if let Some(found) = quantity(json, "/valueQuantity") {
        return Some(found);
    }
    if let Some(found) = concept(json, "/valueCodeableConcept").or_else(|| concept(json, "/valueCoding")) {
        return Some(plain(found.text));
    }
    if let Some(found) = first_text(json, TEXT_VALUES) {
        return Some(plain(found));
    }
    for pointer in ["/valueInteger", "/valueDecimal"] {
        if let Some(found) = at(json, pointer).and_then(number) {
            return Some(plain(found));
        }
    }
    if let Some(found) = json.get("valueBoolean").and_then(Value::as_bool) {
        return Some(plain(if found { "yes" } else { "no" }.to_owned()));
    }
    if let Some(found) = range_text(json, "/valueRange") {
        return Some(plain(found));
    }
    if let (Some(a), Some(b)) =
        (quantity_text(json, "/valueRatio/numerator"), quantity_text(json, "/valueRatio/denominator"))
    {
        return Some(plain(format!("{a} / {b}")));
    }
    if let Some(start) = text(json, "/valuePeriod/start") {
        let end = text(json, "/valuePeriod/end").unwrap_or_default();
        return Some(plain(format!("{start} to {end}")));
    }
    if let Some(found) = reference(json, "/valueReference") {
        return Some(plain(found));
    }
    if let Some(found) = text(json, "/valueAttachment/title") {
        return Some(plain(found));
    }
    if json.get("valueSampledData").is_some() {
        return Some(plain("sampled data, not shown here".to_owned()));
    }
    concept(json, "/dataAbsentReason").map(|reason| plain(format!("no value: {}", reason.text)))
}

/// A number as written, or a text where a number belongs.
#[must_use]
pub fn number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    }
}

/// Business identifiers with a system and a value, each once, NHS numbers left out: they tell the person and not the record.
#[must_use]
pub fn identifiers(json: &Value) -> Vec<Identifier> {
    let mut found = BTreeSet::new();
    for pointer in ["/identifier", "/masterIdentifier"] {
        for item in list(json, pointer) {
            if let (Some(system), Some(value)) = (text(item, "/system"), text(item, "/value"))
                && system != careweave_protocol::record::code::NHS_NUMBER
            {
                found.insert(Identifier { system, value });
            }
        }
    }
    found.into_iter().collect()
}

/// Words of an XHTML narrative or an HTML attachment: tags dropped, blocks on their own line, entities decoded.
#[must_use]
pub fn words_of_html(html: &str) -> String {
    let mut words = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        words.push_str(before);
        let Some((tag, after)) = after.split_once('>') else {
            rest = "";
            break;
        };
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        if BLOCKS.contains(&name.to_ascii_lowercase().as_str()) {
            words.push('\n');
        } else if name.eq_ignore_ascii_case("td") || name.eq_ignore_ascii_case("th") {
            words.push(' ');
        }
        rest = after;
    }
    words.push_str(rest);
    for (entity, character) in ENTITIES {
        words = words.replace(entity, character);
    }
    let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// The texts joined, when there are any.
#[must_use]
pub fn joined(texts: impl IntoIterator<Item = String>, separator: &str) -> Option<String> {
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    (!texts.is_empty()).then(|| texts.join(separator))
}

fn coding(value: &Value) -> Option<Coding> {
    Some(Coding {
        system: text(value, "/system").unwrap_or_default(),
        code: text(value, "/code")?,
        display: text(value, "/display"),
    })
}

const TEXT_VALUES: &[&str] = &["/valueString", "/valueDateTime", "/valueDate", "/valueTime", "/valueUri"];
const BLOCKS: &[&str] = &["p", "br", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "hr"];
/// `&amp;` last, so that what it uncovers is not decoded a second time.
const ENTITIES: &[(&str, &str)] = &[
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&apos;", "'"),
    ("&#39;", "'"),
    ("&nbsp;", " "),
    ("&#160;", " "),
    ("&amp;", "&"),
];

/// The element at a path such as `/code/coding/0`. FHIR names hold no `/` or `~`, so nothing is escaped, and nothing need be
/// copied to look: `Value::pointer` does that for each step.
pub fn at<'a>(json: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').skip(1).try_fold(json, |value, step| match value {
        Value::Object(fields) => fields.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wrongly_typed_elements_read_as_nothing() {
        let odd = json!({"code": 7, "list": "x", "q": {"value": {}}, "ref": [1], "text": {"a": 1}});
        assert_eq!(text(&odd, "/code"), None);
        assert_eq!(concept(&odd, "/code"), None);
        assert!(list(&odd, "/list").is_empty());
        assert_eq!(quantity(&odd, "/q"), None);
        assert_eq!(reference(&odd, "/ref"), None);
        assert_eq!(any_value(&odd), None);
        assert!(identifiers(&json!({"identifier": [1, null, {"system": 4}]})).is_empty());
    }

    #[test]
    fn values_are_shown_with_comparator_and_unit() {
        for (json, shown) in [
            (json!({"valueQuantity": {"value": 4.1, "unit": "mmol/L"}}), ("4.1", Some("mmol/L"))),
            (json!({"valueQuantity": {"value": 0.1, "comparator": "<", "code": "ug/L"}}), ("<0.1", Some("ug/L"))),
            (json!({"valueInteger": 3}), ("3", None)),
            (json!({"valueBoolean": false}), ("no", None)),
            (json!({"valueCodeableConcept": {"coding": [{"code": "260385009"}]}}), ("code 260385009", None)),
            (json!({"valueRange": {"low": {"value": 1}, "high": {"value": 2}}}), ("1 to 2", None)),
            (json!({"dataAbsentReason": {"text": "refused"}}), ("no value: refused", None)),
        ] {
            let (value, unit) = any_value(&json).unwrap();
            assert_eq!((value.as_str(), unit.as_deref()), shown);
        }
    }

    #[test]
    fn narrative_becomes_plain_words() {
        assert_eq!(
            words_of_html(
                "<div xmlns=\"x\"><p>BP &lt; 90 &amp;amp; falling</p><ul><li>one</li><li>two</li></ul></div>"
            ),
            "BP < 90 &amp; falling\none\ntwo"
        );
        assert_eq!(words_of_html("open <b"), "open");
        assert_eq!(words_of_html("2 > 1"), "2 > 1");
    }
}
