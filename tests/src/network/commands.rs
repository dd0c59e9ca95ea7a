//! Every command that sets a network up, once each, as its user types it. A flag that changes is changed here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Layout, NetworkError, Organisation, Output, Programs, Staff};

/// Runs the commands of one network's offices.
#[derive(Debug, Clone)]
pub struct Commands {
    programs: Programs,
    layout: Layout,
    network: String,
    /// Organisations whose key is made in a token, and where.
    tokens: BTreeMap<String, String>,
}

/// Where a node is reached, as its own `node init` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Where other nodes connect, ending in `/p2p/PEERID`.
    pub peer: String,
    /// Where its own staff connect, ending in `/p2p/PEERID`.
    pub desk: String,
}

impl Commands {
    /// Commands on the directories of this layout, in a network of this name.
    #[must_use]
    pub fn new(programs: Programs, layout: Layout, network: &str) -> Self {
        Self { programs, layout, network: network.to_owned(), tokens: BTreeMap::new() }
    }

    /// The same, where these organisations have their key in a token.
    #[must_use]
    pub fn with_tokens(self, tokens: BTreeMap<String, String>) -> Self {
        Self { tokens, ..self }
    }

    /// The network's name.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// `gov init`: keys of the officers.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_init(&self, officers: u32, threshold: u32) -> Result<Output, NetworkError> {
        self.run(&[
            "gov",
            "init",
            &text(&self.layout.governance()),
            "--network",
            &self.network,
            "--officers",
            &officers.to_string(),
            "--threshold",
            &threshold.to_string(),
            "--passphrase-file",
            &text(&self.layout.passphrase()),
        ])
    }

    /// `gov admit`: members into the draft of the next manifest.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_admit(&self, requests: &[PathBuf], beacon: bool) -> Result<Output, NetworkError> {
        let requests: Vec<String> = requests.iter().map(|path| text(path)).collect();
        let mut arguments = vec!["admit"];
        for request in &requests {
            arguments.extend(["--request", request]);
        }
        if beacon {
            arguments.push("--beacon");
        }
        self.gov(&arguments)
    }

    /// `gov propose`: the draft against the current manifest.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_propose(&self) -> Result<Output, NetworkError> {
        self.gov(&["propose"])
    }

    /// `gov sign` by one officer, from 1.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_sign(&self, officer: u32) -> Result<Output, NetworkError> {
        self.gov(&["sign", "--officer", &officer.to_string(), "--yes"])
    }

    /// `gov publish --out`: the signed manifest as a file.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_publish(&self, out: &Path) -> Result<Output, NetworkError> {
        self.gov(&["publish", "--out", &text(out)])
    }

    /// `gov publish` to a node: whatever it does not know yet.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_publish_to(&self, profile: &str) -> Result<Output, NetworkError> {
        let profile = self.layout.profile(profile);
        self.programs.run(Some(&profile), &["gov", "publish", "--dir", &text(&self.layout.governance())])
    }

    /// `gov attest`: a registrar's word about one organisation.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_attest(&self, ods: &str, standard: &str, expires: &str) -> Result<Output, NetworkError> {
        self.gov(&["attest", "--ods", ods, "--standard", standard, "--expires", expires])
    }

    /// `gov issue`: the enrolment for one admitted request.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_issue(&self, request: &Path, out: &Path) -> Result<Output, NetworkError> {
        self.gov(&["issue", "--request", &text(request), "--out", &text(out)])
    }

    /// `gov suspend`: one officer stops one member.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_suspend(&self, ods: &str, reason: &str) -> Result<Output, NetworkError> {
        self.gov(&["suspend", "--ods", ods, "--reason", reason])
    }

    /// `gov show`: the manifest that holds, as JSON.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_show(&self) -> Result<Output, NetworkError> {
        self.run(&["gov", "show", "--dir", &text(&self.layout.governance()), "-o", "json"])
    }

    /// `gov verify`: the chain of manifests from the first on.
    ///
    /// # Errors
    /// As the command does.
    pub fn gov_verify(&self) -> Result<Output, NetworkError> {
        self.gov(&["verify"])
    }

    /// `node init`: the directory, keys and request of one node.
    ///
    /// # Errors
    /// As the command does.
    pub fn node_init(
        &self,
        organisation: &Organisation,
        ports: (u16, u16),
        bootstrap: &[String],
    ) -> Result<Addresses, NetworkError> {
        let directory = text(&self.layout.node(organisation.ods));
        let (listen, desk) = (loopback(ports.0), loopback(ports.1));
        let mut arguments = vec![
            "-o",
            "json",
            "node",
            "init",
            &directory,
            "--network",
            &self.network,
            "--ods",
            organisation.ods,
            "--name",
            organisation.name,
            "--kind",
            organisation.kind,
            "--care-setting",
            organisation.care_setting,
            "--duty-contact",
            organisation.duty_contact,
            "--listen",
            &listen,
            "--desk",
            &desk,
        ];
        if let Some(neighbourhood) = organisation.neighbourhood {
            arguments.extend(["--neighbourhood", neighbourhood]);
        }
        for address in bootstrap {
            arguments.extend(["--bootstrap", address]);
        }
        if let Some(token) = self.tokens.get(organisation.ods) {
            arguments.extend(["--organisation-pkcs11", token]);
        }
        let output = self.run(&arguments)?.expect_status(0)?;
        let id = |pointer: &str| {
            let value = output.field(pointer)?;
            value.as_str().map(str::to_owned).ok_or_else(|| output.unlike(pointer))
        };
        Ok(Addresses {
            peer: format!("{listen}/p2p/{}", id("/peer_id")?),
            desk: format!("{desk}/p2p/{}", id("/desk_peer_id")?),
        })
    }

    /// `cert install`: what the governance office sent.
    ///
    /// # Errors
    /// As the command does.
    pub fn cert_install(&self, node: &Path, enrolment: &Path) -> Result<Output, NetworkError> {
        self.run(&["cert", "install", "--node", &text(node), "--enrolment", &text(enrolment)])
    }

    /// `staff request`: a person's keys and request.
    ///
    /// # Errors
    /// As the command does.
    pub fn staff_request(&self, staff: &Staff) -> Result<Output, NetworkError> {
        let directory = text(&self.layout.profile(&staff.profile()));
        let (person, name, step_up) = (staff.person(), staff.name(), text(&self.layout.step_up_passphrase()));
        let passphrase = text(&self.layout.passphrase());
        let mut arguments = vec!["staff", "request", &directory, "--person", &person, "--name", &name];
        arguments.extend(["--passphrase-file", &passphrase]);
        arguments.extend(match staff.step_up {
            true => vec!["--step-up-passphrase-file", &step_up],
            false => vec!["--no-step-up"],
        });
        self.run(&arguments)
    }

    /// `staff approve`: a colleague's word on the scope that this person is to get.
    ///
    /// # Errors
    /// As the command does.
    pub fn staff_approve(&self, staff: &Staff, approver: &Staff, out: &Path) -> Result<Output, NetworkError> {
        let request = text(&self.layout.profile(&staff.profile()).join("staff-request.cbor"));
        let (scope, out) = (staff.scope.unwrap_or_default(), text(out));
        let arguments = ["staff", "approve", "--request", &request, "--scope", scope, "--out", &out, "--yes"];
        self.programs.run(Some(&self.layout.profile(&approver.profile())), &arguments)
    }

    /// `staff issue`: the employer's credential for it.
    ///
    /// # Errors
    /// As the command does.
    pub fn staff_issue(&self, staff: &Staff, approvals: &[PathBuf], out: &Path) -> Result<Output, NetworkError> {
        let node = text(&self.layout.node(&staff.ods));
        let request = text(&self.layout.profile(&staff.profile()).join("staff-request.cbor"));
        let out = text(out);
        let mut arguments = vec![
            "staff",
            "issue",
            "--node",
            &node,
            "--request",
            &request,
            "--group",
            staff.group,
            "--sds-role",
            staff.sds_role,
            "--training-expires",
            &staff.training_expires,
            "--out",
            &out,
        ];
        if let Some(scope) = staff.scope {
            arguments.extend(["--scope", scope]);
        }
        let approvals: Vec<String> = approvals.iter().map(|path| text(path)).collect();
        for approval in &approvals {
            arguments.extend(["--approval", approval]);
        }
        self.run(&arguments)
    }

    /// `staff install`: the credential into the person's profile, with where their node is.
    ///
    /// # Errors
    /// As the command does.
    pub fn staff_install(&self, staff: &Staff, credential: &Path, desk: &str) -> Result<Output, NetworkError> {
        self.run(&[
            "staff",
            "install",
            &text(&self.layout.profile(&staff.profile())),
            "--credential",
            &text(credential),
            "--node-address",
            desk,
            "--trust",
            &text(&self.layout.node(&staff.ods).join("trust/manifest.cbor")),
        ])
    }

    /// `staff renew`: the employer issues again what it issued before. `who` is `--all`, or `--person` and an identifier, and more options.
    ///
    /// # Errors
    /// As the command does.
    pub fn staff_renew(&self, ods: &str, who: &[&str]) -> Result<Output, NetworkError> {
        let node = text(&self.layout.node(ods));
        let arguments = ["-o", "json", "staff", "renew", "--node", &node];
        self.run(&arguments.into_iter().chain(who.iter().copied()).collect::<Vec<_>>())
    }

    /// `staff revoke`: the employer takes every credential of a person back.
    ///
    /// # Errors
    /// As the command does.
    pub fn staff_revoke(&self, ods: &str, person: &str) -> Result<Output, NetworkError> {
        self.run(&["staff", "revoke", "--node", &text(&self.layout.node(ods)), "--person", person])
    }

    fn gov(&self, arguments: &[&str]) -> Result<Output, NetworkError> {
        let directory = text(&self.layout.governance());
        let passphrase = text(&self.layout.passphrase());
        let mut all = vec!["gov"];
        all.extend(arguments);
        all.extend(["--dir", &directory, "--passphrase-file", &passphrase]);
        self.run(&all)
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, NetworkError> {
        self.programs.run(None, arguments)
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn loopback(port: u16) -> String {
    format!("/ip4/127.0.0.1/tcp/{port}")
}
