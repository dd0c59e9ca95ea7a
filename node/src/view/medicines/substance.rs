//! Which substances a product contains, and how strong it is. A small map of our own; the rest goes by the product's name. A
//! deployer's dm+d release ([`super::dmd`]) is asked first when there is one.

use careweave_protocol::record::Coding;

use super::dmd::Dmd;
use crate::view::terminology;

/// Substances of an entry's product: by its codes, else by its name, else by the name in front of the strength. Where code and
/// name contradict one another it is compared under both, so that neither is missed.
#[must_use]
pub fn substances(codings: &[Coding], product: &str, dmd: Option<&Dmd>) -> Vec<String> {
    let codes = codings.iter().filter(|coding| terminology::is_snomed(coding));
    let mut found: Vec<String> = codes.filter_map(|coding| of_code(&coding.code, dmd)).flatten().collect();
    match of_name(product, dmd) {
        Some(named) => found.extend(named),
        None if found.is_empty() => found.push(bare_name(&product.trim().to_lowercase())),
        None => {}
    }
    found.sort();
    found.dedup();
    found
}

/// Substances of the product or substance with this code: by the deployer's release, else by the map.
#[must_use]
pub fn of_code(code: &str, dmd: Option<&Dmd>) -> Option<Vec<String>> {
    let known = || MAP.iter().find(|known| known.codes.contains(&code)).map(Known::names);
    dmd.and_then(|release| release.of_code(code)).map(<[String]>::to_vec).or_else(known)
}

/// Substances of the product of this name: by the deployer's release, else by the map, where the name begins with one known.
#[must_use]
pub fn of_name(product: &str, dmd: Option<&Dmd>) -> Option<Vec<String>> {
    let released = dmd.and_then(|release| release.of_name(product)).map(<[String]>::to_vec);
    released.or_else(|| by_name(&product.trim().to_lowercase()).map(Known::names))
}

/// Every substance of the map that the words mention, sorted.
#[must_use]
pub fn mentioned(words: &str) -> Vec<String> {
    let lower = words.to_lowercase();
    let named = MAP.iter().filter(|known| known.names.iter().any(|name| terminology::mentions(&lower, name)));
    let mut found: Vec<String> = named.flat_map(Known::names).collect();
    found.sort();
    found.dedup();
    found
}

/// The name by which a substance is grouped, so that a release's "Bisoprolol fumarate" and the map's "bisoprolol" are one.
#[must_use]
pub fn canonical(substance: &str) -> String {
    let name = substance.trim().to_lowercase();
    match by_name(&name).map(|known| known.substances) {
        Some([one]) => (*one).to_owned(),
        _ => bare_name(&name),
    }
}

fn by_name(name: &str) -> Option<&'static Known> {
    let starts = |word: &str| {
        name.strip_prefix(word).is_some_and(|rest| rest.chars().next().is_none_or(|next| !next.is_alphanumeric()))
    };
    MAP.iter().find(|known| known.names.iter().any(|word| starts(word)))
}

/// Strength of one unit in micrograms, or in international units counted as they are; `None` for a concentration, for a
/// combination, and where there is none.
#[must_use]
pub fn strength(product: &str) -> Option<f64> {
    let product = product.to_lowercase();
    let digits = product.find(|c: char| c.is_ascii_digit())?;
    let (_, rest) = product.split_at_checked(digits)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(rest.len());
    let (number, rest) = rest.split_at_checked(end)?;
    let number: f64 = number.replace(',', "").parse().ok()?;
    let rest = rest.trim_start();
    let unit: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    let after = rest.get(unit.len()..)?.trim_start();
    if after.starts_with('/') || after.starts_with('%') {
        return None;
    }
    let factor = match unit.as_str() {
        "microgram" | "micrograms" | "mcg" | "unit" | "units" => 1.0,
        "mg" => 1e3,
        "g" => 1e6,
        _ => return None,
    };
    Some(number * factor)
}

/// The name in front of the strength, without salts and release forms that do not change the substance.
pub(super) fn bare_name(name: &str) -> String {
    let words = name.split_whitespace().take_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
    // A salt's name in front is the substance itself: potassium chloride, sodium bicarbonate.
    let words: Vec<&str> =
        words.enumerate().filter(|(place, word)| *place == 0 || !SALTS.contains(word)).map(|(_, word)| word).collect();
    if words.is_empty() { name.to_owned() } else { words.join(" ") }
}

struct Known {
    substances: &'static [&'static str],
    /// SNOMED CT substance and dm+d product codes.
    codes: &'static [&'static str],
    /// Product names begin with these: the substance, and brands.
    names: &'static [&'static str],
}

impl Known {
    fn names(&self) -> Vec<String> {
        self.substances.iter().map(|substance| (*substance).to_owned()).collect()
    }
}

const fn known(
    substances: &'static [&'static str],
    codes: &'static [&'static str],
    names: &'static [&'static str],
) -> Known {
    Known { substances, codes, names }
}

const SALTS: [&str; 14] = [
    "sodium",
    "potassium",
    "hydrochloride",
    "sulfate",
    "sulphate",
    "maleate",
    "mesilate",
    "besilate",
    "fumarate",
    "tartrate",
    "citrate",
    "phosphate",
    "acetate",
    "hydrobromide",
];

const MAP: &[Known] = &[
    known(&["apixaban"], &["42206511000001102"], &["apixaban", "eliquis"]),
    known(&["rivaroxaban"], &[], &["rivaroxaban", "xarelto"]),
    known(&["edoxaban"], &[], &["edoxaban", "lixiana"]),
    known(&["warfarin"], &["42217611000001104"], &["warfarin", "marevan"]),
    known(&["clopidogrel"], &["386952008"], &["clopidogrel", "plavix"]),
    known(&["bisoprolol"], &["386868003"], &["bisoprolol", "cardicor"]),
    known(&["furosemide"], &["387475002"], &["furosemide", "frusemide", "lasix"]),
    known(&["ramipril"], &["386872004"], &["ramipril", "tritace"]),
    known(&["amlodipine"], &["386864001"], &["amlodipine", "istin"]),
    known(&["metformin"], &["325278007"], &["metformin", "glucophage"]),
    known(&["gliclazide"], &["395731001"], &["gliclazide", "diamicron"]),
    known(&["atorvastatin"], &["373444002"], &["atorvastatin", "lipitor"]),
    known(&["donepezil"], &["386855006"], &["donepezil", "aricept"]),
    known(&["paracetamol"], &["322236009"], &["paracetamol", "acetaminophen", "panadol", "calpol"]),
    known(&["codeine", "paracetamol"], &[], &["co-codamol", "solpadol", "zapain", "kapake"]),
    known(&["dihydrocodeine", "paracetamol"], &[], &["co-dydramol"]),
    known(&["codeine"], &[], &["codeine"]),
    known(&["naproxen"], &["372588000"], &["naproxen", "naprosyn"]),
    known(&["ibuprofen"], &[], &["ibuprofen", "nurofen", "brufen"]),
    known(&["trimethoprim"], &["41956211000001109"], &["trimethoprim"]),
    known(&["sulfamethoxazole", "trimethoprim"], &[], &["co-trimoxazole", "septrin"]),
    known(&["lithium"], &["13177001000001108"], &["lithium", "priadel", "camcolit"]),
    known(&["sertraline"], &["372594008"], &["sertraline", "lustral"]),
    known(&["mirtazapine"], &["386847004"], &["mirtazapine", "zispin"]),
    known(&["olanzapine"], &["386849001"], &["olanzapine", "zyprexa"]),
    known(&["clozapine"], &[], &["clozapine", "clozaril", "denzapine", "zaponex"]),
    known(&["levothyroxine"], &["710809001"], &["levothyroxine", "thyroxine"]),
    known(&["omeprazole"], &["387137007"], &["omeprazole", "losec"]),
    known(&["levetiracetam"], &["387000003"], &["levetiracetam", "keppra"]),
    known(&["alendronic acid"], &["391730008"], &["alendronic acid", "alendronate", "fosamax"]),
    known(&["methotrexate"], &["387381009"], &["methotrexate", "maxtrex", "metoject"]),
    known(&["ferrous fumarate"], &["41984711000001104"], &["ferrous fumarate"]),
    known(&["amoxicillin"], &["372687004"], &["amoxicillin", "amoxil"]),
    known(&["amoxicillin", "clavulanic acid"], &[], &["co-amoxiclav", "augmentin"]),
    known(&["salbutamol"], &["39113311000001107"], &["salbutamol", "ventolin", "salamol"]),
    known(&["insulin glargine"], &["411529005"], &["insulin glargine", "lantus", "toujeo", "abasaglar"]),
];

#[cfg(test)]
mod tests {
    use careweave_protocol::record::code::SNOMED;

    use super::*;

    #[test]
    fn products_of_one_substance_are_told_by_code_brand_or_name() {
        for (code, product, found) in [
            (Some("42206511000001102"), "whatever the feed calls it", vec!["apixaban"]),
            (None, "Eliquis 5mg tablets", vec!["apixaban"]),
            (None, "Bisoprolol fumarate 2.5mg tablets", vec!["bisoprolol"]),
            (None, "Ferrous fumarate 210mg tablets", vec!["ferrous fumarate"]),
            (None, "Co-codamol 30mg/500mg tablets", vec!["codeine", "paracetamol"]),
            (None, "Levothyroxine sodium 50microgram tablets", vec!["levothyroxine"]),
            (None, "Lithiumine 5mg", vec!["lithiumine"]),
            (None, "Quetiapine fumarate 25mg tablets", vec!["quetiapine"]),
            (None, "Potassium chloride 600mg tablets", vec!["potassium chloride"]),
            (None, "5-HTP", vec!["5-htp"]),
            (None, "", vec![""]),
        ] {
            let coding = |code: &str| Coding { system: SNOMED.to_owned(), code: code.to_owned(), display: None };
            let codings: Vec<Coding> = code.map(coding).into_iter().collect();
            assert_eq!(substances(&codings, product, None), found, "{product}");
        }
    }

    #[test]
    fn a_code_of_another_system_says_nothing() {
        let local = Coding { system: "urn:local".to_owned(), code: "42206511000001102".to_owned(), display: None };
        assert_eq!(substances(&[local], "Oddicine 5mg", None), ["oddicine"]);
    }

    #[test]
    fn a_code_and_a_name_that_contradict_one_another_are_both_kept() {
        let coding = Coding { system: SNOMED.to_owned(), code: "42206511000001102".to_owned(), display: None };
        assert_eq!(substances(&[coding], "Warfarin 3mg tablets", None), ["apixaban", "warfarin"]);
    }

    #[test]
    fn words_mention_substances_wherever_they_stand() {
        assert_eq!(mentioned("Blood thinner (Warfarin, was Eliquis)"), ["apixaban", "warfarin"]);
        assert!(mentioned("Peppermint").is_empty());
        assert_eq!(canonical("Bisoprolol fumarate"), "bisoprolol");
        assert_eq!(canonical("Quetiapine fumarate"), "quetiapine");
    }

    #[test]
    fn strength_is_read_only_where_it_is_plain() {
        for (product, micrograms) in [
            ("Furosemide 40mg tablets", Some(40_000.0)),
            ("Bisoprolol 2.5mg tablets", Some(2_500.0)),
            ("Levothyroxine sodium 50microgram tablets", Some(50.0)),
            ("Amoxicillin 1 g powder", Some(1_000_000.0)),
            ("Paracetamol 1,000mg", Some(1_000_000.0)),
            ("Insulin glargine 100units/ml solution", None),
            ("Co-codamol 30mg/500mg tablets", None),
            ("Hydrocortisone 1% cream", None),
            ("Aspirin", None),
            ("Vitamin B12", None),
        ] {
            assert_eq!(strength(product), micrograms, "{product}");
        }
    }
}
