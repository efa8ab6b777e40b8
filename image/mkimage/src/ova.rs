//! The appliance as one file for VMware: an OVA, which is a ustar archive of a descriptor (OVF 1.0,
//! DMTF DSP0243), a manifest of checksums, and the disk.

use crate::formats::{Format, convert};
use crate::tool::{Scratch, run};
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The default machine.
const CPUS: u32 = 2;
const MEMORY_MIB: u32 = 4_096;
const DISK_GIB: u64 = 20;
const NICS: u32 = 4;

const DESCRIPTOR: &str = "fulcrum.ovf";
const MANIFEST: &str = "fulcrum.mf";
const DISK: &str = "fulcrum-disk1.vmdk";
/// 2020-01-01, as everything else in an image.
const TIME: u64 = 1_577_836_800;
const BLOCK: usize = 512;

/// Writes the archive to `target`, from the raw disk `from`.
///
/// # Errors
/// When `qemu-img` is missing or fails, or something does not fit.
pub fn make(from: &Path, version: &str, target: &Path, scratch: &Scratch) -> Result<()> {
    // The disk in the machine is larger than the image; the state partition grows at first boot.
    let large = scratch.path("large.raw");
    let (source, copy) = (text(from)?, text(&large)?);
    run("cp", "coreutils", &["--sparse=always", source, copy])?;
    File::options().write(true).open(&large)?.set_len(DISK_GIB << 30)?;
    let disk = scratch.path(DISK);
    convert(&large, Format::Vmdk, &disk)?;
    let bytes = fs::metadata(&disk)?.len();

    let descriptor = descriptor(version, bytes);
    let manifest = format!(
        "SHA256({DESCRIPTOR})= {}\nSHA256({DISK})= {}\n",
        hex(&Sha256::digest(descriptor.as_bytes())),
        sum(&disk)?
    );
    let mut archive = File::create(target).with_context(|| target.display().to_string())?;
    for (name, text) in [(DESCRIPTOR, &descriptor), (MANIFEST, &manifest)] {
        add(&mut archive, name, text.len() as u64, &mut text.as_bytes())?;
    }
    add(&mut archive, DISK, bytes, &mut File::open(&disk)?)?;
    archive.write_all(&[0; 2 * BLOCK])?;
    fs::remove_file(large)?;
    Ok(fs::remove_file(disk)?)
}

/// Gives a VMDK the same content identifier each time, where `qemu-img` has put a random one: in
/// the text descriptor that is embedded near the file's begin.
///
/// # Errors
/// When there is none.
pub fn fix_identifier(disk: &Path) -> Result<()> {
    const KEY: &[u8] = b"\nCID=";
    const SEARCHED: u64 = 64 << 10;
    let mut file = File::options().read(true).write(true).open(disk)?;
    let mut head = Vec::new();
    (&mut file).take(SEARCHED).read_to_end(&mut head)?;
    let at = head.windows(KEY.len()).position(|it| it == KEY).context("a VMDK without CID")?;
    file.seek(SeekFrom::Start((at + KEY.len()) as u64))?;
    Ok(file.write_all(b"46554c43")?)
}

/// An entry of a ustar archive (POSIX.1-1988).
fn add(archive: &mut File, name: &str, bytes: u64, from: &mut impl Read) -> Result<()> {
    archive.write_all(&header(name, bytes)?)?;
    let written = std::io::copy(from, archive)?;
    ensure!(written == bytes, "{name} has changed");
    let rest = written.next_multiple_of(BLOCK as u64) - written;
    Ok(archive.write_all(&vec![0; rest as usize])?)
}

fn header(name: &str, bytes: u64) -> Result<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    ensure!(name.len() < 100, "{name} is too long");
    let size = format!("{bytes:011o}");
    ensure!(size.len() == 11, "{name} is too large for the format");
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &size);
    put(136, &format!("{TIME:011o}"));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    put(265, "root");
    put(297, "root");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

fn sum(path: &Path) -> Result<String> {
    let (mut file, mut sum) = (File::open(path)?, Sha256::new());
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(&sum.finalize())),
            length => sum.update(&block[..length]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// The machine. Numbers of resource types are those of CIM_ResourceAllocationSettingData.
fn descriptor(version: &str, disk_bytes: u64) -> String {
    let mut items = String::new();
    let mut item = |fields: &[(&str, &str)]| items += &self::item(fields);
    let (cpus, memory) = (CPUS.to_string(), MEMORY_MIB.to_string());
    item(&[
        ("AllocationUnits", "hertz * 10^6"),
        ("ElementName", &format!("{cpus} virtual CPUs")),
        ("InstanceID", "1"),
        ("ResourceType", "3"),
        ("VirtualQuantity", &cpus),
    ]);
    item(&[
        ("AllocationUnits", "byte * 2^20"),
        ("ElementName", &format!("{memory} MB of memory")),
        ("InstanceID", "2"),
        ("ResourceType", "4"),
        ("VirtualQuantity", &memory),
    ]);
    item(&[
        ("Address", "0"),
        ("ElementName", "SCSI controller 0"),
        ("InstanceID", "3"),
        ("ResourceSubType", "VirtualSCSI"),
        ("ResourceType", "6"),
    ]);
    item(&[
        ("AddressOnParent", "0"),
        ("ElementName", "Hard disk 1"),
        ("HostResource", "ovf:/disk/disk1"),
        ("InstanceID", "4"),
        ("Parent", "3"),
        ("ResourceType", "17"),
    ]);
    let mut networks = String::new();
    for nic in 1..=NICS {
        let (network, id) = (network(nic), (nic + 4).to_string());
        networks += &format!(
            "    <Network ovf:name=\"{network}\">\n      <Description>{}</Description>\n    </Network>\n",
            purpose(nic)
        );
        item(&[
            ("AddressOnParent", &(nic + 6).to_string()),
            ("AutomaticAllocation", "true"),
            ("Connection", &network),
            ("ElementName", &format!("Network adapter {nic}")),
            ("InstanceID", &id),
            ("ResourceSubType", "VmxNet3"),
            ("ResourceType", "10"),
        ]);
    }
    let capacity = DISK_GIB;
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:href="{DISK}" ovf:id="file1" ovf:size="{disk_bytes}"/>
  </References>
  <DiskSection>
    <Info>Virtual disks</Info>
    <Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="disk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>Networks</Info>
{networks}  </NetworkSection>
  <VirtualSystem ovf:id="Fulcrum">
    <Info>Fulcrum load balancer</Info>
    <Name>Fulcrum</Name>
    <OperatingSystemSection ovf:id="101" vmw:osType="other3xLinux64Guest">
      <Info>Guest operating system</Info>
      <Description>Linux, 64 bits</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>Fulcrum</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType>
      </System>
{items}      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
    </VirtualHardwareSection>
    <ProductSection>
      <Info>Product</Info>
      <Product>Fulcrum</Product>
      <Version>{version}</Version>
    </ProductSection>
  </VirtualSystem>
</Envelope>
"#
    )
}

/// Fields are in the order of their names, which the schema of these items wants.
fn item(fields: &[(&str, &str)]) -> String {
    let field =
        |(name, value): &(&str, &str)| format!("        <rasd:{name}>{value}</rasd:{name}>\n");
    let fields: String = fields.iter().map(field).collect();
    format!("      <Item>\n{fields}      </Item>\n")
}

fn network(nic: u32) -> String {
    match nic {
        1 => "Clients".into(),
        2 => "Servers".into(),
        more => format!("Network {more}"),
    }
}

fn purpose(nic: u32) -> &'static str {
    match nic {
        1 => "Clients, and with one arm real servers as well",
        2 => "Real servers, with two arms",
        _ => "Not used unless it is configured",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roxmltree::{Document, Node};

    const OVF: &str = "http://schemas.dmtf.org/ovf/envelope/1";

    fn all<'a>(document: &'a Document, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
        document.descendants().filter(move |node| node.tag_name().name() == name)
    }

    fn field(item: &Node, name: &str) -> Option<String> {
        let node = item.children().find(|node| node.tag_name().name() == name)?;
        node.text().map(str::to_owned)
    }

    /// What the schema (DSP8023) asks of a descriptor that has what this one has.
    #[test]
    fn the_descriptor_is_an_envelope_whose_references_lead_somewhere() {
        let text = descriptor("1.2.3", 4_711);
        let document = Document::parse(&text).unwrap();
        let root = document.root_element();
        assert_eq!((root.tag_name().name(), root.tag_name().namespace()), ("Envelope", Some(OVF)));
        let parts: Vec<_> =
            root.children().filter(Node::is_element).map(|it| it.tag_name().name()).collect();
        assert_eq!(parts, ["References", "DiskSection", "NetworkSection", "VirtualSystem"]);
        for section in document.descendants().filter(|it| it.tag_name().name().ends_with("Section"))
        {
            let first = section.children().find(Node::is_element).unwrap();
            assert_eq!(first.tag_name().name(), "Info", "of {}", section.tag_name().name());
        }
        let file = all(&document, "File").next().unwrap();
        assert_eq!(file.attribute((OVF, "size")), Some("4711"));
        let disk = all(&document, "Disk").next().unwrap();
        assert_eq!(disk.attribute((OVF, "fileRef")), file.attribute((OVF, "id")));
        assert_eq!(disk.attribute((OVF, "capacity")), Some("20"));
        let items: Vec<Node> = all(&document, "Item").collect();
        let networks: Vec<_> =
            all(&document, "Network").filter_map(|it| it.attribute((OVF, "name"))).collect();
        let mut ids = Vec::new();
        for item in &items {
            let names: Vec<_> =
                item.children().filter(Node::is_element).map(|it| it.tag_name().name()).collect();
            assert!(names.is_sorted(), "{names:?}");
            for needed in ["ElementName", "InstanceID", "ResourceType"] {
                assert!(field(item, needed).is_some(), "{needed}");
            }
            if let Some(parent) = field(item, "Parent") {
                assert!(ids.contains(&parent), "{parent}");
            }
            if let Some(connection) = field(item, "Connection") {
                assert!(networks.contains(&connection.as_str()), "{connection}");
            }
            ids.push(field(item, "InstanceID").unwrap());
        }
        ids.dedup();
        assert_eq!(ids.len(), items.len(), "each has an identifier of its own");
        let of = |kind: &str| {
            items.iter().filter(|it| field(it, "ResourceType").as_deref() == Some(kind)).collect()
        };
        let quantity = |kind: &str| {
            let items: Vec<&Node> = of(kind);
            field(items[0], "VirtualQuantity").unwrap()
        };
        assert_eq!((quantity("3"), quantity("4")), ("2".into(), "4096".into()));
        let nics: Vec<&Node> = of("10");
        assert_eq!(nics.len(), 4);
        assert!(nics.iter().all(|it| field(it, "ResourceSubType").as_deref() == Some("VmxNet3")));
        let disks: Vec<&Node> = of("17");
        let expected = format!("ovf:/disk/{}", disk.attribute((OVF, "diskId")).unwrap());
        assert_eq!(field(disks[0], "HostResource"), Some(expected));
    }

    #[test]
    fn an_entry_is_what_tar_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.tar");
        let mut archive = File::create(&path).unwrap();
        add(&mut archive, "first", 3, &mut &b"one"[..]).unwrap();
        add(&mut archive, "second", 512, &mut &[b'2'; 512][..]).unwrap();
        assert!(add(&mut archive, "short", 5, &mut &b"four"[..]).is_err());
        assert!(add(&mut archive, "large", 1 << 33, &mut &b""[..]).is_err());
        let bytes = fs::read(&path).unwrap();
        assert_eq!(&bytes[..6], b"first\0");
        assert_eq!(&bytes[512..515], b"one");
        assert_eq!(&bytes[1024..1031], b"second\0");
        assert_eq!(&bytes[257..265], b"ustar\x0000");
        let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum::<u32>()
            - bytes[148..156].iter().map(|byte| u32::from(*byte)).sum::<u32>()
            + 8 * u32::from(b' ');
        assert_eq!(&bytes[148..156], format!("{sum:06o}\0 ").as_bytes());
    }

    #[test]
    fn the_identifier_of_a_disk_is_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.vmdk");
        fs::write(&path, "KDMV\0# Disk DescriptorFile\nversion=1\nCID=deadbeef\nparentCID=x\n")
            .unwrap();
        fix_identifier(&path).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("\nCID=46554c43\nparentCID=x\n"));
        fs::write(&path, "no descriptor").unwrap();
        assert!(fix_identifier(&path).is_err());
    }
}
