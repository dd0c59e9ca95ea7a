//! Who the people are: NHS numbers of the 999 test range, names of the neighbourhood, and the way each organisation spells them.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::organisation::{Organisation, Style};
use super::random::Random;

/// One synthetic person. The public fields are what `people.tsv` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Ten digits, 999 range, valid Modulus 11.
    pub nhs_number: String,
    /// As the practice holds it.
    pub birth_date: Date,
    /// Family name with its prefix, hyphens and diacritics.
    pub family: String,
    /// First given name.
    pub given: String,
    /// FHIR `administrative-gender`: `female` or `male`.
    pub gender: &'static str,
    /// ODS code of the registered practice.
    pub registered_practice: &'static str,
    /// What this person is for in the demonstration; empty for most of the crowd.
    pub note: String,
    /// Stable name of what is hard about this person ([`super::hard::HardPerson::case`]); empty for everybody else.
    pub case: &'static str,
    pub(super) middle: Option<String>,
    pub(super) address: Address,
    pub(super) telephone: String,
    pub(super) restricted: bool,
    pub(super) deceased: Option<Date>,
}

/// A London address with a postcode that is well formed and never issued: its last two letters include one the Post Office does not use
/// in inward codes (C, I, K, M, O, V).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) first_line: String,
    pub(super) locality: String,
    pub(super) postcode: String,
}

impl Person {
    /// Whole years at `date`.
    pub(super) fn age(&self, date: Date) -> i16 {
        let had_birthday = (date.month(), date.day()) >= (self.birth_date.month(), self.birth_date.day());
        date.year() - self.birth_date.year() - i16::from(!had_birthday)
    }

    /// FHIR `HumanName` as this organisation's system holds it.
    pub(super) fn name(&self, style: Style) -> Value {
        let mut given = vec![self.given.clone()];
        let mut family = self.family.clone();
        match style {
            Style::Full => given.extend(self.middle.clone()),
            Style::Abbreviated => {}
            Style::Capitals => {
                family = family.to_uppercase();
                given = given.iter().map(|name| name.to_uppercase()).collect();
            }
            Style::OneLine => family = family.replace('-', " "),
        }
        let text = format!("{} {}", given.join(" "), family);
        json!({"use": "official", "text": text, "family": family, "given": given})
    }

    /// FHIR `Address` as this organisation's system holds it.
    pub(super) fn address(&self, style: Style) -> Value {
        let Address { first_line, locality, postcode } = &self.address;
        match style {
            Style::Full => json!({
                "use": "home", "line": [first_line, locality], "city": "London", "postalCode": postcode, "country": "GBR"
            }),
            Style::Abbreviated => json!({
                "use": "home", "line": [abbreviate(first_line)], "district": locality, "city": "London", "postalCode": postcode
            }),
            Style::Capitals => json!({
                "use": "home", "line": [abbreviate(first_line).to_uppercase()], "city": "LONDON", "postalCode": postcode.replace(' ', "")
            }),
            Style::OneLine => json!({
                "use": "home", "text": format!("{first_line}, {locality}, London, {postcode}"),
                "line": [format!("{first_line}, {locality}")], "postalCode": postcode
            }),
        }
    }

    /// FHIR `ContactPoint`s; the hospital and the ambulance hold none.
    pub(super) fn telecom(&self, organisation: &Organisation) -> Option<Value> {
        matches!(organisation.style, Style::Full | Style::OneLine)
            .then(|| json!([{"system": "phone", "value": self.telephone, "use": "home"}]))
    }
}

/// The `index`th synthetic NHS number: ten digits from the 999 test range, valid Modulus 11, never one of the named patients' numbers (all of
/// which lie below 9991000000) and never in 9995000000 to 9995000099. Distinct for every index below [`NHS_NUMBER_CAPACITY`]; past it the numbers
/// begin again.
pub fn nhs_number(index: usize) -> String {
    let slot = index % SLOTS;
    let turn = (index / SLOTS) % TURNS;
    let mut tens = slot + FIRST_SLOT;
    if tens >= RESERVED_SLOT {
        tens += 1;
    }
    (0..10)
        .map(|unit| format!("999{tens:05}{unit}"))
        .filter_map(|body| modulus_11(&body).map(|check| format!("{body}{check}")))
        .nth(turn)
        .unwrap_or_default()
}

/// The check digit of nine digits: weights 10 to 2, 11 − (sum mod 11), 11 becomes 0, and 10 means that no such number exists.
pub(super) fn modulus_11(body: &str) -> Option<u32> {
    let sum: u32 = body
        .chars()
        .filter_map(|digit| digit.to_digit(10))
        .zip((2..=10).rev())
        .map(|(digit, weight)| digit * weight)
        .sum();
    match 11 - sum % 11 {
        11 => Some(0),
        10 => None,
        check => Some(check),
    }
}

/// A person of the crowd, `ages.0` to `ages.1` completed years old at `as_of` and never less than 30 days.
pub(super) fn somebody(random: &mut Random, index: usize, ages: (i64, i64), as_of: Date) -> Person {
    let years = random.between(ages.0, ages.1);
    let days = random.between(30, 364);
    let birth_date = as_of.saturating_sub(years.years()).saturating_sub(days.days());
    let female = random.chance(54);
    let names = if female { FEMALE } else { MALE };
    let given = random.pick(names, "Alex").to_string();
    let middle = random.chance(45).then(|| random.pick(names, "Robin").to_string()).filter(|middle| *middle != given);
    let family = random.pick(FAMILY, "Morgan").to_string();
    let neighbourhood = random.pick(NEIGHBOURHOODS, ("Borough", "SE1")).to_owned();
    let first_line = format!("{} {}", random.between(1, 148), random.pick(STREETS, "Alder Road"));
    let postcode = format!(
        "{} {}{}{}",
        neighbourhood.1,
        random.between(1, 9),
        random.pick(&["A", "B", "H", "N", "S"], "A"),
        random.pick(&["C", "K", "M", "V"], "V")
    );
    Person {
        nhs_number: nhs_number(index),
        birth_date,
        family,
        given,
        gender: if female { "female" } else { "male" },
        registered_practice: if index.is_multiple_of(2) { "Y91001" } else { "Y91002" },
        note: String::new(),
        case: "",
        middle,
        address: Address { first_line, locality: neighbourhood.0.to_owned(), postcode },
        telephone: telephone(index),
        restricted: false,
        deceased: None,
    }
}

/// Address and telephone of everybody of one family name and birth date: twins, and one person under two numbers, share them.
pub(super) fn household(family: &str, birth_date: Date) -> (Address, String) {
    let mut random = Random::new(HOUSEHOLDS, &format!("{family}|{birth_date}"));
    let (locality, district) = random.pick(NEIGHBOURHOODS, ("Borough", "SE1"));
    let first_line = format!("{} {}", random.between(150, 298), random.pick(STREETS, "Alder Road"));
    let unit = random.pick(&["AC", "BK", "HM", "NV"], "AV");
    let postcode = format!("{district} {}{unit}", random.between(1, 9));
    let number = usize::try_from(random.between(0, 999)).unwrap_or(0);
    (Address { first_line, locality: locality.to_owned(), postcode }, telephone(number))
}

/// A number from the London range that Ofcom keeps for drama (020 7946 0000 to 0999).
fn telephone(index: usize) -> String {
    format!("020 7946 0{:03}", index % 1000)
}

fn abbreviate(line: &str) -> String {
    ABBREVIATIONS.iter().fold(line.to_owned(), |line, (word, short)| line.replace(word, short))
}

/// The same households whatever the population's seed.
const HOUSEHOLDS: u64 = 0x686f_7573_6568_6f6c;

/// How many different numbers [`nhs_number`] makes.
pub const NHS_NUMBER_CAPACITY: usize = SLOTS * TURNS;

/// Groups of ten bodies from 99910000x to 99999998x, less the reserved one.
const SLOTS: usize = 89_998;
const FIRST_SLOT: usize = 10_000;
/// Bodies 99950000x, kept for others.
const RESERVED_SLOT: usize = 50_000;
/// The last digit weighs 2, which 11 does not divide, so at most one of ten bodies has no check digit.
const TURNS: usize = 9;

const ABBREVIATIONS: &[(&str, &str)] = &[
    (" Road", " Rd"),
    (" Street", " St"),
    (" Gardens", " Gdns"),
    (" Court", " Ct"),
    (" Square", " Sq"),
    (" Terrace", " Terr"),
    ("Flat ", "Flt "),
];

const NEIGHBOURHOODS: &[(&str, &str)] =
    &[("Bermondsey", "SE16"), ("Rotherhithe", "SE16"), ("Borough", "SE1"), ("Walworth", "SE17")];

const STREETS: &[&str] = &[
    "Alder Wharf Road",
    "Tanner's Row",
    "Old Ropeyard Street",
    "Hopgarden Terrace",
    "Lockkeeper Court",
    "Saltfish Lane",
    "Mulberry Dock Road",
    "Greenheart Gardens",
    "Chandler Square",
    "Bellfounder Street",
    "Quarter Mile Road",
    "Pearmain Close",
];

const FEMALE: &[&str] = &[
    "Amina",
    "Zoë",
    "Siân",
    "Margaret",
    "Precious",
    "Wei-Ling",
    "Fatoumata",
    "Chloé",
    "Bronagh",
    "Parveen",
    "Adaeze",
    "Joan",
    "Ifeoma",
    "Renée",
    "Maryam",
    "Olga",
    "Grace",
    "Þóra",
    "Lakshmi",
    "Ngọc",
    "Dorothy",
    "Hawa",
    "Inés",
    "Shanice",
    "Eilidh",
    "Yasmin",
    "Patience",
    "Sofía",
    "Rukhsana",
    "Beatrice",
    "Marisol",
    "Thandiwe",
];

const MALE: &[&str] = &[
    "Mohammed",
    "Seán",
    "Tunde",
    "José",
    "Harpreet",
    "Kwame",
    "François",
    "Winston",
    "Łukasz",
    "Dafydd",
    "Rafiq",
    "Leroy",
    "André",
    "Minh",
    "Arthur",
    "Björn",
    "Tomás",
    "Emeka",
    "Rashid",
    "Stanley",
    "Iain",
    "Yusuf",
    "Delroy",
    "Jürgen",
    "Kofi",
    "Anand",
    "Raphaël",
    "Cillian",
    "Oluwaseun",
    "Frank",
    "Mateus",
    "Sunil",
];

const FAMILY: &[&str] = &[
    "Adébáyọ̀",
    "O'Connell",
    "van der Berg",
    "Smith",
    "Begum",
    "Nguyễn",
    "de la Cruz",
    "Müller",
    "Ó Briain",
    "Khan",
    "Mensah",
    "Sørensen",
    "Brown-Campbell",
    "Kowalczyk",
    "Patel",
    "McAllister",
    "Fernández",
    "Osei-Bonsu",
    "Ali",
    "Wójcik",
    "Clarke",
    "Singh",
    "da Silva",
    "Hussain",
    "Okonkwo",
    "Taylor",
    "MacÀidh",
    "Rahman",
    "St John",
    "Turay",
    "Lefèvre",
    "Ap Rhys",
    "Chowdhury",
    "Ferreira",
    "Kamara",
    "Green",
    "Yıldız",
    "Thompson-Reid",
    "D'Souza",
    "Wong",
];
