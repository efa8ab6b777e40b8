//! The appliance image in a virtual machine: power on, and it balances.

use crate::clients;
use crate::harness::Test;
use crate::lab::{Lab, Link, until};
use crate::machine::{Boot, Fault, Flavour, Given, Hardware, Image, Iommu, Machine, state};
use crate::servers::Server;
use anyhow::{Context, Result, ensure};
use std::net::IpAddr;
use std::time::Duration;

/// Adds this part, on machines that have QEMU and after an image was built. Emulation takes minutes,
/// and the image is not built anew for each run: its tests are asked for by name.
pub fn add(tests: &mut Vec<Test>) {
    for flavour in [Flavour::Hardware, Flavour::Vm] {
        let Some(image) = Image::built(flavour) else { continue };
        add_flavour(tests, &image);
        super::boot_time::add(tests, &image);
        super::first_boot::add(tests, &image);
        super::image_deployments::add(tests, &image);
        super::image_failures::add(tests, &image);
        super::image_files::add(tests, &image);
        super::image_memory::add(tests, &image);
        super::power_cuts::add(tests, &image);
        if flavour == Flavour::Vm {
            super::secure_boot::add(tests);
        }
    }
}

fn add_flavour(tests: &mut Vec<Test>, image: &Image) {
    let flavour = image.flavour();
    let prefix = match flavour {
        Flavour::Hardware => "image",
        Flavour::Vm => "image::vm",
    };
    for (name, boot, fault) in [
        ("two-arm-nat::direct", Boot::Direct, Fault::None),
        ("two-arm-nat::bios", Boot::Bios, Fault::None),
        ("two-arm-nat::uefi", Boot::Uefi, Fault::None),
        ("fallback::bios", Boot::Bios, Fault::Crashes),
        ("fallback::uefi", Boot::Uefi, Fault::Crashes),
        ("watchdog::bios", Boot::Bios, Fault::NeverAnswers),
        ("watchdog::uefi", Boot::Uefi, Fault::NeverAnswers),
        ("kernel-hangs::bios", Boot::Bios, Fault::Hangs),
        ("kernel-hangs::uefi", Boot::Uefi, Fault::Hangs),
    ] {
        let image = image.clone();
        let name = format!("{prefix}::{name}");
        let test = Test::new(&name, move |_| two_arm_nat(&image, boot, fault));
        tests.push(test.only_named());
    }
    for (name, model) in MODELS {
        let image = image.clone();
        let test = Test::new(format!("{prefix}::nic::{name}"), move |_| {
            let nics = arms(model);
            two_arm_nat_by(&image, Boot::Direct, Fault::None, Iommu::None, &nics).map(drop)
        });
        tests.push(test.only_named());
    }
    let other = image.clone();
    let name = format!("{prefix}::nic::unsupported");
    tests.push(Test::new(name, move |_| unsupported(&other)).only_named());
    // The distribution's kernel has no driver for the other one.
    let iommus = [("intel", Iommu::Intel), ("virtio", Iommu::Virtio)];
    for (name, iommu) in iommus.into_iter().take(if flavour == Flavour::Vm { 2 } else { 1 }) {
        let image = image.clone();
        let body = move |_| behind_iommu(&image, Boot::Direct, iommu);
        tests.push(Test::new(format!("{prefix}::iommu::{name}"), body).only_named());
    }
}

/// Under emulation, on a machine with other things to do.
const BOOT: Duration = Duration::from_secs(240);
/// `curl` ends by itself long before, if it gets to run.
pub const ASK: Duration = Duration::from_secs(30);
/// The watchdog that resets these machines has been found, and counts.
const COUNTING: &str = "init: watchdog: i6300ESB timer";
/// The balancer is believed to work after ten seconds, and then the slot is.
const MARKED: Duration = Duration::from_secs(60);
pub const VIP: &str = "10.100.0.100";

/// What hypervisors emulate, as QEMU names it.
const MODELS: [(&str, &str); 6] = [
    ("virtio-legacy", "virtio-net-pci,disable-modern=on,disable-legacy=off"),
    ("virtio-modern", "virtio-net-pci,disable-legacy=on"),
    ("virtio-multiqueue", "virtio-net-pci,mq=on,vectors=6"),
    ("vmxnet3", "vmxnet3"),
    ("e1000", "e1000"),
    ("e1000e", "e1000e"),
];
/// Where QEMU puts the first two NICs.
pub const PORTS: [&str; 2] = ["0000:00:02.0", "0000:00:03.0"];

pub fn config(ports: [&str; 2]) -> String {
    let [outside, inside] = ports;
    format!(
        "[dataplane]
table_entries = 100_000
[[interface]]
name = \"eth0\"
port = \"{outside}\"
addresses = [\"10.100.0.10/16\"]
masquerade = true
[[interface]]
name = \"eth1\"
port = \"{inside}\"
addresses = [\"10.2.0.21/16\"]
[[service]]
name = \"WEB\"
mode = \"l4-nat\"
address = \"{VIP}\"
ports = \"80\"
  [[service.real_server]]
  name = \"WEB1\"
  address = \"10.2.0.110\"
"
    )
}

pub fn two_arm_nat(image: &Image, boot: Boot, fault: Fault) -> Result<()> {
    two_arm_nat_by(image, boot, fault, Iommu::None, &arms("virtio-net-pci")).map(drop)
}

/// Networks and NICs of a machine with two arms.
fn arms(model: &str) -> [(&str, &str); 2] {
    [("lan", model), ("inside", model)]
}

/// A NIC that nobody has a driver for is told of, and keeps no other from its work.
fn unsupported(image: &Image) -> Result<()> {
    let [lan, inside] = arms("virtio-net-pci");
    let nics = [lan, inside, ("lan", "rtl8139")];
    let serial = two_arm_nat_by(image, Boot::Direct, Fault::None, Iommu::None, &nics)?;
    let said = "NIC 0000:00:04.0 (10ec:8139): this image has no driver for it; it is not used. \
                Give the machine a NIC for one of ";
    ensure!(serial.contains(said), "not said: {said}:\n{serial}");
    Ok(())
}

/// The NICs are driven behind an IOMMU, and by the driver that works under lockdown as well.
pub fn behind_iommu(image: &Image, boot: Boot, iommu: Iommu) -> Result<()> {
    let model = "virtio-net-pci,disable-legacy=on,iommu_platform=on,ats=on";
    let serial = two_arm_nat_by(image, boot, Fault::None, iommu, &arms(model))?;
    for port in PORTS {
        let line = format!("NIC {port} (1af4:1041): net_virtio by vfio-pci, behind an IOMMU");
        ensure!(serial.contains(&line), "not said: {line}:\n{serial}");
    }
    Ok(())
}

/// What the machine said at its serial port.
fn two_arm_nat_by(
    image: &Image,
    boot: Boot,
    fault: Fault,
    iommu: Iommu,
    nics: &[(&str, &str)],
) -> Result<String> {
    let mut lab = Lab::new()?;
    lab.network("lan")?;
    lab.network("inside")?;
    let client = lab.host("client", &[Link::eth0("lan", "10.100.0.50/16")])?;
    let web = lab.host("web1", &[Link::eth0("inside", "10.2.0.110/16")])?;
    web.ip("route add default via 10.2.0.21")?;
    let mut server = Server::new(web);
    server.web(&[80], None, None)?;

    let hardware = Hardware { fault, iommu, ..Hardware::new(boot, nics) };
    let mut machine = Machine::start(&lab, image, &hardware, &Given::Config(&config(PORTS)))?;
    if fault == Fault::Hangs {
        machine.expect(COUNTING, BOOT)?;
        machine.hang()?;
    }
    let ask = format!("curl -s --connect-timeout 1 --max-time 2 http://{VIP}/name");
    let first = until("first balanced request", BOOT, || {
        machine.must_run()?;
        let answer = client.try_shell(&ask, ASK)?;
        Ok((answer.out.trim() == "web1").then(|| machine.age()))
    });
    let first = first.with_context(|| machine.serial())?;
    let vip: IpAddr = VIP.parse()?;
    clients::http_names(&client, vip, 80, 100)?.must_reach(1)?;
    // What a real server begins itself is the kernel's to forward, with nftables.
    server.host.shell("ping -c 3 -W 5 10.100.0.50", Duration::from_secs(20))?;
    let marked = match (boot, fault) {
        (Boot::Direct, _) => None,
        (_, Fault::None) => Some("init: slot a works\n"),
        (_, _) => Some("init: slot b works\n"),
    };
    if let Some(marked) = marked {
        let serial = || machine.serial().replace('\r', "");
        until(marked, MARKED, || Ok(serial().contains(marked).then_some(())))
            .with_context(|| machine.serial())?;
    }
    machine.power_button(Duration::from_secs(30))?;
    // A kernel that panics has no init to mount the state partition; one whose watchdog starves has,
    // and as it was never unmounted, it is mounted twice next time, once for its journal.
    let (expected, mounts) = match fault {
        Fault::None => ((0, 0), 1),
        Fault::Crashes => ((3, 0), 1),
        Fault::NeverAnswers => ((0, 1), 3),
        Fault::Hangs => ((0, 0), 3),
    };
    if boot != Boot::Direct {
        state::must_be_clean(&lab, mounts)?;
    }
    let serial = machine.serial();
    print!(
        "\n{:.1} s from power-on to the first request\n{}",
        first.as_secs_f64(),
        stages(&serial)
    );
    let panics = serial.matches("Kernel panic").count();
    let starved = serial.matches("the watchdog restarts the machine").count();
    ensure!((panics, starved) == expected, "{panics} panics, {starved} resets:\n{serial}");
    ensure!(serial.contains("init: power off"), "no orderly end:\n{serial}");
    drop(server);
    lab.close()?;
    Ok(serial)
}

/// What init wrote, with the kernel's clock.
fn stages(serial: &str) -> String {
    serial.lines().filter(|line| line.contains("] init: ")).map(|l| format!("  {l}\n")).collect()
}
