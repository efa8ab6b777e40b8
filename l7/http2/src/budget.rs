//! How much useless work a peer may cause. Without a clock: what is useful earns what is not.

use crate::reason::Reason;

/// Streams that may be reset beyond those that are finished.
const RESETS: u16 = 256;
/// Frames that do nothing for any stream, beyond those that were earned.
const FRAMES: u16 = 1_024;

/// What a useful thing earns.
const EARNED_BY_STREAM: u16 = 8;
const EARNED_BY_DATA: u16 = 4;

/// The credit of one connection.
#[derive(Debug)]
pub(crate) struct Budget {
    resets: u16,
    frames: u16,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { resets: RESETS, frames: FRAMES }
    }
}

impl Budget {
    /// A stream was reset before its time, by the peer or because of it.
    pub(crate) fn reset(&mut self) -> Result<(), Reason> {
        self.resets = self.resets.checked_sub(1).ok_or(Reason::Resets)?;
        Ok(())
    }

    /// A frame came that costs `cost`; `flood` is what too many of them are.
    #[inline]
    pub(crate) fn spend(&mut self, cost: u16, flood: Reason) -> Result<(), Reason> {
        self.frames = self.frames.checked_sub(cost).ok_or(flood)?;
        Ok(())
    }

    /// A request and its response are through.
    #[inline]
    pub(crate) fn finished(&mut self) {
        self.resets = (self.resets + 1).min(RESETS);
        self.earn(EARNED_BY_STREAM);
    }

    /// A frame of DATA went, or came.
    #[inline]
    pub(crate) fn data(&mut self) {
        self.earn(EARNED_BY_DATA);
    }

    /// Time has passed.
    pub(crate) fn refill(&mut self) {
        self.earn(FRAMES / 64);
    }

    #[inline]
    fn earn(&mut self, frames: u16) {
        self.frames = (self.frames + frames).min(FRAMES);
    }
}
