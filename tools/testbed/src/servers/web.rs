//! nginx.

use super::authority::Signed;
use super::{BigFile, Credentials, Server};
use anyhow::Result;
use std::fmt::Write;
use std::path::Path;

impl Server {
    /// Web pages on `ports`: `/name` is the server's name, `/big` the big file. With credentials
    /// port 443 speaks TLS.
    pub fn web(
        &mut self,
        ports: &[u16],
        big: Option<&BigFile>,
        credentials: Option<&Credentials>,
    ) -> Result<&mut Self> {
        let mut listen = String::new();
        for port in ports {
            let tls = if *port == 443 && credentials.is_some() { " ssl" } else { "" };
            writeln!(listen, "    listen {port}{tls} backlog=4096;")?;
            writeln!(listen, "    listen [::]:{port}{tls} backlog=4096;")?;
        }
        if let Some(credentials) = credentials {
            writeln!(listen, "    ssl_certificate {};", credentials.tls_certificate().display())?;
            writeln!(listen, "    ssl_certificate_key {};", credentials.tls_key().display())?;
        }
        if let Some(big) = big {
            let path = big.path().display();
            writeln!(listen, "    location = /big {{ alias {path}; default_type x/y; }}")?;
        }
        let name = self.name();
        let page =
            format!("location = /name {{ default_type text/plain; return 200 \"{name}\\n\"; }}");
        self.nginx(&format!("{listen}    {page}"), ports)
    }

    /// A page on `ports` that says who is asked, for whom and how: the server's name,
    /// X-Forwarded-For, X-Forwarded-Proto and Host. Connections are kept open.
    pub fn web_asked(&mut self, ports: &[u16]) -> Result<&mut Self> {
        let mut server = String::from("    keepalive_timeout 60;\n");
        for port in ports {
            writeln!(server, "    listen {port} backlog=4096;")?;
        }
        let name = self.name();
        let said = format!("{name} $http_x_forwarded_for $http_x_forwarded_proto $http_host");
        server += &format!("    location / {{ return 200 \"{said}\\n\"; }}");
        self.nginx(&server, ports)
    }

    /// A page on `ports` by HTTP/2, which the client has to know beforehand; on port 443 over TLS,
    /// where the client chooses. It says the server's name, the protocol, and the number of the
    /// connection. `/big` is the big file.
    pub fn web_h2(
        &mut self,
        ports: &[u16],
        big: &BigFile,
        credentials: &Credentials,
    ) -> Result<&mut Self> {
        let mut server = String::from("    keepalive_timeout 60;\n");
        for port in ports {
            let tls = if *port == 443 { " ssl" } else { "" };
            writeln!(server, "    listen {port}{tls} http2 backlog=4096;")?;
        }
        writeln!(server, "    ssl_certificate {};", credentials.tls_certificate().display())?;
        writeln!(server, "    ssl_certificate_key {};", credentials.tls_key().display())?;
        let path = big.path().display();
        writeln!(server, "    location = /big {{ alias {path}; default_type x/y; }}")?;
        let said = format!("{} $server_protocol $connection", self.name());
        server += &format!("    location / {{ return 200 \"{said}\n\"; }}");
        self.nginx(&server, ports)
    }

    /// nghttpd on this port, by HTTP/2 that the client has to know beforehand, or by TLS. What is
    /// sent to it comes back. It allows so many requests of a connection at once.
    pub fn nghttpd(
        &mut self,
        port: u16,
        streams: u32,
        credentials: Option<&Credentials>,
    ) -> Result<&mut Self> {
        let folder = self.host.folder();
        std::fs::write(folder.join("name"), format!("{}\n", self.name()))?;
        let mut command = self.host.command("nghttpd");
        command.arg("--echo-upload").arg("-d").arg(folder);
        command.args(["-m", &streams.to_string()]);
        match credentials {
            None => command.arg("--no-tls").arg(port.to_string()),
            Some(own) => {
                command.arg(port.to_string()).arg(own.tls_key()).arg(own.tls_certificate())
            }
        };
        self.run("nghttpd", command, "tcp", &[port])
    }

    /// A page on `ports` that says what was asked for: the server's name, the request's first line
    /// and the headers `X-One` and `X-Two`; `-` is none. The answer has the headers
    /// `X-Secret: nginx` and `X-Back: http://inside/`.
    pub fn web_mirror(&mut self, ports: &[u16]) -> Result<&mut Self> {
        let mut server = String::from("    keepalive_timeout 60;\n");
        for port in ports {
            writeln!(server, "    listen {port} backlog=4096;")?;
        }
        server += "    set $one $http_x_one; if ($one = '') { set $one -; }\n";
        server += "    set $two $http_x_two; if ($two = '') { set $two -; }\n";
        server += "    add_header X-Secret nginx always;\n";
        server += "    add_header X-Back http://inside/ always;\n";
        let said = format!("{} $request_method $request_uri $one $two", self.name());
        server += &format!("    location / {{ return 200 \"{said}\\n\"; }}");
        self.nginx(&server, ports)
    }

    /// A page on `ports`, of both families, that says whom it sees: the server's name and the
    /// address that the connection comes from.
    pub fn web_seen(&mut self, ports: &[u16]) -> Result<&mut Self> {
        let mut server = String::new();
        for port in ports {
            writeln!(server, "    listen {port};\n    listen [::]:{port};")?;
        }
        let said = format!("{} $remote_addr", self.name());
        server += &format!("    location / {{ return 200 \"{said}\\n\"; }}");
        self.nginx(&server, ports)
    }

    /// A page on `ports` that says what the PROXY protocol told it: the client's address, who
    /// connected, and the port that the client came to.
    pub fn web_told(&mut self, ports: &[u16]) -> Result<&mut Self> {
        let mut server = String::new();
        for port in ports {
            writeln!(server, "    listen {port} proxy_protocol;")?;
        }
        let told = "$proxy_protocol_addr $remote_addr $proxy_protocol_server_port";
        server += &format!("    location / {{ return 200 \"{told}\\n\"; }}");
        self.nginx(&server, ports)
    }

    /// The same page over TLS on `ports`, followed by the name that was asked for (SNI) and whom the
    /// client's certificate is of, as far as there are such. `clients` may come with one.
    pub fn web_tls(&mut self, ports: &[u16], own: &Signed, clients: &Path) -> Result<&mut Self> {
        let mut server = String::from("    keepalive_timeout 60;\n");
        for port in ports {
            writeln!(server, "    listen {port} ssl backlog=4096;")?;
        }
        writeln!(server, "    ssl_certificate {};", own.chain().display())?;
        writeln!(server, "    ssl_certificate_key {};", own.key().display())?;
        writeln!(server, "    ssl_verify_client optional;\n    ssl_verify_depth 3;")?;
        writeln!(server, "    ssl_client_certificate {};", clients.display())?;
        let name = self.name();
        let said = format!("{name} [$ssl_server_name] [$ssl_client_s_dn] $http_x_forwarded_proto");
        server += &format!("    location / {{ return 200 \"{said}\\n\"; }}");
        self.nginx(&server, ports)
    }

    /// A page over TLS 1.2 on port 443 that says the server's name. Sessions are resumed by their id,
    /// never by a ticket.
    pub fn web_sessions(&mut self, own: &Signed) -> Result<&mut Self> {
        let text = format!(
            "    listen 443 ssl backlog=4096;
    ssl_certificate {};
    ssl_certificate_key {};
    ssl_protocols TLSv1.2;
    ssl_session_cache shared:sessions:1m;
    ssl_session_tickets off;
    location / {{ return 200 \"{}\n\"; }}",
            own.chain().display(),
            own.key().display(),
            self.name()
        );
        self.nginx(&text, &[443])
    }

    /// A page on port 80 that says the server's name, and gives whoever comes without a cookie `sid`
    /// one of its own.
    pub fn web_app(&mut self) -> Result<&mut Self> {
        let name = self.name();
        let text = format!(
            "    listen 80 backlog=4096;
    keepalive_timeout 60;
    location / {{
      if ($cookie_sid = '') {{
        add_header Set-Cookie \"sid=$request_id; Path=/; HttpOnly\";
        return 200 \"{name}\n\";
      }}
      return 200 \"{name}\n\";
    }}"
        );
        self.nginx(&text, &[80])
    }

    /// A node of an object store behind TLS on port 443: its health, which is bad while there is a
    /// file `ill` in its folder, the big file, and a page that says its name and by which scheme the
    /// client came.
    pub fn object_store(&mut self, own: &Credentials, big: &BigFile) -> Result<&mut Self> {
        let (name, here) = (self.name(), self.host.folder().display());
        let (certificate, key) = (own.tls_certificate(), own.tls_key());
        let text = format!(
            "    listen 443 ssl backlog=4096;
    keepalive_timeout 60;
    ssl_certificate {};
    ssl_certificate_key {};
    location = /minio/health/cluster {{ if (-f {here}/ill) {{ return 503; }} return 200; }}
    location = /big {{ alias {}; default_type x/y; }}
    location / {{ return 200 \"{name} $http_x_forwarded_proto\\n\"; }}",
            certificate.display(),
            key.display(),
            big.path().display()
        );
        self.nginx(&text, &[443])
    }

    /// Runs it with this in its `server`.
    fn nginx(&mut self, server: &str, ports: &[u16]) -> Result<&mut Self> {
        let folder = self.host.folder();
        let here = folder.display();
        let text = format!(
            "daemon off;
master_process off;
user root;
pid {here}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 10000; }}
http {{
  access_log {here}/access.log;
  keepalive_timeout 0;
  sendfile on;
  client_body_temp_path {here}/body;
  proxy_temp_path {here}/proxy;
  fastcgi_temp_path {here}/fastcgi;
  uwsgi_temp_path {here}/uwsgi;
  scgi_temp_path {here}/scgi;
  server {{
{server}
  }}
}}
"
        );
        let path = folder.join("nginx.conf");
        std::fs::write(&path, text)?;
        let mut command = self.host.command("nginx");
        command.arg("-c").arg(path).arg("-p").arg(self.host.folder()).args(["-e", "stderr"]);
        self.run("web", command, "tcp", ports)
    }
}
