//! What the operator asked for at run time (drain, halt, online). It survives this process: an
//! operator who drained a server at noon finds it drained at midnight.

use anyhow::{Context, Result};
use config::State;
use lower::RealServerKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The largest file that is read.
const MOST_BYTES: u64 = 32 << 20;

/// Requested states by real server, kept in a file.
pub struct Overrides {
    path: PathBuf,
    states: BTreeMap<RealServerKey, State>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    service: String,
    real_server: String,
    requested: String,
}

impl Overrides {
    /// Reads the file, if there is one. One that cannot be read is said so and begun anew.
    pub fn load(runtime_dir: &Path) -> Self {
        let path = runtime_dir.join("requested.json");
        let states = read(&path).unwrap_or_else(|e| {
            log::error!("requested states are lost, real servers are as the file says: {e:#}");
            BTreeMap::new()
        });
        Self { path, states }
    }

    /// All of them.
    pub fn states(&self) -> &BTreeMap<RealServerKey, State> {
        &self.states
    }

    /// Notes a request, on disk before it returns.
    ///
    /// # Errors
    /// When it cannot be written; nothing has changed then.
    pub fn set(&mut self, key: RealServerKey, state: State) -> Result<()> {
        let mut states = self.states.clone();
        states.insert(key, state);
        write(&self.path, &states)?;
        self.states = states;
        Ok(())
    }
}

fn read(path: &Path) -> Result<BTreeMap<RealServerKey, State>> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    anyhow::ensure!(length <= MOST_BYTES, "{} has {length} bytes", path.display());
    let rows: Vec<Row> =
        serde_json::from_slice(&fs::read(path)?).with_context(|| path.display().to_string())?;
    let known = |row: Row| {
        let (_, state) = State::WORDS.iter().find(|(word, _)| *word == row.requested)?;
        Some((RealServerKey::new(row.service, row.real_server), *state))
    };
    Ok(rows.into_iter().filter_map(known).collect())
}

/// Whole or not at all: written aside, brought to disk, renamed.
fn write(path: &Path, states: &BTreeMap<RealServerKey, State>) -> Result<()> {
    let row = |(key, state): (&RealServerKey, &State)| Row {
        service: key.service.clone(),
        real_server: key.real_server.clone(),
        requested: state.text().into(),
    };
    let rows: Vec<Row> = states.iter().map(row).collect();
    let aside = path.with_extension("new");
    let mut file =
        fs::File::create(&aside).with_context(|| format!("cannot write {}", aside.display()))?;
    file.write_all(&serde_json::to_vec(&rows)?)?;
    file.sync_all()?;
    fs::rename(&aside, path).with_context(|| format!("cannot replace {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_and_a_broken_file_is_no_end() {
        let dir = std::env::temp_dir().join(format!("overrides-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let key = RealServerKey::new("web", "one");
        Overrides::load(&dir).set(key.clone(), State::Drain).unwrap();
        assert_eq!(Overrides::load(&dir).states().get(&key), Some(&State::Drain));
        fs::write(dir.join("requested.json"), b"{ torn").unwrap();
        assert!(Overrides::load(&dir).states().is_empty());
        fs::remove_dir_all(dir).unwrap();
    }
}
