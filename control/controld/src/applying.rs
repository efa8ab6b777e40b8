//! From one configuration to the next: kept first, then in force, and back if nobody confirms it.

use crate::core::Core;
use crate::events::About;
use crate::findings::told;
use crate::node::{NAME, parsed, unavailable};
use crate::revisions::{self, Revisions};
use anyhow::Result;
use axum::http::StatusCode;
use change::edit::{self, Edit, EditError};
use rest::Problem;
use rest::types::{Applied, Candidate};
use std::path::Path;
use std::time::Duration;

impl Core {
    /// Applies a configuration, if the revision in force is still the `expected` one.
    ///
    /// # Errors
    /// When it has errors, cannot take the place of the one in force, or cannot be kept; nothing has
    /// changed then.
    pub async fn apply(
        &mut self,
        who: &str,
        candidate: Candidate,
        expected: Option<u64>,
    ) -> Result<Applied, Problem> {
        let Candidate { text, message, confirm_within_s } = candidate;
        let accepted = parsed(self, &text)?;
        let findings = told(&text, &accepted.findings);
        self.must_be(expected)?;
        self.may_replace(&accepted.config).map_err(cannot_replace)?;
        let wait = confirm_within_s.map(|seconds| Duration::from_secs(seconds.into()));
        let (author, why) = (who.to_owned(), message.clone());
        let kept = self.on_disk(move |r| r.apply(&text, (&author, &why), wait)).await;
        let number = kept.map_err(unavailable)?.map_err(not_kept)?;
        self.replace(accepted.config).await;
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        self.tell(format!("{who} applied revision {number}{message}"));
        Ok(Applied { findings, ..self.applied_now(number) })
    }

    /// The text in force with edits made, if its revision is still the `expected` one.
    ///
    /// # Errors
    /// When it is another, cannot be read, or an edit does not fit it.
    pub async fn edited(&self, edits: Vec<Edit>, expected: Option<u64>) -> Result<String, Problem> {
        self.must_be(expected)?;
        // A large text takes a while for each edit, and nobody else shall wait for it.
        let edited = self.on_disk(move |revisions| {
            let Some((_, text)) = revisions.applied().map_err(not_kept)? else {
                return Err(Problem::unavailable("no revision is in force"));
            };
            edits.iter().try_fold(text, |text, edit| edit::apply(&text, edit)).map_err(cannot_edit)
        });
        edited.await.map_err(unavailable)?
    }

    /// Back to an earlier revision; the one before without a number.
    ///
    /// # Errors
    /// As [`Core::apply`].
    pub async fn roll_back(
        &mut self,
        who: &str,
        to: Option<u64>,
        wait: Option<Duration>,
    ) -> Result<Applied, Problem> {
        let number = to.or_else(|| self.before()).ok_or_else(|| {
            let remedy = "apply a configuration with `fulcrum apply FILE`";
            Problem::conflict("there is no revision before this one", remedy)
        })?;
        let (_, text, _) =
            self.on_disk(move |r| r.get(number)).await.map_err(unavailable)?.map_err(not_kept)?;
        let accepted = parsed(self, &text)?;
        self.may_replace(&accepted.config).map_err(cannot_replace)?;
        let went = self.on_disk(move |r| r.go_back(number, wait)).await;
        went.map_err(unavailable)?.map_err(not_kept)?;
        self.replace(accepted.config).await;
        self.tell(format!("{who} went back to revision {number}"));
        Ok(Applied { findings: told(&text, &accepted.findings), ..self.applied_now(number) })
    }

    /// Takes what the operator's file says now.
    ///
    /// # Errors
    /// When it has errors, cannot take the place of the one in force, or cannot be kept; nothing has
    /// changed then.
    pub async fn reload(&mut self) -> Result<()> {
        let edited = self.on_disk(|r| r.edited()).await??;
        let Some(text) = edited else {
            self.tell("the file was read anew, and says what is in force".into());
            return Ok(());
        };
        let config = revisions::parsed(&text, &self.file)?.config;
        self.may_replace(&config)?;
        let number = self.on_disk(move |r| r.take(&text)).await??;
        self.replace(config).await;
        self.tell(format!("the file was read anew: revision {number}"));
        Ok(())
    }

    /// Confirms the applied revision.
    ///
    /// # Errors
    /// When none waits for it, or it cannot be kept.
    pub async fn confirm(&mut self, who: &str) -> Result<u64, Problem> {
        let confirmed = self.on_disk(|r| r.confirm()).await;
        let number = confirmed.map_err(unavailable)?.map_err(not_kept)?;
        self.tell(format!("{who} confirmed revision {number}"));
        Ok(number)
    }

    /// Goes back to the confirmed revision once the deadline of the applied one has passed.
    pub async fn return_if_due(&mut self) {
        let Some(back) = self.revisions(Revisions::expired) else { return };
        let unconfirmed = self.revisions(Revisions::number).unwrap_or(0);
        if let Err(e) = self.go_back_to(back).await {
            // Tried again in the next round.
            log::error!("revision {unconfirmed} was not confirmed in time, and stays: {e:#}");
            return;
        }
        let text = format!("revision {unconfirmed} was not confirmed in time: back to {back}");
        self.events.warn("config", About::default(), text);
    }

    async fn go_back_to(&mut self, number: u64) -> Result<()> {
        let text = self.on_disk(move |r| r.go_back(number, None)).await??;
        let name = format!("revision {number}");
        self.replace(revisions::parsed(&text, Path::new(&name))?.config).await;
        Ok(())
    }

    fn must_be(&self, expected: Option<u64>) -> Result<(), Problem> {
        let applied = self.revisions(Revisions::number);
        if expected.is_none() || expected == applied {
            return Ok(());
        }
        let what = match applied {
            Some(applied) => format!("revision {applied} is in force, not the one in If-Match"),
            None => "no revision is in force".to_owned(),
        };
        let remedy = "read the configuration again, and make the change in what it says now";
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, what, remedy))
    }

    /// The confirmed revision while another one waits to be confirmed, else the parent of the
    /// applied one.
    fn before(&self) -> Option<u64> {
        let (applied, confirmed) = self.revisions(|r| Some((r.number()?, r.confirmed()?)))?;
        if confirmed != applied {
            return Some(confirmed);
        }
        self.revisions(|r| r.get(applied)).ok()?.0.parent
    }

    fn applied_now(&self, revision: u64) -> Applied {
        let returns_in_s = self.revisions(Revisions::left).map(|left| left.as_secs());
        Applied {
            revision,
            generation: self.asked,
            returns_in_s,
            trouble: self.trouble.clone(),
            findings: Vec::new(),
        }
    }

    fn tell(&mut self, text: String) {
        self.events.note("config", About::default(), text);
    }
}

/// An edit's error, whose text says what to do.
fn cannot_edit(e: EditError) -> Problem {
    use EditError::*;
    let status = match &e {
        NoService(_) | NoRealServer(..) => StatusCode::NOT_FOUND,
        NotToml(_) | NotTables(_) | Taken(..) | Layout => StatusCode::CONFLICT,
        NoName(_) | Key(_) | Value(..) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let text = e.to_string();
    let (what, remedy) = text.rsplit_once("; ").unwrap_or((&text, "see the description"));
    Problem::new(status, what, remedy)
}

fn cannot_replace(e: anyhow::Error) -> Problem {
    let remedy = "change it back, or restart fulcrum run with the new file";
    Problem::conflict(format!("{NAME} cannot be applied: {e:#}"), remedy)
}

/// A store's error, whose text says what to do.
pub fn not_kept(e: store::Error) -> Problem {
    use store::Error::*;
    let status = match &e {
        NoRevision(_) => StatusCode::NOT_FOUND,
        NoWayBack(_) | NothingPending | Damaged { .. } => StatusCode::CONFLICT,
        TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        NotPlain(_) | NotAName(_) | TooDifferent { .. } => StatusCode::BAD_REQUEST,
        Disk { .. } | Unsure { .. } | Held(_) | NoNumber(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let text = e.to_string();
    let (what, remedy) = text.rsplit_once("; ").unwrap_or((&text, "see the description"));
    Problem::new(status, what, remedy)
}
