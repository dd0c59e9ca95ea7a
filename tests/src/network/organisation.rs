//! The organisations of the demonstration network, as they are typed when their nodes are set up.

/// One organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Organisation {
    /// ODS code.
    pub ods: &'static str,
    /// Name as shown to people.
    pub name: &'static str,
    /// What it is, as `careweave node init --kind` takes it.
    pub kind: &'static str,
    /// Care setting.
    pub care_setting: &'static str,
    /// Neighbourhood, where it belongs to one.
    pub neighbourhood: Option<&'static str>,
    /// Whom to ring when the node does not reply; from the range that Ofcom keeps for drama.
    pub duty_contact: &'static str,
    /// Staff groups its clinical profiles have, by the profile's ending.
    pub staff: &'static [&'static str],
}

impl Organisation {
    /// The organisation with this code.
    #[must_use]
    pub fn find(ods: &str) -> Option<&'static Self> {
        ORGANISATIONS.iter().chain(&FURTHER).find(|organisation| organisation.ods == ods)
    }

    /// Whether it holds records of patients.
    #[must_use]
    pub fn holds_records(&self) -> bool {
        !matches!(self.kind, "voluntary" | "governance")
    }
}

/// All of them. The first two run beacons.
pub const ORGANISATIONS: [Organisation; 11] = [
    Organisation {
        ods: "Y91001",
        name: "Borough GP practice",
        kind: "gp-practice",
        care_setting: "primary-care",
        neighbourhood: Some("Borough"),
        duty_contact: "020 7946 0101",
        staff: &["gp"],
    },
    Organisation {
        ods: "R9A",
        name: "Acute hospital trust",
        kind: "acute",
        care_setting: "acute",
        neighbourhood: None,
        duty_contact: "020 7946 0102",
        staff: &["hos"],
    },
    Organisation {
        ods: "Y91002",
        name: "Walworth GP practice",
        kind: "gp-practice",
        care_setting: "primary-care",
        neighbourhood: Some("Walworth"),
        duty_contact: "020 7946 0103",
        staff: &["gp"],
    },
    Organisation {
        ods: "R9C",
        name: "Community health trust",
        kind: "community",
        care_setting: "community",
        neighbourhood: None,
        duty_contact: "020 7946 0104",
        staff: &["rn"],
    },
    Organisation {
        ods: "R9M",
        name: "Mental health trust",
        kind: "mental-health",
        care_setting: "mental-health",
        neighbourhood: None,
        duty_contact: "020 7946 0105",
        staff: &["mhn"],
    },
    Organisation {
        ods: "R9X",
        name: "Ambulance trust",
        kind: "ambulance",
        care_setting: "ambulance",
        neighbourhood: None,
        duty_contact: "020 7946 0106",
        staff: &["par"],
    },
    Organisation {
        ods: "VL901",
        name: "Bermondsey care home",
        kind: "care-home",
        care_setting: "care-home",
        neighbourhood: Some("Bermondsey"),
        duty_contact: "020 7946 0107",
        staff: &["chn", "chc"],
    },
    Organisation {
        ods: "901",
        name: "Council adult social care",
        kind: "social-care",
        care_setting: "social-care",
        neighbourhood: None,
        duty_contact: "020 7946 0108",
        staff: &["sw"],
    },
    Organisation {
        ods: "FZ901",
        name: "Rotherhithe pharmacy",
        kind: "pharmacy",
        care_setting: "pharmacy",
        neighbourhood: Some("Rotherhithe"),
        duty_contact: "020 7946 0109",
        staff: &["pha"],
    },
    Organisation {
        ods: "8Z901",
        name: "Walworth settlement",
        kind: "voluntary",
        care_setting: "voluntary",
        neighbourhood: Some("Walworth"),
        duty_contact: "020 7946 0110",
        staff: &["vol"],
    },
    Organisation {
        ods: "G9V",
        name: "Governance office",
        kind: "governance",
        care_setting: "governance",
        neighbourhood: None,
        duty_contact: "020 7946 0111",
        staff: &["ra"],
    },
];

/// Two more holders for measuring a wider network; not part of the demonstration.
pub const FURTHER: [Organisation; 2] = [
    Organisation {
        ods: "Y91003",
        name: "Rotherhithe GP practice",
        kind: "gp-practice",
        care_setting: "primary-care",
        neighbourhood: Some("Rotherhithe"),
        duty_contact: "020 7946 0112",
        staff: &["gp"],
    },
    Organisation {
        ods: "R9B",
        name: "Second acute hospital trust",
        kind: "acute",
        care_setting: "acute",
        neighbourhood: None,
        duty_contact: "020 7946 0113",
        staff: &["hos"],
    },
];
