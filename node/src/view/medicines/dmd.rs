//! The deployer's own release of dm+d, the NHS dictionary of medicines and devices: what each product contains, and which codes
//! are no longer valid. Read once at start from the XML files of a release (NHSBSA, schema version 2.3).
//!
//! Kept in memory: for each code eight bytes and a place in the list of compositions, for each name its text. A full release of
//! about 200,000 products takes some 40 MiB. What is *not* here: packs, prices, forms, and keeping the release up to date.

mod xml;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use self::xml::Fields;
use super::substance::{bare_name, canonical};

/// A loaded release.
pub struct Dmd {
    codes: HashMap<u64, Known>,
    names: HashMap<Box<str>, Option<u32>>,
    compositions: Vec<Vec<String>>,
}

/// What is known of a code.
#[derive(Clone, Copy)]
struct Known {
    composition: u32,
    retired: bool,
}

/// Why a release cannot be used.
#[derive(Debug, Error)]
pub enum DmdError {
    /// The folder cannot be listed.
    #[error("dm+d folder {path} cannot be read: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the release is not there.
    #[error("dm+d folder {folder} has no file {prefix}*.xml")]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// How the file's name begins.
        prefix: &'static str,
    },
    /// Files of more than one release lie in the folder.
    #[error("dm+d folder {folder} has more than one file {prefix}*.xml, keep one release")]
    Several {
        /// The folder.
        folder: PathBuf,
        /// How the files' names begin.
        prefix: &'static str,
    },
    /// A file cannot be read.
    #[error("{file} cannot be read: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not XML.
    #[error("{file} is not well-formed XML at byte {position}: {reason}")]
    Xml {
        /// The file.
        file: PathBuf,
        /// Where.
        position: u64,
        /// What the parser says.
        reason: String,
    },
    /// A file is XML of something else.
    #[error("{file} begins with <{found}> where <{expected}> belongs")]
    Root {
        /// The file.
        file: PathBuf,
        /// The element that a file of this name begins with.
        expected: &'static str,
        /// The element found.
        found: String,
    },
    /// An entry lacks what every entry has.
    #[error("{file}: {element} number {number} has no {field}")]
    Field {
        /// The file.
        file: PathBuf,
        /// Which kind of entry.
        element: &'static str,
        /// Which, counted from one.
        number: usize,
        /// What is missing.
        field: &'static str,
    },
    /// An identifier is not a SNOMED CT identifier.
    #[error("{file}: {element} number {number} has {field} \"{value}\", which is no number")]
    Identifier {
        /// The file.
        file: PathBuf,
        /// Which kind of entry.
        element: &'static str,
        /// Which, counted from one.
        number: usize,
        /// Which field.
        field: &'static str,
        /// What stands there, cut short.
        value: String,
    },
    /// A file ends before its entries do.
    #[error("{file} has no {element}, or ends before the last is complete")]
    Empty {
        /// The file.
        file: PathBuf,
        /// Which kind of entry.
        element: &'static str,
    },
    /// More than a release can be.
    #[error("{file} is larger than a dm+d release ({what})")]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// What there is too much of.
        what: &'static str,
    },
}

impl Dmd {
    /// Reads a release: `f_ingredient2_*.xml`, `f_vtm2_*.xml`, `f_vmp2_*.xml` and `f_amp2_*.xml` of one folder. A product that
    /// refers to what is not in the release is known by its name alone.
    ///
    /// # Errors
    /// A file is missing, twice there, unreadable, not XML, something else, or lacks an identifier or a name.
    pub fn load(dir: &Path) -> Result<Self, DmdError> {
        let mut release = Loading::default();
        let ingredients = xml::find(dir, "f_ingredient2_")?;
        xml::each(&ingredients, "INGREDIENT_SUBSTANCES", "ING", |fields| release.ingredient(fields))?;
        let moieties = xml::find(dir, "f_vtm2_")?;
        xml::each(&moieties, "VIRTUAL_THERAPEUTIC_MOIETIES", "VTM", |fields| release.moiety(fields))?;
        let virtuals = xml::find(dir, "f_vmp2_")?;
        xml::each(&virtuals, "VIRTUAL_MED_PRODUCTS", "VPI", |fields| release.contains(fields))?;
        xml::each(&virtuals, "VIRTUAL_MED_PRODUCTS", "VMP", |fields| release.virtual_product(fields))?;
        release.compose_moieties();
        let actuals = xml::find(dir, "f_amp2_")?;
        xml::each(&actuals, "ACTUAL_MEDICINAL_PRODUCTS", "AMP", |fields| release.actual_product(fields))?;
        Ok(release.dmd)
    }

    /// Substances of the product, moiety or ingredient with this code.
    #[must_use]
    pub fn of_code(&self, code: &str) -> Option<&[String]> {
        self.composition(self.codes.get(&code.parse().ok()?)?.composition)
    }

    /// Substances of the product of this name: the whole name, else what stands in front of the strength where every product so
    /// called contains the same.
    #[must_use]
    pub fn of_name(&self, product: &str) -> Option<&[String]> {
        let name = normal(product);
        let found = self.names.get(name.as_str()).or_else(|| {
            let bare = (!is_combination(&name)).then(|| bare_name(&name))?;
            self.names.get(bare.as_str())
        });
        self.composition((*found?)?)
    }

    /// Whether the code is marked as invalid, or was replaced by another.
    #[must_use]
    pub fn is_retired(&self, code: &str) -> bool {
        code.parse().ok().and_then(|code: u64| self.codes.get(&code)).is_some_and(|known| known.retired)
    }

    /// How many codes are known.
    #[must_use]
    pub fn codes(&self) -> usize {
        self.codes.len()
    }

    fn composition(&self, place: u32) -> Option<&[String]> {
        let composition = self.compositions.get(usize::try_from(place).ok()?)?;
        (!composition.is_empty()).then_some(composition.as_slice())
    }
}

impl fmt::Debug for Dmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dmd({} codes, {} names)", self.codes.len(), self.names.len())
    }
}

/// A release on its way in.
struct Loading {
    dmd: Dmd,
    places: HashMap<Vec<String>, u32>,
    /// Ingredient to its name.
    ingredients: HashMap<u64, String>,
    /// Virtual product to its ingredients.
    contents: HashMap<u64, Vec<u64>>,
    /// Virtual therapeutic moiety to its name, whether it is retired, and what its products contain, where they agree.
    moieties: HashMap<u64, Moiety>,
}

struct Moiety {
    name: String,
    retired: bool,
    previous: Option<u64>,
    composition: Option<u32>,
    ambiguous: bool,
}

impl Default for Loading {
    fn default() -> Self {
        let dmd = Dmd { codes: HashMap::new(), names: HashMap::new(), compositions: Vec::new() };
        Self {
            dmd,
            places: HashMap::new(),
            ingredients: HashMap::new(),
            contents: HashMap::new(),
            moieties: HashMap::new(),
        }
    }
}

impl Loading {
    fn ingredient(&mut self, fields: &Fields<'_>) -> Result<(), DmdError> {
        let (id, name) = (fields.id("ISID")?, canonical(fields.text("NM")?));
        let composition = self.place(vec![name.clone()]);
        self.know(id, fields.optional_id("ISIDPREV")?, Known { composition, retired: fields.flag("INVALID") });
        self.ingredients.insert(id, name);
        Ok(())
    }

    fn moiety(&mut self, fields: &Fields<'_>) -> Result<(), DmdError> {
        let moiety = Moiety {
            name: fields.text("NM")?.to_owned(),
            retired: fields.flag("INVALID"),
            previous: fields.optional_id("VTMIDPREV")?,
            composition: None,
            ambiguous: false,
        };
        self.moieties.insert(fields.id("VTMID")?, moiety);
        Ok(())
    }

    fn contains(&mut self, fields: &Fields<'_>) -> Result<(), DmdError> {
        let contents = self.contents.entry(fields.id("VPID")?).or_default();
        contents.push(fields.id("ISID")?);
        Ok(())
    }

    fn virtual_product(&mut self, fields: &Fields<'_>) -> Result<(), DmdError> {
        let (id, name) = (fields.id("VPID")?, fields.text("NM")?);
        let moiety = fields.optional_id("VTMID")?;
        let contents = self.contents.remove(&id).unwrap_or_default();
        let mut found: Vec<String> = contents.iter().filter_map(|id| self.ingredients.get(id).cloned()).collect();
        let complete = !found.is_empty() && found.len() == contents.len();
        if !complete {
            let named = moiety.and_then(|id| self.moieties.get(&id)).map_or(name, |moiety| moiety.name.as_str());
            found = names_of(named);
        }
        let composition = self.place(found);
        if let Some(moiety) = moiety.filter(|_| complete).and_then(|id| self.moieties.get_mut(&id)) {
            moiety.ambiguous |= moiety.composition.is_some_and(|known| known != composition);
            moiety.composition = Some(composition);
        }
        self.know(id, fields.optional_id("VPIDPREV")?, Known { composition, retired: fields.flag("INVALID") });
        self.call(name, composition);
        Ok(())
    }

    /// A moiety is what its products contain; one without products, or with different ones, is what it is called.
    fn compose_moieties(&mut self) {
        for (id, moiety) in std::mem::take(&mut self.moieties) {
            let composition = match moiety.composition.filter(|_| !moiety.ambiguous) {
                Some(composition) => composition,
                None => self.place(names_of(&moiety.name)),
            };
            self.know(id, moiety.previous, Known { composition, retired: moiety.retired });
            // The moiety's own name is not made ambiguous by a product that begins with it.
            self.dmd.names.insert(normal(&moiety.name).into_boxed_str(), Some(composition));
        }
        self.ingredients = HashMap::new();
        self.contents = HashMap::new();
    }

    fn actual_product(&mut self, fields: &Fields<'_>) -> Result<(), DmdError> {
        let (id, virtual_product, name) = (fields.id("APID")?, fields.id("VPID")?, fields.text("NM")?);
        let composition = match self.dmd.codes.get(&virtual_product) {
            Some(known) => known.composition,
            None => self.place(names_of(name)),
        };
        self.know(id, None, Known { composition, retired: fields.flag("INVALID") });
        self.call(name, composition);
        Ok(())
    }

    fn know(&mut self, id: u64, previous: Option<u64>, known: Known) {
        self.dmd.codes.insert(id, known);
        if let Some(previous) = previous {
            self.dmd.codes.entry(previous).or_insert(Known { retired: true, ..known });
        }
    }

    /// A whole name means one product; a bare name only what all of that name contain.
    fn call(&mut self, name: &str, composition: u32) {
        let name = normal(name);
        if !is_combination(&name) {
            let bare = bare_name(&name);
            let known = self.dmd.names.entry(bare.into_boxed_str()).or_insert(Some(composition));
            if known.is_some_and(|other| other != composition) {
                *known = None;
            }
        }
        self.dmd.names.entry(name.into_boxed_str()).or_insert(Some(composition));
    }

    fn place(&mut self, mut substances: Vec<String>) -> u32 {
        substances.sort();
        substances.dedup();
        if let Some(place) = self.places.get(&substances) {
            return *place;
        }
        let place = u32::try_from(self.dmd.compositions.len()).unwrap_or(u32::MAX);
        self.dmd.compositions.push(substances.clone());
        self.places.insert(substances, place);
        place
    }
}

/// Substances as a name lists them: `Codeine + Paracetamol`.
fn names_of(name: &str) -> Vec<String> {
    name.split(" + ").map(canonical).collect()
}

/// `Amlodipine 5mg / Valsartan 80mg` begins with a substance and is more than that.
fn is_combination(name: &str) -> bool {
    name.contains(" / ") || name.contains(" + ")
}

fn normal(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests;
