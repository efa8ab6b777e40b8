//! The first boot of the appliance: the questions at the console, and answers given in advance.

use super::image::ASK;
use crate::clients;
use crate::harness::Test;
use crate::lab::{Host, Lab, Link, until};
use crate::machine::{self, Boot, Disk, Flavour, Given, Hardware, Image, Machine, state};
use crate::servers::Server;
use anyhow::{Context, Result, ensure};
use std::net::IpAddr;
use std::time::Duration;

/// Adds this part to the tests of the image.
pub fn add(tests: &mut Vec<Test>, image: &Image) {
    let prefix = match image.flavour() {
        Flavour::Hardware => "image",
        Flavour::Vm => "image::vm",
    };
    let mut add = |name: &str, body: fn(&Image) -> Result<()>| {
        let image = image.clone();
        let test = Test::new(format!("{prefix}::{name}"), move |_| body(&image));
        tests.push(test.only_named());
    };
    add("wizard", answer_at_console);
    add("unattended::iso", |image| given_in_advance(image, Boot::Direct, Given::Iso(ANSWERS)));
    add("unattended::fat", |image| given_in_advance(image, Boot::Direct, Given::Fat(ANSWERS)));
    add("unattended::boot-partition", |image| {
        given_in_advance(image, Boot::Bios, Given::BootFile(ANSWERS))
    });
    add("unattended::command-line", |image| {
        given_in_advance(image, Boot::Direct, Given::Config(ANSWERS))
    });
    add("qcow2", from_qcow2);
    if image.has_ova() {
        add("ova", |image| given_in_advance(image, Boot::Ova, Given::Iso(ANSWERS)));
    }
    add("disk::virtio-scsi", |image| other_disk(image, Disk::VirtioScsi));
    add("disk::ahci", |image| other_disk(image, Disk::Ahci));
    add("disk::ide", |image| other_disk(image, Disk::Ide));
    add("disk::nvme", |image| other_disk(image, Disk::Nvme));
}

/// Under emulation, on a machine with other things to do.
const BOOT: Duration = Duration::from_secs(240);
/// Between a line that was typed and what follows; hashing a password is slow under emulation.
const ANSWER: Duration = Duration::from_secs(60);
const VIP: &str = "10.100.0.100";
const PASSWORD: &str = "correct horse battery";
const ANSWERS: &str = "#fulcrum-answers
arms = 1
address = \"10.100.0.10\"
prefix = 16
mode = \"l4-snat\"
vip = \"10.100.0.100\"
ports = \"80\"
real_server = \"10.100.0.110\"
password = \"correct horse battery\"
";

/// What is said at the console, and typed then. Wrong answers have one line in return.
const TALK: [(&str, &str); 26] = [
    ("Press Enter to begin.", "\r"),
    ("one of a pair", "maybe\r"),
    ("\"maybe\" is neither yes nor no; write y or n", "n\r"),
    ("Arms:", "2\r"),
    ("two arms need two NICs and this machine has one; write 1, or add a NIC", "1\r"),
    ("IP address of this unit", "10.100.0\r"),
    ("\"10.100.0\" is no IP address; write one such as", "10.100.0.11\x7f0/16\r"),
    ("default gateway", "10.200.0.1\r"),
    ("write: ", "half of an ans\x03"),
    ("What was said so far is kept.", ""),
    ("Press Enter to begin.", "\r"),
    ("default gateway", "back\r"),
    ("Mask of that network, 255.255.255.0 or /24 [255.255.0.0]: ", "\r"),
    ("default gateway", "none\r"),
    ("name server, or none [none]: ", "\r"),
    ("Mode of the first virtual service", "fast\r"),
    ("\"fast\" is no mode", "3\r"),
    ("Virtual IP address", "10.100.0.100\r"),
    ("Its port", "99999\r"),
    ("write: ", "80\r"),
    ("first real server", "10.100.0.110\r"),
    ("Password: ", "short\r"),
    ("the password has 5 characters; choose one of at least 12", "correct horse battery\r"),
    ("The same password again: ", "correct horse batter\r"),
    ("The two differ; write the password again, twice.", "correct horse battery\r"),
    ("The same password again: ", "correct horse battery\r"),
];

/// The menu of the machine that was made so.
const MENU: [(&str, &str); 6] = [
    ("Fulcrum is running.", "\r"),
    ("https://10.100.0.10:9443/api/v1", ""),
    ("Password: ", "wrong horse battery\r"),
    ("That is not the password.", ""),
    ("Password: ", "correct horse battery\r"),
    ("lbrestore: factory settings", "4\r"),
];

fn answer_at_console(image: &Image) -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = bed.start(image, Boot::Bios, Disk::Virtio, &Given::Nothing)?;
    talk(&mut machine, &TALK, BOOT)?;
    machine.expect("Make this permanent and start?", ANSWER)?;
    machine.type_in("\r")?;
    machine.expect("Kept as revision 1.", ANSWER)?;
    bed.must_be_balanced(&mut machine)?;
    bed.must_let_in(&machine)?;
    talk(&mut machine, &MENU[..4], ANSWER)?;
    // A guess has its price; the next one is not looked at within a second.
    std::thread::sleep(Duration::from_secs(2));
    talk(&mut machine, &MENU[4..], ANSWER)?;
    machine.must_end(Duration::from_secs(60))?;
    state::must_be_clean(&bed.lab, 1)?;
    let serial = machine.serial();
    ensure!(!serial.contains(PASSWORD), "the password was shown:\n{serial}");
    ensure!(serial.contains("init: power off"), "no orderly end:\n{serial}");
    bed.close()
}

fn given_in_advance(image: &Image, boot: Boot, given: Given) -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = bed.start(image, boot, Disk::Virtio, &given)?;
    bed.must_be_balanced(&mut machine)?;
    bed.must_let_in(&machine)?;
    let serial = machine.serial();
    let (source, remark) = match given {
        Given::BootFile(_) => ("fulcrum/user-data on the boot partition", ""),
        Given::Config(_) => ("wizard: configured by the kernel's command line", ""),
        _ => ("wizard: configured by user-data on /dev/", "wizard: instance-id testbed-1"),
    };
    ensure!(serial.contains(source) && serial.contains(remark), "{source}, {remark}:\n{serial}");
    ensure!(!serial.contains(PASSWORD), "the password was shown:\n{serial}");
    if boot == Boot::Ova {
        let grown =
            serial.contains("MiB now, to the disk's end") && serial.contains("state on /dev/");
        ensure!(grown && !serial.contains("as small as it is"), "not grown:\n{serial}");
    }
    machine.power_button(Duration::from_secs(60))?;
    bed.close()
}

/// Both firmwares boot from the same file, as a hypervisor is given it.
fn from_qcow2(image: &Image) -> Result<()> {
    let built = Lab::new()?;
    let (folder, flavour) = (built.folder().join("built"), image.flavour());
    machine::build(flavour, &folder, &["--compression", "1", "--formats", "raw,qcow2"])?;
    let image = Image::in_folder(flavour, &folder);
    for boot in [Boot::Bios, Boot::Uefi] {
        let bed = Bed::new()?;
        let hardware =
            Hardware { is_qcow2: true, ..Hardware::new(boot, &[("lan", "virtio-net-pci")]) };
        let mut machine = Machine::start(&bed.lab, &image, &hardware, &Given::Fat(ANSWERS))?;
        bed.must_be_balanced(&mut machine).with_context(|| format!("{boot:?}"))?;
        machine.expect("slot a works", BOOT)?;
        machine.power_button(Duration::from_secs(60))?;
        bed.close()?;
    }
    built.close()
}

/// The firmware boots from it, and the system keeps its state on it.
fn other_disk(image: &Image, disk: Disk) -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = bed.start(image, Boot::Bios, disk, &Given::BootFile(ANSWERS))?;
    bed.must_be_balanced(&mut machine)?;
    until("the slot marked as good", BOOT, || {
        Ok(machine.serial().contains("init: slot a works").then_some(()))
    })
    .with_context(|| machine.serial())?;
    machine.power_button(Duration::from_secs(60))?;
    state::must_be_clean(&bed.lab, 1)?;
    bed.close()
}

fn talk(machine: &mut Machine, lines: &[(&str, &str)], first: Duration) -> Result<()> {
    for (number, (said, typed)) in lines.iter().enumerate() {
        machine.expect(said, if number == 0 { first } else { ANSWER })?;
        machine.type_in(typed)?;
    }
    Ok(())
}

/// One network with a client and a real server.
struct Bed {
    lab: Lab,
    client: Host,
    // Stopped before its host.
    _server: Server,
}

impl Bed {
    fn new() -> Result<Self> {
        let mut lab = Lab::new()?;
        lab.network("lan")?;
        let client = lab.host("client", &[Link::eth0("lan", "10.100.0.50/16")])?;
        let web = lab.host("web1", &[Link::eth0("lan", "10.100.0.110/16")])?;
        let mut server = Server::new(web);
        server.web(&[80], None, None)?;
        Ok(Self { lab, client, _server: server })
    }

    fn start(&self, image: &Image, boot: Boot, disk: Disk, given: &Given) -> Result<Machine> {
        let own = [("lan", "virtio-net-pci")];
        let four = [("lan", "vmxnet3"); 4];
        let nics = if boot == Boot::Ova { &four[..] } else { &own };
        let hardware = Hardware { disk, ..Hardware::new(boot, nics) };
        Machine::start(&self.lab, image, &hardware, given)
    }

    fn must_be_balanced(&self, machine: &mut Machine) -> Result<()> {
        let ask = format!("curl -s --connect-timeout 1 --max-time 2 http://{VIP}/name");
        until("first balanced request", BOOT, || {
            machine.must_run()?;
            let answer = self.client.try_shell(&ask, ASK)?;
            Ok((answer.out.trim() == "web1").then_some(()))
        })
        .with_context(|| machine.serial())?;
        let vip: IpAddr = VIP.parse()?;
        clients::http_names(&self.client, vip, 80, 20)?.must_reach(1)
    }

    /// The first user may come in, and nobody else.
    fn must_let_in(&self, machine: &Machine) -> Result<()> {
        for (password, expected) in [(PASSWORD, "200"), ("wrong horse battery", "401")] {
            let ask = format!(
                "curl -sk -o /dev/null -w '%{{http_code}}' --max-time 20 \
                 -u 'loadbalancer:{password}' https://10.100.0.10:9443/api/v1/status"
            );
            let answer = self.client.try_shell(&ask, Duration::from_secs(30))?;
            let code = answer.out.trim();
            ensure!(code == expected, "{password}: {code}\n{}", machine.serial());
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        let Self { lab, client, _server } = self;
        drop((client, _server));
        lab.close()
    }
}
