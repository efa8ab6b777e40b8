//! rpcbind and NFS-Ganesha, a server of NFS that needs nothing of the kernel.

use super::Server;
use anyhow::Result;
use std::path::Path;

/// Where the mount protocol listens, which clients of NFS version 3 ask for a file system's root.
pub const MOUNT_PORT: u16 = 20_048;

impl Server {
    /// NFS versions 3 and 4.0 on port 2049, and the port mapper on 111. `export` is
    /// `/export` of version 4, and in version 3 has its own path.
    pub fn nfs(&mut self, export: &Path) -> Result<&mut Self> {
        let folder = self.host.folder().to_owned();
        for name in ["run", "recovery"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        let text = format!(
            "NFS_CORE_PARAM {{
  Protocols = 3,4;
  NFS_Port = 2049;
  MNT_Port = {MOUNT_PORT};
  Enable_NLM = false;
  Enable_RQUOTA = false;
  Enable_UDP = false;
}}
NFSv4 {{
  Graceless = true;
  Minor_Versions = 0;
  RecoveryRoot = \"{0}/recovery\";
}}
EXPORT {{
  Export_Id = 1;
  Path = {1};
  Pseudo = /export;
  Access_Type = RW;
  Squash = No_Root_Squash;
  SecType = sys;
  Transports = TCP;
  Protocols = 3,4;
  FSAL {{ Name = VFS; }}
}}
",
            folder.display(),
            export.display()
        );
        std::fs::write(folder.join("ganesha.conf"), text)?;
        // Both speak to each other by a socket in /run, of which each host has its own.
        self.shell_daemon("rpcbind", "exec rpcbind -f", &[111])?;
        let ganesha = "exec ganesha.nfsd -F -L STDOUT -f ganesha.conf -p ganesha.pid";
        self.shell_daemon("nfs", ganesha, &[2049, MOUNT_PORT])
    }

    fn shell_daemon(&mut self, name: &'static str, line: &str, ports: &[u16]) -> Result<&mut Self> {
        let mut command = self.host.command("sh");
        command.args(["-c", &format!("mount --bind run /run && {line}")]);
        self.run(name, command, "tcp", ports)
    }
}
