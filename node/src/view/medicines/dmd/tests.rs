use super::*;

const INGREDIENTS: &str = "<INGREDIENT_SUBSTANCES><!--made for tests-->
    <ING><ISID>387013004</ISID><ISIDPREV>387013999</ISIDPREV><NM>Apixaban</NM></ING>
    <ING><ISID>387494007</ISID><NM>Codeine phosphate</NM></ING>
    <ING><ISID>387517004</ISID><NM>Paracetamol</NM></ING>
    <ING><ISID>1001</ISID><INVALID>1</INVALID><NM>Oddicine &amp; salts</NM></ING>
</INGREDIENT_SUBSTANCES>";
const MOIETIES: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<VIRTUAL_THERAPEUTIC_MOIETIES xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="vtm_v2_3.xsd">
    <VTM><VTMID>774557006</VTMID><NM>Apixaban</NM></VTM>
    <VTM><VTMID>2001</VTMID><NM>Co-codamol</NM></VTM>
    <VTM><VTMID>2002</VTMID><INVALID>1</INVALID><NM>Gold + Silver</NM></VTM>
</VIRTUAL_THERAPEUTIC_MOIETIES>"#;
const VIRTUALS: &str = "<VIRTUAL_MED_PRODUCTS><VMPS>
    <VMP><VPID>3001</VPID><VPIDPREV>3999</VPIDPREV><VTMID>774557006</VTMID><NM>Apixaban 5mg tablets</NM></VMP>
    <VMP><VPID>3002</VPID><VTMID>2001</VTMID><NM>Co-codamol 30mg/500mg tablets</NM></VMP>
    <VMP><VPID>3003</VPID><INVALID>1</INVALID><VTMID>774557006</VTMID><NM>Apixaban 5mg film-coated tablets</NM></VMP>
    <VMP><VPID>3004</VPID><NM>Paracetamol 500mg / Codeine 8mg capsules</NM></VMP>
    <VMP><VPID>3005</VPID><NM>Unlisted 1mg tablets</NM></VMP>
  </VMPS><VIRTUAL_PRODUCT_INGREDIENT>
    <VPI><VPID>3001</VPID><ISID>387013004</ISID></VPI>
    <VPI><VPID>3002</VPID><ISID>387494007</ISID></VPI><VPI><VPID>3002</VPID><ISID>387517004</ISID></VPI>
    <VPI><VPID>3003</VPID><ISID>387013004</ISID></VPI>
    <VPI><VPID>3004</VPID><ISID>387494007</ISID></VPI><VPI><VPID>3004</VPID><ISID>387517004</ISID></VPI>
    <VPI><VPID>3005</VPID><ISID>99</ISID></VPI>
  </VIRTUAL_PRODUCT_INGREDIENT></VIRTUAL_MED_PRODUCTS>";
const ACTUALS: &str = "<ACTUAL_MEDICINAL_PRODUCTS><AMPS>
    <AMP><APID>4001</APID><VPID>3001</VPID><NM>Clotless 5mg tablets</NM><DESC>Clotless 5mg tablets (Test Pharma)</DESC></AMP>
    <AMP><APID>4002</APID><INVALID>1</INVALID><VPID>3002</VPID><NM>Twicepain 30mg/500mg tablets</NM></AMP>
    <AMP><APID>4003</APID><VPID>3001</VPID><NM>Bothways 5mg tablets</NM></AMP>
    <AMP><APID>4004</APID><VPID>3002</VPID><NM>Bothways 30mg/500mg tablets</NM></AMP>
    <AMP><APID>4005</APID><VPID>77</VPID><NM>Orphan 2mg tablets</NM></AMP>
  </AMPS></ACTUAL_MEDICINAL_PRODUCTS>";

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("careweave-dmd-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// A whole release, in which one file has other content.
    fn release(name: &str, other: Option<(&str, &str)>) -> Self {
        let folder = Self::new(name);
        for (file, content) in [
            ("f_ingredient2_3010124.xml", INGREDIENTS),
            ("f_vtm2_3010124.xml", MOIETIES),
            ("f_vmp2_3010124.xml", VIRTUALS),
            ("f_amp2_3010124.xml", ACTUALS),
            ("f_vmpp2_3010124.xml", "packs are not read"),
        ] {
            let content = other.filter(|(changed, _)| file.starts_with(changed)).map_or(content, |(_, other)| other);
            folder.write(file, content);
        }
        folder
    }

    fn write(&self, file: &str, content: &str) {
        std::fs::write(self.0.join(file), content).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_release_tells_what_each_code_and_name_contains() {
    let folder = Folder::release("whole", None);
    let release = Dmd::load(&folder.0).unwrap();
    let both: &[&str] = &["codeine", "paracetamol"];
    for (code, found) in [
        ("387013004", Some(&["apixaban"][..])),
        ("387013999", Some(&["apixaban"])),
        ("774557006", Some(&["apixaban"])),
        ("3001", Some(&["apixaban"])),
        ("3999", Some(&["apixaban"])),
        ("4001", Some(&["apixaban"])),
        ("2001", Some(both)),
        ("3002", Some(both)),
        ("4002", Some(both)),
        ("2002", Some(&["gold", "silver"])),
        ("1001", Some(&["oddicine & salts"])),
        ("3005", Some(&["unlisted"])),
        ("4005", Some(&["orphan"])),
        ("5555", None),
        ("not a code", None),
    ] {
        let known = release.of_code(code).map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(known.as_deref(), found, "{code}");
    }
    for (name, found) in [
        ("Clotless 5mg tablets", Some(&["apixaban"][..])),
        ("CLOTLESS  2.5mg tablets", Some(&["apixaban"])),
        ("Apixaban 5mg tablets", Some(&["apixaban"])),
        ("Co-codamol", Some(both)),
        ("Paracetamol 500mg / Codeine 8mg capsules", Some(both)),
        ("Paracetamol 500mg / Something 1mg", None),
        ("Bothways 5mg tablets", Some(&["apixaban"])),
        ("Bothways", None),
        ("Nothing known", None),
    ] {
        let known = release.of_name(name).map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(known.as_deref(), found, "{name}");
    }
    for (code, retired) in
        [("3003", true), ("4002", true), ("1001", true), ("2002", true), ("3999", true), ("3001", false), ("8", false)]
    {
        assert_eq!(release.is_retired(code), retired, "{code}");
    }
    assert!(release.codes() > 15);
    assert!(!format!("{release:?}").contains("apixaban"));
}

#[test]
fn what_is_wrong_with_a_release_is_said_with_its_file() {
    let missing = "VIRTUAL_THERAPEUTIC_MOIETIES";
    for (name, file, content, said) in [
        ("root", "f_vtm2", "<PRICES/>", "begins with <PRICES> where <VIRTUAL_THERAPEUTIC_MOIETIES> belongs".to_owned()),
        ("empty", "f_vtm2", "", "has no VTM".to_owned()),
        ("none", "f_vtm2", &format!("<{missing}></{missing}>"), "has no VTM".to_owned()),
        ("cut", "f_vtm2", MOIETIES.split("</VIRTUAL").next().unwrap(), "ends before the last is complete".to_owned()),
        ("no-name", "f_vtm2", &MOIETIES.replace("<NM>Co-codamol</NM>", ""), "VTM number 2 has no NM".to_owned()),
        ("blank", "f_vtm2", &MOIETIES.replace("Co-codamol", " "), "VTM number 2 has no NM".to_owned()),
        (
            "letters",
            "f_vmp2",
            &VIRTUALS.replace("<VPID>3004</VPID><NM>", "<VPID>x4</VPID><NM>"),
            "VMP number 4 has VPID \"x4\"".to_owned(),
        ),
        ("tags", "f_amp2", &ACTUALS.replace("</AMPS>", "</AMP>"), "is not well-formed XML at byte".to_owned()),
        ("no-id", "f_amp2", &ACTUALS.replace("<APID>4002</APID>", ""), "AMP number 2 has no APID".to_owned()),
        ("no-part", "f_vmp2", &VIRTUALS.replace("<ISID>99</ISID>", ""), "VPI number 7 has no ISID".to_owned()),
        (
            "no-substance",
            "f_ingredient2",
            &INGREDIENTS.replace("<NM>Apixaban</NM>", ""),
            "ING number 1 has no NM".to_owned(),
        ),
    ] {
        let folder = Folder::release(name, Some((file, content)));
        let error = Dmd::load(&folder.0).unwrap_err().to_string();
        assert!(error.contains(&said) && error.contains(file), "{name}: {error}");
    }
}

#[test]
fn a_folder_without_one_whole_release_is_refused() {
    let folder = Folder::release("twice", None);
    folder.write("f_vmp2_3020124.xml", VIRTUALS);
    assert!(matches!(Dmd::load(&folder.0), Err(DmdError::Several { prefix: "f_vmp2_", .. })));
    let folder = Folder::release("missing", None);
    std::fs::remove_file(folder.0.join("f_amp2_3010124.xml")).unwrap();
    let error = Dmd::load(&folder.0).unwrap_err();
    assert!(error.to_string().ends_with("has no file f_amp2_*.xml"), "{error}");
    assert!(matches!(Dmd::load(&folder.0.join("elsewhere")), Err(DmdError::Folder { .. })));
}

#[test]
fn one_endless_text_is_refused() {
    let long = MOIETIES.replace("Co-codamol", &"x".repeat(100_000));
    let folder = Folder::release("endless", Some(("f_vtm2", &long)));
    assert!(matches!(Dmd::load(&folder.0), Err(DmdError::TooLarge { .. })));
}
