//! From nothing to a network whose nodes could be started: governance, nodes, enrolments, staff.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::commands::{Addresses, Commands};
use super::process::private_file;
use super::{Layout, NetworkError, Organisation, Staff, ports};

/// Sets governance and nodes up, and gives where each node will be reached.
///
/// # Errors
/// As the commands do.
pub(super) fn establish(
    commands: &Commands,
    layout: &Layout,
    organisations: &[&'static Organisation],
) -> Result<BTreeMap<&'static str, Addresses>, NetworkError> {
    fs::create_dir_all(layout.post()).map_err(NetworkError::file(layout.post()))?;
    fs::create_dir_all(layout.nodes()).map_err(NetworkError::file(layout.nodes()))?;
    fs::create_dir_all(layout.profiles()).map_err(NetworkError::file(layout.profiles()))?;
    for (file, words) in [(layout.passphrase(), PASSPHRASE), (layout.step_up_passphrase(), STEP_UP_PASSPHRASE)] {
        private_file(&file)?.write_all(words).map_err(NetworkError::file(&file))?;
    }
    commands.gov_init(OFFICERS, THRESHOLD)?.expect_status(0)?;

    let addresses = init_nodes(commands, layout, organisations)?;
    admit(commands, layout, organisations)?;
    in_parallel(organisations, |organisation| enrol(commands, layout, organisation.ods))?;
    Ok(addresses)
}

/// Makes one person's profile. Whoever approves it has theirs already.
///
/// # Errors
/// As the commands do.
pub(super) fn staff(
    commands: &Commands,
    layout: &Layout,
    staff: &Staff,
    addresses: &Addresses,
) -> Result<(), NetworkError> {
    commands.staff_request(staff)?.expect_status(0)?;
    let credential = layout.post().join(format!("{}.credential", staff.profile()));
    let approvals = approvals(commands, layout, staff)?;
    commands.staff_issue(staff, &approvals, &credential)?.expect_status(0)?;
    commands.staff_install(staff, &credential, &addresses.desk)?.expect_status(0)?;
    Ok(())
}

/// The files with which two colleagues approve a person's scope; none where it needs no approval.
fn approvals(commands: &Commands, layout: &Layout, staff: &Staff) -> Result<Vec<PathBuf>, NetworkError> {
    let approve = |approver: Staff| {
        let path = layout.post().join(format!("{}.{}.approval", staff.profile(), approver.ending));
        commands.staff_approve(staff, &approver, &path)?.expect_status(0)?;
        Ok(path)
    };
    staff.approvers().into_iter().map(approve).collect()
}

/// Runs `work` on every item, as many at a time as the machine has cores; the first error ends it.
///
/// # Errors
/// The first that `work` gave.
pub fn in_parallel<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), NetworkError> + Sync,
) -> Result<(), NetworkError> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let workers = thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, WORKERS));
    thread::scope(|scope| {
        for _ in 0..workers.min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = work(item) {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        next.store(items.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// The first node is set up alone, because the others begin with its address; then it learns of the second, so that it too
/// finds the network again after a restart.
fn init_nodes(
    commands: &Commands,
    layout: &Layout,
    organisations: &[&'static Organisation],
) -> Result<BTreeMap<&'static str, Addresses>, NetworkError> {
    let ports = ports::free(2 * organisations.len())?;
    let planned: Vec<(&'static Organisation, (u16, u16))> = organisations
        .iter()
        .zip(ports.chunks(2))
        .filter_map(|(organisation, pair)| Some((*organisation, (*pair.first()?, *pair.last()?))))
        .collect();
    let Some(((first, first_ports), others)) = planned.split_first() else { return Ok(BTreeMap::new()) };
    let leader = commands.node_init(first, *first_ports, &[])?;
    let found = Mutex::new(BTreeMap::from([(first.ods, leader.clone())]));
    in_parallel(others, |(organisation, ports)| {
        let addresses = commands.node_init(organisation, *ports, std::slice::from_ref(&leader.peer))?;
        found.lock().unwrap_or_else(PoisonError::into_inner).insert(organisation.ods, addresses);
        Ok(())
    })?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(second) = others.first().and_then(|(organisation, _)| found.get(organisation.ods)) {
        edit_bootstrap(&layout.node(first.ods).join("node.toml"), &second.peer)?;
    }
    Ok(found)
}

/// Gives a node's configuration a bootstrap address, as its IT would with an editor.
pub(super) fn edit_bootstrap(config: &Path, address: &str) -> Result<(), NetworkError> {
    let text = fs::read_to_string(config).map_err(NetworkError::file(config))?;
    let kept: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("bootstrap")).collect();
    let text = format!("bootstrap = [\"{address}\"]\n{}\n", kept.join("\n"));
    fs::write(config, text).map_err(NetworkError::file(config))
}

fn admit(commands: &Commands, layout: &Layout, organisations: &[&'static Organisation]) -> Result<(), NetworkError> {
    let requests: Vec<PathBuf> = organisations.iter().map(|organisation| request(layout, organisation.ods)).collect();
    let (beacons, others) = requests.split_at(BEACONS.min(requests.len()));
    commands.gov_admit(beacons, true)?.expect_status(0)?;
    if !others.is_empty() {
        commands.gov_admit(others, false)?.expect_status(0)?;
    }
    for officer in 1..=THRESHOLD {
        commands.gov_sign(officer)?.expect_status(0)?;
    }
    commands.gov_publish(&layout.post().join("manifest.cbor"))?.expect_status(0)?;
    Ok(())
}

fn enrol(commands: &Commands, layout: &Layout, ods: &str) -> Result<(), NetworkError> {
    for standard in STANDARDS {
        commands.gov_attest(ods, standard, STANDARD_EXPIRES)?.expect_status(0)?;
    }
    let enrolment = layout.post().join(format!("{ods}.enrolment"));
    commands.gov_issue(&request(layout, ods), &enrolment)?.expect_status(0)?;
    commands.cert_install(&layout.node(ods), &enrolment)?.expect_status(0)?;
    Ok(())
}

/// The request that `node init` leaves.
pub(super) fn request(layout: &Layout, ods: &str) -> PathBuf {
    layout.node(ods).join("enrolment-request.cbor")
}

/// Governance officers.
const OFFICERS: u32 = 3;
/// How many of them must agree.
pub(super) const THRESHOLD: u32 = 2;
/// Members that sign beacons.
const BEACONS: usize = 2;
/// What every member must hold to be answered.
const STANDARDS: [&str; 2] = ["dspt", "sharing-agreement"];
/// Far enough for every test to run before it.
const STANDARD_EXPIRES: &str = "2099-12-31";
/// Commands at once; each is one process that uses one core.
const WORKERS: usize = 8;
/// Protects nothing: the keys under it live as long as a test, or on the machine of whoever tries the demonstration.
const PASSPHRASE: &[u8] = b"a passphrase for synthetic staff only\n";
/// As little.
const STEP_UP_PASSPHRASE: &[u8] = b"another one, for break-glass by synthetic staff\n";
