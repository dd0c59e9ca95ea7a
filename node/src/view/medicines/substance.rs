//! Which substances a product contains, and how strong it is. A small map of our own; the rest goes by the product's name. A
//! deployer's terminology release takes its place when there is one.

/// Substances of a product, by code or by name; by the name in front of the strength where the map does not know it.
#[must_use]
pub fn substances(codes: &[&str], product: &str) -> Vec<String> {
    let name = product.trim().to_lowercase();
    let by_code = MAP.iter().find(|known| known.codes.iter().any(|code| codes.contains(code)));
    let starts = |word: &str| {
        name.strip_prefix(word).is_some_and(|rest| rest.chars().next().is_none_or(|next| !next.is_alphanumeric()))
    };
    let by_name = || MAP.iter().find(|known| known.names.iter().any(|word| starts(word)));
    match by_code.or_else(by_name) {
        Some(known) => known.substances.iter().map(|substance| (*substance).to_owned()).collect(),
        None => vec![bare_name(&name)],
    }
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
fn bare_name(name: &str) -> String {
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
    use super::*;

    #[test]
    fn products_of_one_substance_are_told_by_code_brand_or_name() {
        for (codes, product, found) in [
            (vec!["42206511000001102"], "whatever the feed calls it", vec!["apixaban"]),
            (vec![], "Eliquis 5mg tablets", vec!["apixaban"]),
            (vec![], "Bisoprolol fumarate 2.5mg tablets", vec!["bisoprolol"]),
            (vec![], "Ferrous fumarate 210mg tablets", vec!["ferrous fumarate"]),
            (vec![], "Co-codamol 30mg/500mg tablets", vec!["codeine", "paracetamol"]),
            (vec![], "Levothyroxine sodium 50microgram tablets", vec!["levothyroxine"]),
            (vec![], "Lithiumine 5mg", vec!["lithiumine"]),
            (vec![], "Quetiapine fumarate 25mg tablets", vec!["quetiapine"]),
            (vec![], "Potassium chloride 600mg tablets", vec!["potassium chloride"]),
            (vec![], "5-HTP", vec!["5-htp"]),
            (vec![], "", vec![""]),
        ] {
            assert_eq!(substances(&codes, product), found, "{product}");
        }
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
