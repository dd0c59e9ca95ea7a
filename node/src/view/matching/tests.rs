use super::*;

fn asked(family: &str, born: (i16, i8, i8), postcode: Option<&str>) -> Patient {
    Patient {
        nhs_number: "9990010013".parse().unwrap(),
        birth_date: Date::new(born.0, born.1, born.2).unwrap(),
        family: family.to_owned(),
        postcode: postcode.map(str::to_owned),
        other_numbers: Vec::new(),
    }
}

fn held(families: &[&str], born: Option<(i16, i8, i8)>) -> Demographics {
    Demographics {
        nhs_number: "9990010013".parse().unwrap(),
        birth_date: born.and_then(|(y, m, d)| Date::new(y, m, d)),
        families: families.iter().map(|f| (*f).to_owned()).collect(),
        given: vec!["Ada".to_owned()],
        gender: Some("female".to_owned()),
        address_line: None,
        postcode: Some("SE16 4AV".to_owned()),
        restricted: false,
        deceased: None,
        other_numbers: Vec::new(),
        number_changed: false,
        closed: false,
        invalidated: false,
    }
}

#[test]
fn family_names_are_compared_after_folding() {
    for (typed, held, same) in [
        ("okafor", "OKAFOR", true),
        ("O'Connell", "OConnell", true),
        ("O Connell", "O’Connell", true),
        ("O'Connell", "Connell", false),
        ("Adebayo", "Adébáyọ̀", true),
        ("Muller", "Müller", true),
        ("Mueller", "Müller", false),
        ("Sorensen", "Sørensen", true),
        ("Wojcik", "Wójcik", true),
        ("Yildiz", "Yıldız", true),
        ("Strauss", "Strauß", true),
        ("Brown Campbell", "Brown-Campbell", true),
        ("BrownCampbell", "Brown‑Campbell", true),
        ("Brown", "Brown-Campbell", false),
        ("van der Berg", "VAN DER BERG", true),
        ("Berg", "van der Berg", true),
        ("de la Cruz", "Cruz", true),
        ("de la Cruz", "van Cruz", false),
        ("van", "von", false),
        ("Van", "van", true),
        ("McAllister", "Mc Allister", true),
        ("McAllister", "Allister", false),
        ("McAllister", "MacAllister", false),
        ("St John", "St. John", true),
        ("Nguyễn", "Nguyen", true),
        ("Ali", "Alí", true),
        ("Ali", "Alia", false),
        ("ﬁsher", "Fisher", true),
        ("王", "王", true),
        ("王", "李", false),
        ("", "", false),
        ("-", "'", false),
        ("\u{301}", "\u{300}", false),
        ("Okafor\u{202e}", "Okafor", true),
    ] {
        assert_eq!(same_family(typed, held), same, "{typed} / {held}");
        assert_eq!(same_family(held, typed), same, "{held} / {typed}");
    }
}

#[test]
fn only_number_birth_date_and_family_name_together_are_certain() {
    let born = (1938, 3, 4);
    let reason = |r| Match::Probable(r);
    for (asked, held, result) in [
        (asked("Okafor", born, None), held(&["Okafor"], Some(born)), Match::Certain),
        (asked("Eze", born, None), held(&["Okafor", "Eze"], Some(born)), Match::Certain),
        (
            asked("Okafor", (1938, 4, 3), None),
            held(&["Okafor"], Some(born)),
            reason(ProbableReason::BirthDateTransposed),
        ),
        (asked("Eze", (1938, 4, 3), None), held(&["Okafor"], Some(born)), Match::None),
        (asked("Okafor", (1938, 3, 5), None), held(&["Okafor"], Some(born)), Match::None),
        (asked("Okafor", born, None), held(&["Okafor"], None), reason(ProbableReason::BirthDateUnknown)),
        (asked("Eze", born, None), held(&["Okafor"], None), Match::None),
        (asked("Eze", born, None), held(&["Okafor"], Some(born)), reason(ProbableReason::FamilyNameDiffers)),
        (
            asked("Eze", born, Some("se164av")),
            held(&["Okafor"], Some(born)),
            reason(ProbableReason::FamilyNameDiffersPostcodeAgrees),
        ),
        (asked("Okafor", born, Some("E1 1AA")), held(&["Okafor"], Some(born)), Match::Certain),
        (asked("Okafor", born, None), held(&[], Some(born)), reason(ProbableReason::FamilyNameDiffers)),
    ] {
        assert_eq!(match_patient(&asked, &held), result);
    }
}

#[test]
fn another_number_or_an_invalidated_one_never_matches() {
    let born = (1938, 3, 14);
    let mut other = held(&["Okafor"], Some(born));
    other.nhs_number = "9990380422".parse().unwrap();
    assert_eq!(match_patient(&asked("Okafor", born, None), &other), Match::None);
    let mut invalid = held(&["Okafor"], Some(born));
    invalid.invalidated = true;
    assert_eq!(match_patient(&asked("Okafor", born, None), &invalid), Match::None);
    assert_eq!(locate(&asked("Okafor", born, None), &[invalid]), Located::Doubtful(Doubt::Invalidated));
}

#[test]
fn gender_never_decides() {
    let born = (1938, 3, 14);
    let mut held = held(&["Okafor"], Some(born));
    held.gender = Some("male".to_owned());
    assert_eq!(match_patient(&asked("Okafor", born, None), &held), Match::Certain);
}

#[test]
fn a_holder_with_two_records_under_one_number_releases_neither() {
    let born = (1938, 3, 14);
    let question = asked("Okafor", born, None);
    let ada = held(&["Okafor"], Some(born));
    let other_birth = held(&["Okafor"], Some((1940, 1, 1)));
    for (held, result) in [
        (vec![], Located::NotHeld),
        (vec![ada.clone()], Located::One(0)),
        (vec![ada.clone(), ada.clone()], Located::Doubtful(Doubt::Ambiguous)),
        (vec![other_birth.clone(), ada.clone()], Located::Doubtful(Doubt::Contradicted)),
        (vec![other_birth], Located::Doubtful(Doubt::Contradicted)),
    ] {
        assert_eq!(locate(&question, &held), result);
    }
}

const FIRST: &str = "9990010013";
const SECOND: &str = "9990380422";
const THIRD: &str = "9990133484";

fn numbered(number: &str, links: &[&str]) -> Demographics {
    let mut held = held(&["Okafor"], Some((1938, 3, 14)));
    held.nhs_number = number.parse().unwrap();
    held.other_numbers = links.iter().map(|n| n.parse().unwrap()).collect();
    held
}

fn asked_with(others: &[&str]) -> Patient {
    let other_numbers = others.iter().map(|n| n.parse().unwrap()).collect();
    Patient { other_numbers, ..asked("Okafor", (1938, 3, 14), None) }
}

#[test]
fn records_under_both_numbers_of_one_person_are_both_theirs() {
    let (first, second, third) = (numbered(FIRST, &[]), numbered(SECOND, &[]), numbered(THIRD, &[]));
    let stranger = |number| Demographics { families: vec!["Eze".to_owned()], ..numbered(number, &[]) };
    for (question, candidates, result) in [
        // The asker knows of both numbers.
        (asked_with(&[SECOND]), vec![second.clone(), first.clone()], Ok(vec![1, 0])),
        (asked_with(&[SECOND]), vec![second.clone()], Ok(vec![0])),
        (asked_with(&[]), vec![second.clone(), first.clone()], Ok(vec![1])),
        // The holder does, by a link in either direction, or over a third.
        (asked_with(&[]), vec![first.clone(), numbered(SECOND, &[FIRST])], Ok(vec![0, 1])),
        (asked_with(&[]), vec![numbered(FIRST, &[SECOND]), second.clone()], Ok(vec![0, 1])),
        (asked_with(&[]), vec![numbered(SECOND, &[FIRST])], Ok(vec![0])),
        (
            asked_with(&[]),
            vec![numbered(FIRST, &[SECOND]), second.clone(), numbered(THIRD, &[SECOND])],
            Ok(vec![0, 1, 2]),
        ),
        (asked_with(&[THIRD]), vec![third, first.clone()], Ok(vec![1, 0])),
        // Two under one number stay doubtful, whichever it is.
        (asked_with(&[SECOND]), vec![first.clone(), first.clone(), second.clone()], Err(Doubt::Ambiguous)),
        (asked_with(&[SECOND]), vec![second.clone(), second.clone()], Err(Doubt::Ambiguous)),
        // Somebody else under the other number is somebody else; under the number asked it is a doubt.
        (asked_with(&[SECOND]), vec![first.clone(), stranger(SECOND)], Ok(vec![0])),
        (
            asked_with(&[SECOND]),
            vec![stranger(FIRST), second.clone()],
            Err(Doubt::Probable(ProbableReason::FamilyNameDiffers)),
        ),
        (asked_with(&[SECOND]), vec![stranger(SECOND)], Err(Doubt::Probable(ProbableReason::FamilyNameDiffers))),
    ] {
        assert_eq!(super::held(&question, &candidates), result, "{question:?}");
    }
    assert_eq!(match_patient(&asked_with(&[]), &numbered(SECOND, &[FIRST])), Match::Certain);
    assert_eq!(match_patient(&asked_with(&[SECOND]), &second), Match::Certain);
    assert_eq!(match_patient(&asked_with(&[]), &second), Match::None);
}

#[test]
fn no_number_is_reached_across_a_marker_and_an_invalidated_one_stops() {
    let marked = |number, links: &[&str]| Demographics { number_changed: true, ..numbered(number, links) };
    let invalid = |number| Demographics { invalidated: true, ..numbered(number, &[]) };
    for (question, candidates, result) in [
        (asked_with(&[SECOND]), vec![numbered(FIRST, &[]), marked(SECOND, &[])], Ok(vec![0])),
        (asked_with(&[SECOND]), vec![marked(FIRST, &[]), numbered(SECOND, &[FIRST])], Ok(vec![0])),
        (asked_with(&[]), vec![numbered(FIRST, &[SECOND]), marked(SECOND, &[FIRST])], Ok(vec![0])),
        (asked_with(&[SECOND]), vec![marked(SECOND, &[])], Ok(vec![])),
        (asked_with(&[SECOND]), vec![invalid(FIRST), numbered(SECOND, &[])], Err(Doubt::Invalidated)),
        (asked_with(&[SECOND]), vec![numbered(FIRST, &[]), invalid(SECOND)], Ok(vec![0])),
        (asked_with(&[SECOND]), vec![invalid(SECOND)], Err(Doubt::Invalidated)),
    ] {
        assert_eq!(super::held(&question, &candidates), result);
    }
    assert_eq!(match_patient(&asked_with(&[SECOND]), &marked(SECOND, &[FIRST])), Match::None);
    assert_eq!(match_patient(&asked_with(&[]), &marked(FIRST, &[])), Match::Certain);
}

#[test]
fn a_closed_registration_or_a_copy_that_says_so_is_no_second_person() {
    let closed = Demographics { closed: true, ..numbered(FIRST, &[]) };
    for (candidates, result) in [
        (vec![closed.clone(), numbered(FIRST, &[])], Ok(vec![1, 0])),
        (vec![closed.clone(), closed.clone()], Ok(vec![0, 1])),
        (vec![numbered(FIRST, &[FIRST]), numbered(FIRST, &[])], Ok(vec![1, 0])),
        (vec![numbered(FIRST, &[FIRST]), numbered(FIRST, &[]), numbered(FIRST, &[])], Err(Doubt::Ambiguous)),
    ] {
        assert_eq!(super::held(&asked_with(&[]), &candidates), result);
    }
}
