//! Disks: the machine's own, and a config drive.

use super::TOOL;
use super::hardware::{Given, Hardware};
use super::writes::Writes;
use crate::lab::{Lab, process};
use anyhow::Result;
use std::fs::File;
use std::path::Path;
use std::process::Command;

/// The machine's own, and what it is told, if that is written down.
pub(super) fn attach(
    command: &mut Command,
    disk: &Path,
    hardware: &Hardware,
) -> Result<Option<Writes>> {
    let writes = if hardware.is_recorded { Some(Writes::begin(disk)?) } else { None };
    let node = match &writes {
        None if hardware.is_qcow2 => {
            format!("driver=qcow2,node-name=disk,file.driver=file,file.filename={}", disk.display())
        }
        None => format!("driver=file,node-name=disk,filename={}", disk.display()),
        Some(writes) => format!(
            "driver=blklogwrites,node-name=disk,file.driver=file,file.filename={},\
             log.driver=file,log.filename={}",
            disk.display(),
            writes.log().display()
        ),
    };
    command.args(["-blockdev", &node]);
    let (controller, device) = hardware.disk.devices();
    command.args(controller.into_iter().flat_map(|controller| ["-device", controller]));
    command.arg("-device").arg(format!("{device},drive=disk,bootindex=0"));
    Ok(writes)
}

/// A config drive with `user-data`.
pub(super) fn attach_given(lab: &Lab, command: &mut Command, given: &Given) -> Result<()> {
    let folder = lab.switch().folder();
    let (files, image) = (folder.join("drive"), folder.join("drive.img"));
    let (text, device) = match given {
        Given::Iso(text) => (text, "ide-cd,drive=cidata"),
        Given::Fat(text) => (text, "virtio-blk-pci,drive=cidata,addr=0x11"),
        _ => return Ok(()),
    };
    std::fs::create_dir(&files)?;
    std::fs::write(files.join("user-data"), text)?;
    std::fs::write(files.join("meta-data"), "instance-id: testbed-1\n")?;
    let mut make = match given {
        Given::Iso(_) => {
            let mut make = Command::new("genisoimage");
            make.args(["-quiet", "-volid", "cidata", "-joliet", "-rock", "-o"]).arg(&image);
            make.arg(&files);
            make
        }
        _ => {
            File::create(&image)?.set_len(4 << 20)?;
            let mut make = Command::new("mkfs.vfat");
            make.args(["-n", "CIDATA"]).arg(&image);
            make
        }
    };
    make.stdout(std::process::Stdio::null());
    process::succeed(make, TOOL)?;
    if matches!(given, Given::Fat(_)) {
        let mut copy = Command::new("mcopy");
        copy.arg("-i").arg(&image).arg(files.join("user-data")).arg(files.join("meta-data"));
        copy.arg("::");
        process::succeed(copy, TOOL)?;
    }
    let drive = format!("if=none,id=cidata,format=raw,readonly=on,file={}", image.display());
    command.args(["-drive", &drive, "-device", device]);
    Ok(())
}
