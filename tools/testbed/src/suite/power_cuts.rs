//! Power that fails: at any moment of the first boot, and of changes of the configuration. The
//! appliance comes up again by the revision before or the one after, and never by anything between.

use super::image_deployments::{call, user_data};
use crate::harness::{Scale, Test};
use crate::lab::{Host, Lab, Link, until};
use crate::machine::{Boot, Flavour, Given, Hardware, Image, Machine, state};
use crate::servers::files::SplitMix;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Adds this part.
pub fn add(tests: &mut Vec<Test>, image: &Image) {
    let prefix = match image.flavour() {
        Flavour::Hardware => "image",
        Flavour::Vm => "image::vm",
    };
    for (name, during) in [("first-boot", During::FirstBoot), ("changes", During::Changes)] {
        let image = image.clone();
        let name = format!("{prefix}::power-cuts::{name}");
        tests.push(Test::new(name, move |scale| power_cuts(&image, during, scale)).only_named());
    }
    let image = image.clone();
    let name = format!("{prefix}::state-damaged");
    tests.push(Test::new(name, move |_| state_damaged(&image)).only_named());
}

/// What the power fails in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum During {
    FirstBoot,
    Changes,
}

/// Under emulation, on a machine with other things to do.
const BOOT: Duration = Duration::from_secs(240);
/// How often the power fails, in a short run and in a long one.
const CUTS: (usize, usize) = (5, 50);
const CHANGES: u64 = 5;
const OWN: &str = "10.100.0.10";
/// In an ext4 superblock.
const CHECKSUM: u64 = 1020;
/// Names a run's moments, so that it can be had again.
const SEED: &str = "FULCRUM_SEED";

/// The weight tells revisions apart.
fn config(weight: u64) -> String {
    format!(
        "[dataplane]
table_entries = 100_000
[[interface]]
name = \"eth0\"
port = \"0000:00:02.0\"
addresses = [\"{OWN}/16\"]
[[service]]
name = \"WEB\"
mode = \"l4-snat\"
address = \"10.100.0.100\"
ports = \"80\"
  [[service.real_server]]
  name = \"WEB1\"
  address = \"10.100.0.110\"
  weight = {weight}
"
    )
}

/// A change that somebody asked for, and how long the log of writes was then and when it was said
/// to be kept.
struct Change {
    asked: u64,
    kept: u64,
}

/// What happened while everything was written down.
struct Story {
    configured: u64,
    changes: Vec<Change>,
    end: u64,
}

impl Story {
    /// The revisions that a machine may have whose power failed then; the first one may also be
    /// kept twice.
    fn revisions(&self, moment: u64) -> RangeInclusive<u64> {
        let kept = self.changes.iter().filter(|change| change.kept <= moment).count() as u64;
        let asked = self.changes.iter().filter(|change| change.asked < moment).count() as u64;
        let first = if moment < self.configured { 2 } else { 1 };
        1 + kept..=first + asked
    }
}

fn power_cuts(image: &Image, during: During, scale: Scale) -> Result<()> {
    let seed = match std::env::var(SEED) {
        Ok(text) => text.parse().context(SEED)?,
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    println!("\n  {SEED}={seed}");
    let mut numbers = SplitMix(seed);
    let mut lab = Lab::new()?;
    lab.network("lan")?;
    let client = lab.host("client", &[Link::eth0("lan", "10.100.0.50/16")])?;
    let nics = [("lan", "virtio-net-pci")];
    let hardware = Hardware { is_recorded: true, ..Hardware::new(Boot::Bios, &nics) };
    let given = user_data(&config(1));
    let mut machine = Machine::start(&lab, image, &hardware, &Given::BootFile(&given))?;
    let changes = if during == During::Changes { CHANGES } else { 0 };
    let story = record(&mut machine, &client, changes).with_context(|| machine.serial())?;
    let span = match during {
        During::FirstBoot => (0, story.configured),
        During::Changes => (story.configured, story.end),
    };
    let many = scale.pick(CUTS.0, CUTS.1);
    for moment in machine.writes()?.moments(span, many, &mut numbers)? {
        let disk = lab.folder().join("cut.raw");
        machine.writes()?.cut(moment, &mut numbers, &disk)?;
        let cut = || format!("the power failed at {moment}, {SEED}={seed}");
        let (revision, text) = boot(&lab, image, &client, &disk).with_context(cut)?;
        let expected = story.revisions(moment);
        println!("  at {moment}: revision {revision} of {expected:?}");
        ensure!(expected.contains(&revision), "{revision}, {}", cut());
        let weight = if during == During::Changes { revision } else { 1 };
        // Where the answers were there are empty lines, so that lines keep their numbers.
        ensure!(text.trim_start() == config(weight), "{revision} is\n{text}\n{}", cut());
    }
    lab.close()
}

/// The first boot, until the slot is known to work, and changes.
fn record(machine: &mut Machine, client: &Host, changes: u64) -> Result<Story> {
    machine.expect("slot a works", BOOT)?;
    let configured = machine.writes()?.length()?;
    let mut story = Story { configured, changes: Vec::new(), end: 0 };
    for number in 0..changes {
        let asked = machine.writes()?.length()?;
        let edit = json!({
            "edit": "set_weight", "service": "WEB", "real_server": "WEB1", "weight": number + 2,
        });
        call(client, OWN, "PATCH", "config", Some(&json!({ "edits": [edit] })))?;
        story.changes.push(Change { asked, kept: machine.writes()?.length()? });
    }
    machine.power_button(Duration::from_secs(60))?;
    story.end = machine.writes()?.length()?;
    Ok(story)
}

/// Of a superblock that the power failed in, only the checksum does not fit. One of which nothing is
/// left is told of and not touched, and nothing that was given in advance stands in for what was there.
fn state_damaged(image: &Image) -> Result<()> {
    let mut lab = Lab::new()?;
    lab.network("lan")?;
    let client = lab.host("client", &[Link::eth0("lan", "10.100.0.50/16")])?;
    let nics = [("lan", "virtio-net-pci")];
    let hardware = Hardware::new(Boot::Bios, &nics);
    let mut machine =
        Machine::start(&lab, image, &hardware, &Given::BootFile(&user_data(&config(1))))?;
    machine.expect("slot a works", BOOT)?;
    machine.power_button(Duration::from_secs(60))?;
    let disk = lab.switch().folder().join("disk.raw");

    state::damage_superblock(&disk, CHECKSUM, b"torn")?;
    let (revision, _) = boot(&lab, image, &client, &disk).context("torn")?;
    ensure!(revision == 1, "revision {revision}");

    state::damage_superblock(&disk, 0, &[0; 1024])?;
    let before = lab.folder().join("before.raw");
    state::keep(&disk, &before)?;
    let mut machine = Machine::start(&lab, image, &hardware, &Given::Disk(&disk))?;
    for text in ["cannot be read, and is left as it is", "Attention: the state on", "Press Enter"] {
        machine.expect(text, BOOT)?;
    }
    machine.power_button(Duration::from_secs(60))?;
    state::must_be_as_on(&before, &disk)?;
    lab.close()
}

/// Boots what the power left, by the firmware as in life. The revision in force, and its text.
fn boot(lab: &Lab, image: &Image, client: &Host, disk: &Path) -> Result<(u64, String)> {
    let nics = [("lan", "virtio-net-pci")];
    let hardware = Hardware::new(Boot::Bios, &nics);
    let mut machine = Machine::start(lab, image, &hardware, &Given::Disk(disk))?;
    let result = look(&mut machine, client);
    let serial = machine.serial();
    let found = result.with_context(|| serial.clone())?;
    machine.cut_power()?;
    for trouble in
        ["EXT4-fs error", "set aside", "no state partition", "stays as small", "Kernel panic"]
    {
        ensure!(!serial.contains(trouble), "{trouble}:\n{serial}");
    }
    state::must_be_whole(disk)?;
    Ok(found)
}

/// The revision in force, and its text.
fn look(machine: &mut Machine, client: &Host) -> Result<(u64, String)> {
    machine.expect("the API answers at https", BOOT)?;
    let config = until("the configuration", BOOT, || {
        machine.must_run()?;
        Ok(call(client, OWN, "GET", "config", None).ok())
    })?;
    let revision = config["revision"].as_u64().context("no revision")?;
    let text = config["text"].as_str().context("no text")?;
    Ok((revision, text.to_owned()))
}
