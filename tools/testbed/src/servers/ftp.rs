//! vsftpd.

use super::Server;
use anyhow::Result;
use std::fs::Permissions;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

impl Server {
    /// FTP that takes anonymous uploads in `upload/`; data connections are passive, on `data`
    /// ports, announced with the virtual address.
    pub fn ftp(&mut self, announced: IpAddr, data: RangeInclusive<u16>) -> Result<&mut Self> {
        let folder = self.host.folder().to_owned();
        let (root, empty) = (folder.join("ftp"), folder.join("empty"));
        std::fs::create_dir_all(root.join("upload"))?;
        std::fs::create_dir_all(&empty)?;
        // The daemon refuses a root that the visitor may write to.
        for shut in [&root, &empty] {
            std::fs::set_permissions(shut, Permissions::from_mode(0o555))?;
        }
        std::fs::set_permissions(root.join("upload"), Permissions::from_mode(0o777))?;
        let (first, last) = (data.start(), data.end());
        let text = format!(
            "listen=YES
background=NO
anonymous_enable=YES
local_enable=NO
write_enable=YES
anon_upload_enable=YES
anon_root={}
no_anon_password=YES
secure_chroot_dir={}
pasv_enable=YES
pasv_address={announced}
pasv_min_port={first}
pasv_max_port={last}
seccomp_sandbox=NO
ftpd_banner={}
",
            root.display(),
            empty.display(),
            self.name()
        );
        let path = folder.join("vsftpd.conf");
        std::fs::write(&path, text)?;
        let mut command = self.host.command("vsftpd");
        command.arg(path);
        self.run("ftp", command, "tcp", &[21])
    }

    /// Where an uploaded file would be.
    pub fn uploaded(&self, name: &str) -> PathBuf {
        self.host.folder().join("ftp/upload").join(name)
    }
}
