use super::*;

fn asked(family: &str, born: (i16, i8, i8), postcode: Option<&str>) -> Patient {
    Patient {
        nhs_number: "9990010013".parse().unwrap(),
        birth_date: Date::new(born.0, born.1, born.2).unwrap(),
        family: family.to_owned(),
        postcode: postcode.map(str::to_owned),
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
        superseded_by: None,
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
