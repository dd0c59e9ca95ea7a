//! The code systems and codes this population uses. Every SNOMED CT and dm+d code passes the Verhoeff check and every LOINC code its check
//! digit (both asserted in the tests); meanings are to be confirmed against a licensed terminology release by whoever deploys.

use serde_json::{Value, json};

/// One code of one system with its display.
#[derive(Clone, Copy, Debug)]
pub(super) struct Concept {
    pub(super) system: &'static str,
    pub(super) code: &'static str,
    pub(super) display: &'static str,
}

impl Concept {
    /// FHIR `Coding`.
    pub(super) fn coding(&self) -> Value {
        json!({"system": self.system, "code": self.code, "display": self.display})
    }

    /// FHIR `CodeableConcept` with the display as its text.
    pub(super) fn concept(&self) -> Value {
        json!({"coding": [self.coding()], "text": self.display})
    }
}

pub(super) const SNOMED: &str = "http://snomed.info/sct";
pub(super) const LOINC: &str = "http://loinc.org";
pub(super) const UCUM: &str = "http://unitsofmeasure.org";
pub(super) const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
pub(super) const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
pub(super) const EPISODE_KIND: &str = "https://careweave.example/fhir/CodeSystem/episode-kind";
pub(super) const SOCIAL_CARE: &str = "https://careweave.example/fhir/CodeSystem/social-care";
pub(super) const FLAG_CATEGORY: &str = "https://careweave.example/fhir/CodeSystem/flag-category";
/// Marks a Patient whose number was `invalidated`.
pub(super) const NUMBER_STATUS: &str = "https://careweave.example/fhir/CodeSystem/nhs-number-status";
/// Marks a Patient whose numbers must never be linked: `adoption`, `gender-recognition`.
pub(super) const NUMBER_CHANGE: &str = "https://careweave.example/fhir/CodeSystem/number-change";
/// What a patient, a confidence or a law closes.
pub(super) const SEAL: &str = "https://careweave.example/fhir/CodeSystem/seal";
/// Marks a Consent that objects even in an emergency.
pub(super) const OBJECTION: &str = "https://careweave.example/fhir/CodeSystem/objection";

const fn snomed(code: &'static str, display: &'static str) -> Concept {
    Concept { system: SNOMED, code, display }
}

const fn loinc(code: &'static str, display: &'static str) -> Concept {
    Concept { system: LOINC, code, display }
}

/// Security labels (`meta.security`).
pub(super) mod label {
    use super::{ACT_CODE, CONFIDENTIALITY, Concept, SEAL};

    const fn sensitivity(code: &'static str, display: &'static str) -> Concept {
        Concept { system: ACT_CODE, code, display }
    }

    const fn confidentiality(code: &'static str, display: &'static str) -> Concept {
        Concept { system: CONFIDENTIALITY, code, display }
    }

    const fn seal(code: &'static str, display: &'static str) -> Concept {
        Concept { system: SEAL, code, display }
    }

    pub(crate) const MENTAL_HEALTH: Concept = sensitivity("PSY", "psychiatry disorder information sensitivity");
    pub(crate) const SEXUALLY_TRANSMITTED: Concept =
        sensitivity("STD", "sexually transmitted disease information sensitivity");
    pub(crate) const DOMESTIC_ABUSE: Concept =
        sensitivity("SDV", "sexual assault, abuse, or domestic violence information sensitivity");
    pub(crate) const HIV: Concept = sensitivity("HIV", "HIV/AIDS information sensitivity");
    pub(crate) const SEXUALITY: Concept =
        sensitivity("SEX", "sexuality and reproductive health information sensitivity");
    pub(crate) const SEALED: Concept = seal("patient", "sealed by the patient");
    pub(crate) const SEALED_IN_EMERGENCY: Concept =
        seal("even-in-emergency", "sealed by the patient even in an emergency");
    pub(crate) const LEGAL: Concept = seal("legal", "withheld by law");
    pub(crate) const INFORMANT: Concept = seal("informant", "told in confidence by somebody else");
    pub(crate) const COMPETENT_MINOR: Concept = seal("competent-minor", "told in confidence by a competent minor");
    pub(crate) const RESTRICTED: Concept = confidentiality("R", "restricted");
    pub(crate) const VERY_RESTRICTED: Concept = confidentiality("V", "very restricted");
}

/// Problems and diagnoses.
pub(super) mod problem {
    use super::{Concept, snomed};

    pub(crate) const HEART_FAILURE: Concept = snomed("84114007", "Heart failure");
    pub(crate) const ATRIAL_FIBRILLATION: Concept = snomed("49436004", "Atrial fibrillation");
    pub(crate) const CHRONIC_KIDNEY_DISEASE: Concept = snomed("709044004", "Chronic kidney disease");
    pub(crate) const HYPERTENSION: Concept = snomed("38341003", "Hypertensive disorder");
    pub(crate) const TYPE_2_DIABETES: Concept = snomed("44054006", "Type 2 diabetes mellitus");
    pub(crate) const DEMENTIA: Concept = snomed("52448006", "Dementia");
    pub(crate) const COPD: Concept = snomed("13645005", "Chronic obstructive pulmonary disease");
    pub(crate) const COPD_EXACERBATION: Concept =
        snomed("195951007", "Acute exacerbation of chronic obstructive airways disease");
    pub(crate) const ASTHMA: Concept = snomed("195967001", "Asthma");
    pub(crate) const CORONARY_DISEASE: Concept = snomed("53741008", "Coronary arteriosclerosis");
    pub(crate) const STROKE: Concept = snomed("230690007", "Cerebrovascular accident");
    pub(crate) const DEPRESSION: Concept = snomed("35489007", "Depressive disorder");
    pub(crate) const EPILEPSY: Concept = snomed("84757009", "Epilepsy");
    pub(crate) const OSTEOPOROSIS: Concept = snomed("64859006", "Osteoporosis");
    pub(crate) const RHEUMATOID_ARTHRITIS: Concept = snomed("69896004", "Rheumatoid arthritis");
    pub(crate) const SCHIZOPHRENIA: Concept = snomed("58214004", "Schizophrenia");
    pub(crate) const BIPOLAR: Concept = snomed("13746004", "Bipolar disorder");
    pub(crate) const OSTEOARTHRITIS: Concept = snomed("396275006", "Osteoarthritis");
    pub(crate) const ANXIETY: Concept = snomed("197480006", "Anxiety disorder");
    pub(crate) const HYPOTHYROIDISM: Concept = snomed("40930008", "Hypothyroidism");
    pub(crate) const HYPERLIPIDAEMIA: Concept = snomed("55822004", "Hyperlipidaemia");
    pub(crate) const PNEUMONIA: Concept = snomed("233604007", "Pneumonia");
    pub(crate) const URINARY_INFECTION: Concept = snomed("68566005", "Urinary tract infection");
    pub(crate) const ACUTE_KIDNEY_INJURY: Concept = snomed("14669001", "Acute kidney injury");
    pub(crate) const FRACTURED_HIP: Concept = snomed("5913000", "Fracture of neck of femur");
    pub(crate) const SYPHILIS: Concept = snomed("76272004", "Syphilis");
    pub(crate) const ALCOHOL_MISUSE: Concept = snomed("15167005", "Alcohol abuse");
    pub(crate) const ALZHEIMERS: Concept = snomed("26929004", "Alzheimer's disease");
    pub(crate) const ECZEMA: Concept = snomed("43116000", "Eczema");
    pub(crate) const MIGRAINE: Concept = snomed("37796009", "Migraine");
    pub(crate) const IRON_DEFICIENCY: Concept = snomed("87522002", "Iron deficiency anaemia");
    pub(crate) const OTITIS_MEDIA: Concept = snomed("65363002", "Otitis media");
    pub(crate) const ANKLE_SPRAIN: Concept = snomed("44465007", "Sprain of ankle");
    pub(crate) const GOUT: Concept = snomed("90560007", "Gout");
    pub(crate) const CONTRACEPTION: Concept = snomed("13197004", "Contraception");
    pub(crate) const HIV_INFECTION: Concept = snomed("86406008", "Human immunodeficiency virus infection");
    /// Taken out of use as a duplicate of another concept.
    pub(crate) const RETIRED: Concept = snomed("367416001", "Angina");
}

/// Allergies and their manifestations.
pub(super) mod allergy {
    use super::{Concept, snomed};

    pub(crate) const PENICILLIN: Concept = snomed("91936005", "Allergy to penicillin");
    pub(crate) const SULFONAMIDE: Concept = snomed("91939003", "Allergy to sulfonamide");
    pub(crate) const LATEX: Concept = snomed("300916003", "Latex allergy");
    pub(crate) const PEANUT: Concept = snomed("91935009", "Allergy to peanut");
    pub(crate) const ASPIRIN: Concept = snomed("293586001", "Allergy to aspirin");
    pub(crate) const NONE_KNOWN: Concept = snomed("716186003", "No known allergy");

    pub(crate) const ANAPHYLAXIS: Concept = snomed("39579001", "Anaphylaxis");
    pub(crate) const RASH: Concept = snomed("271807003", "Eruption of skin");
    pub(crate) const URTICARIA: Concept = snomed("126485001", "Urticaria");
}

/// Procedures, vaccines, encounters and appointments.
pub(super) mod event {
    use super::{Concept, snomed};

    pub(crate) const ECHOCARDIOGRAPHY: Concept = snomed("40701008", "Echocardiography");
    pub(crate) const ELECTROCARDIOGRAM: Concept = snomed("29303009", "Electrocardiographic procedure");
    pub(crate) const HIP_REPLACEMENT: Concept = snomed("52734007", "Total replacement of hip");
    pub(crate) const APPENDICECTOMY: Concept = snomed("80146002", "Excision of appendix");
    pub(crate) const CATARACT_EXTRACTION: Concept = snomed("54885007", "Extraction of cataract");
    pub(crate) const COLONOSCOPY: Concept = snomed("73761001", "Colonoscopy");
    pub(crate) const WOUND_CARE: Concept = snomed("225358003", "Wound care");

    pub(crate) const INFLUENZA_VACCINE: Concept = snomed("46233009", "Influenza vaccine");
    pub(crate) const COVID_VACCINE: Concept = snomed("1119349007", "COVID-19 mRNA vaccine");
    pub(crate) const PNEUMOCOCCAL_VACCINE: Concept = snomed("398730001", "Pneumococcal vaccine");
    pub(crate) const TETANUS_VACCINE: Concept = snomed("333621002", "Tetanus vaccine");
    pub(crate) const MMR_VACCINE: Concept = snomed("61153008", "Measles, mumps and rubella vaccine");

    pub(crate) const CONSULTATION: Concept = snomed("11429006", "Consultation");
    pub(crate) const TELEPHONE: Concept = snomed("185317003", "Telephone encounter");
    pub(crate) const ADMISSION: Concept = snomed("32485007", "Hospital admission");
    pub(crate) const EMERGENCY_ADMISSION: Concept = snomed("50849002", "Emergency department patient visit");
    pub(crate) const HOME_VISIT: Concept = snomed("439708006", "Home visit");
}

/// Kinds of document, plan, assessment, referral and flag.
pub(super) mod kind {
    use super::{Concept, loinc, snomed};

    pub(crate) const DISCHARGE_SUMMARY: Concept = snomed("373942005", "Discharge summary");
    pub(crate) const DISCHARGE_SUMMARY_LOINC: Concept = loinc("18842-5", "Discharge summary");
    pub(crate) const LETTER: Concept = snomed("823751000000102", "Letter");
    pub(crate) const REFERRAL_LETTER: Concept = snomed("25611000000107", "Referral letter");
    pub(crate) const RESPECT: Concept =
        snomed("1382601000000107", "ReSPECT (Recommended Summary Plan for Emergency Care and Treatment)");
    pub(crate) const DNACPR: Concept = snomed("450476008", "Not for attempted cardiopulmonary resuscitation");
    pub(crate) const CARE_PLAN: Concept = snomed("734163000", "Care plan");
    pub(crate) const PERSONALISED_PLAN: Concept = snomed("2181441000000107", "Personalised care and support plan");
    pub(crate) const ABOUT_ME: Concept = snomed("1515851000000101", "About me");
    pub(crate) const TRANSFER_SUMMARY: Concept = snomed("371535009", "Transfer summary report");
    pub(crate) const FRAILTY_INDEX: Concept = snomed("713634000", "Electronic frailty index");
    pub(crate) const SOCIAL_PRESCRIBING: Concept = snomed("871731000000106", "Referral to social prescribing service");
    pub(crate) const FALLS_RISK: Concept = snomed("129839007", "At increased risk for falls");
}

/// What a laboratory, a nurse or a carer measures.
pub(super) mod measure {
    use super::{Concept, loinc, snomed};

    /// One measurement: codes, unit and the range a plausible value is drawn from.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Measure {
        pub(crate) loinc: Concept,
        pub(crate) snomed: Option<Concept>,
        /// Unit as printed.
        pub(crate) unit: &'static str,
        /// Unit in UCUM.
        pub(crate) ucum: &'static str,
        /// Plausible values, which reach outside the reference range.
        pub(crate) plausible: (f64, f64),
        /// Reference range, for laboratory results only.
        pub(crate) reference: Option<(f64, f64)>,
        pub(crate) decimals: u8,
    }

    const fn laboratory(
        concept: Concept,
        unit: &'static str,
        ucum: &'static str,
        plausible: (f64, f64),
        reference: (f64, f64),
        decimals: u8,
    ) -> Measure {
        Measure { loinc: concept, snomed: None, unit, ucum, plausible, reference: Some(reference), decimals }
    }

    const fn vital(
        loinc: Concept,
        snomed: Concept,
        unit: &'static str,
        ucum: &'static str,
        plausible: (f64, f64),
        decimals: u8,
    ) -> Measure {
        Measure { loinc, snomed: Some(snomed), unit, ucum, plausible, reference: None, decimals }
    }

    const MMOL: &str = "mmol/L";

    pub(crate) const EGFR: Measure = laboratory(
        loinc("62238-1", "eGFR (CKD-EPI)"),
        "mL/min/1.73m2",
        "mL/min/{1.73_m2}",
        (28.0, 96.0),
        (90.0, 120.0),
        0,
    );
    pub(crate) const HBA1C: Measure =
        laboratory(loinc("59261-8", "Haemoglobin A1c (IFCC)"), "mmol/mol", "mmol/mol", (36.0, 79.0), (20.0, 41.0), 0);
    pub(crate) const SODIUM: Measure =
        laboratory(loinc("2951-2", "Sodium in serum"), MMOL, MMOL, (129.0, 146.0), (133.0, 146.0), 0);
    pub(crate) const POTASSIUM: Measure =
        laboratory(loinc("2823-3", "Potassium in serum"), MMOL, MMOL, (3.3, 5.7), (3.5, 5.3), 1);
    pub(crate) const CREATININE: Measure =
        laboratory(loinc("14682-9", "Creatinine in serum"), "umol/L", "umol/L", (58.0, 168.0), (45.0, 104.0), 0);
    pub(crate) const UREA: Measure =
        laboratory(loinc("22664-7", "Urea in serum"), MMOL, MMOL, (3.1, 14.8), (2.5, 7.8), 1);
    pub(crate) const HAEMOGLOBIN: Measure =
        laboratory(loinc("718-7", "Haemoglobin in blood"), "g/L", "g/L", (92.0, 158.0), (115.0, 165.0), 0);
    pub(crate) const WHITE_CELLS: Measure =
        laboratory(loinc("6690-2", "White blood cell count"), "10*9/L", "10*9/L", (3.6, 15.2), (4.0, 11.0), 1);
    pub(crate) const C_REACTIVE_PROTEIN: Measure =
        laboratory(loinc("1988-5", "C-reactive protein"), "mg/L", "mg/L", (1.0, 118.0), (0.0, 5.0), 0);
    pub(crate) const CHOLESTEROL: Measure =
        laboratory(loinc("14647-2", "Total cholesterol"), MMOL, MMOL, (3.2, 7.1), (0.0, 5.0), 1);
    pub(crate) const TSH: Measure =
        laboratory(loinc("3016-3", "Thyroid stimulating hormone"), "mIU/L", "m[IU]/L", (0.3, 7.2), (0.27, 4.2), 2);
    pub(crate) const LITHIUM: Measure =
        laboratory(loinc("14334-7", "Lithium in serum"), MMOL, MMOL, (0.4, 0.9), (0.4, 1.0), 2);

    pub(crate) const HEART_RATE: Measure =
        vital(loinc("8867-4", "Heart rate"), snomed("364075005", "Heart rate"), "beats/min", "/min", (58.0, 98.0), 0);
    pub(crate) const RESPIRATORY_RATE: Measure = vital(
        loinc("9279-1", "Respiratory rate"),
        snomed("86290005", "Respiratory rate"),
        "breaths/min",
        "/min",
        (13.0, 22.0),
        0,
    );
    pub(crate) const TEMPERATURE: Measure = vital(
        loinc("8310-5", "Body temperature"),
        snomed("386725007", "Body temperature"),
        "degrees C",
        "Cel",
        (36.0, 38.1),
        1,
    );
    pub(crate) const OXYGEN_SATURATION: Measure = vital(
        loinc("2708-6", "Oxygen saturation in arterial blood"),
        snomed("431314004", "Peripheral oxygen saturation"),
        "%",
        "%",
        (91.0, 99.0),
        0,
    );
    pub(crate) const WEIGHT: Measure =
        vital(loinc("29463-7", "Body weight"), snomed("27113001", "Body weight"), "kg", "kg", (46.0, 108.0), 1);
    pub(crate) const BODY_MASS_INDEX: Measure = vital(
        loinc("39156-5", "Body mass index"),
        snomed("60621009", "Body mass index"),
        "kg/m2",
        "kg/m2",
        (18.4, 36.2),
        1,
    );

    pub(crate) const BLOOD_PRESSURE: Concept = loinc("85354-9", "Blood pressure panel with all children optional");
    pub(crate) const SYSTOLIC: Concept = loinc("8480-6", "Systolic blood pressure");
    pub(crate) const SYSTOLIC_SNOMED: Concept = snomed("271649006", "Systolic blood pressure");
    pub(crate) const DIASTOLIC: Concept = loinc("8462-4", "Diastolic blood pressure");
    pub(crate) const DIASTOLIC_SNOMED: Concept = snomed("271650006", "Diastolic blood pressure");
    pub(crate) const NEWS2: Concept = snomed("1363501000000100", "NEWS2 score");
    pub(crate) const RENAL_PROFILE: Concept = loinc("24326-1", "Electrolytes panel in serum or plasma");
    pub(crate) const BLOOD_COUNT: Concept = loinc("58410-2", "Full blood count");
    pub(crate) const CHEST_RADIOGRAPH: Concept = loinc("36643-5", "Chest X-ray, 2 views");
    pub(crate) const HEAD_TOMOGRAPHY: Concept = loinc("24725-4", "CT head");
}
