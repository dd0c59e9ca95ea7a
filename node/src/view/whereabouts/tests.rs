use super::*;

fn telling(phrases: &[&str]) -> Telling {
    let words = |phrase: &str| phrase.split_whitespace().map(str::to_ascii_lowercase).collect();
    Telling { phrases: phrases.iter().map(|phrase| words(phrase)).collect() }
}

#[test]
fn what_tells_is_withheld_wherever_it_stands_and_as_it_is_written() {
    let telling = telling(&["Lavender Court care home", "VL901", "020 7946 0901", "7 Larch Row"]);
    for (text, left) in [
        ("Back to Lavender Court Care Home today", "Back to [withheld] today"),
        ("LAVENDER COURT\nCARE  HOME; again lavender court care home.", "[withheld]; again [withheld]."),
        ("VL901-17", "[withheld]-17"),
        ("XVL9012", "XVL9012"),
        ("ring 020 7946 0901", "ring [withheld]"),
        ("Seen at 7 Larch Row, door code kept", "Seen at [withheld], door code kept"),
        ("17 Larch Rowan", "17 Larch Rowan"),
        ("Lavender oil", "Lavender oil"),
        ("Éclair, VL901 ü", "Éclair, [withheld] ü"),
        ("", ""),
    ] {
        let mut text = text.to_owned();
        telling.withhold(&mut text);
        assert_eq!(text, left);
    }
}

#[test]
fn telephone_numbers_are_found_with_and_without_their_spaces() {
    assert_eq!(
        numbers("Duty desk, 020 7946 0901 or 07700900123"),
        ["020 7946 0901", "02079460901", "07700900123", "07700900123"]
    );
    assert!(numbers("12 Quay Road, flat 3").is_empty());
}
