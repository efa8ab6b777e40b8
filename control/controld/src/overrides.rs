//! What the operator asked for at run time (drain, halt, online). It survives this process: an
//! operator who drained a server at noon finds it drained at midnight.

use config::State;
use lower::RealServerKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use store::Kept;

/// Requested states by real server, kept in a file.
pub struct Overrides {
    kept: Kept<Vec<Row>>,
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
    pub fn load(state_dir: &Path) -> Self {
        let (kept, finding): (Kept<Vec<Row>>, _) = Kept::open(&state_dir.join("requested"));
        if let Some(finding) = finding {
            log::error!("requested states are lost, real servers are as the file says: {finding}");
        }
        let states = kept.value().iter().filter_map(Row::state).collect();
        Self { kept, states }
    }

    /// All of them.
    pub fn states(&self) -> &BTreeMap<RealServerKey, State> {
        &self.states
    }

    /// Notes a request, on disk before it returns.
    ///
    /// # Errors
    /// When it cannot be written; nothing has changed then.
    pub fn set(&mut self, key: RealServerKey, state: State) -> store::Result<()> {
        let mut states = self.states.clone();
        states.insert(key, state);
        self.kept.set(states.iter().map(Row::new).collect())?;
        self.states = states;
        Ok(())
    }
}

impl Row {
    fn new((key, state): (&RealServerKey, &State)) -> Self {
        Self {
            service: key.service.clone(),
            real_server: key.real_server.clone(),
            requested: state.text().into(),
        }
    }

    /// `None` for a word of another version.
    fn state(&self) -> Option<(RealServerKey, State)> {
        let (_, state) = State::WORDS.iter().find(|(word, _)| *word == self.requested)?;
        Some((RealServerKey::new(&self.service, &self.real_server), *state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_request_survives_and_a_broken_file_is_no_end() {
        let dir = std::env::temp_dir().join(format!("overrides-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let key = RealServerKey::new("web", "one");
        Overrides::load(&dir).set(key.clone(), State::Drain).unwrap();
        assert_eq!(Overrides::load(&dir).states().get(&key), Some(&State::Drain));
        fs::write(dir.join("requested"), b"{ torn").unwrap();
        assert!(Overrides::load(&dir).states().is_empty());
        assert_eq!(fs::read(dir.join("requested.damaged")).unwrap(), b"{ torn");
        fs::remove_dir_all(dir).unwrap();
    }
}
