//! Chromium without a screen (Debian package `chromium`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// Seconds that it may take over a page.
const PATIENCE: &str = "60";

/// See the module. Everything that it writes is in a folder of its own.
pub struct Chromium {
    folder: TempDir,
}

impl Chromium {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// What a page's script has put into `#seen`.
    pub fn seen<T: DeserializeOwned>(&self, html: &str, width: u32) -> T {
        let dom = self.draw(html, &format!("{width},800"), "--dump-dom");
        let told =
            dom.split_once("<pre id=\"seen\">").and_then(|(_, rest)| rest.split_once("</pre>"));
        let (told, _) = told.unwrap_or_else(|| panic!("the script has not run: {dom}"));
        serde_json::from_slice(&STANDARD.decode(told).unwrap()).unwrap()
    }

    /// A picture of a page, as the address of an image.
    pub fn picture(&self, html: &str, width: u32, height: u32) -> String {
        let option = format!("--screenshot={}", self.folder.path().join("picture.png").display());
        self.draw(html, &format!("{width},{height}"), &option);
        let bytes = fs::read(self.folder.path().join("picture.png")).unwrap();
        format!("data:image/png;base64,{}", STANDARD.encode(bytes))
    }

    /// Copies the last picture there.
    pub fn keep_picture(&self, file: &OsStr) {
        fs::copy(self.folder.path().join("picture.png"), file).unwrap();
    }

    /// Its standard output. Nothing may have been complained of.
    fn draw(&self, html: &str, window: &str, what: &str) -> String {
        let page = self.folder.path().join("page.html");
        fs::write(&page, html).unwrap();
        let output = Command::new("timeout")
            .args([PATIENCE, "chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-background-networking", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"])
            .arg(format!("--user-data-dir={}", self.folder.path().join("profile").display()))
            .args([&format!("--window-size={window}"), "--hide-scrollbars", what])
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        let hint = "is Debian's chromium installed? tools/setup.sh does it";
        assert!(output.status.success(), "{}: {hint}\n{log}", output.status);
        let complaints: Vec<_> = log.lines().filter(|line| line.contains(":CONSOLE:")).collect();
        assert!(complaints.is_empty(), "{complaints:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}
