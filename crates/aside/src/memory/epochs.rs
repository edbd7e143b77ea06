//! Epochs and eras, and the last known state of the database.

use super::Inner;
use crate::entity::key::Key;
use crate::protocol::value::EPOCH_AHEAD_MILLIS;
use crate::protocol::{Begin, Bump, Era, Reply};

/// The fields stored beside the epochs.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) era: Option<Era>,
    pub(super) known: String,
}

impl Inner {
    /// Returns the history. Changes it first if its state is the required one.
    pub(super) fn history(
        &mut self,
        key: &Key,
        era: Option<(Era, Begin)>,
        known: Option<&(String, String)>,
    ) -> Reply {
        let history = self.histories.entry(key.clone()).or_default();
        if known.is_none_or(|known| known.0 == history.known) {
            if let Some((era, begin)) = era
                && (begin == Begin::Always || history.era.is_none())
            {
                history.era = Some(era);
            }
            if let Some((_, new)) = known {
                history.known.clone_from(new);
            }
        }
        Reply::History {
            era: history.era.unwrap_or_default(),
            known: history.known.clone(),
        }
    }

    /// Returns the epoch of a kind after a bump, and whether it changed.
    pub(super) fn bump(
        &mut self,
        (key, kind): (&Key, &str),
        (known, now): (u64, u64),
        how: Bump,
        era: Era,
    ) -> (u64, bool) {
        let latest = now + EPOCH_AHEAD_MILLIS;
        let believed = |epoch: u64| if epoch <= latest { epoch } else { 0 };
        let epoch = self
            .epochs
            .entry((key.clone(), kind.to_owned()))
            .or_default();
        let lost = latest < known || latest < *epoch;
        let (known, before) = (believed(known), believed(*epoch));
        let stays = match how {
            Bump::Always => false,
            Bump::IfOlder => 0 < before && known <= before,
            Bump::IfThere => before == 0,
            Bump::ToKnown => known <= before,
        };
        if !lost && stays {
            return (before, false);
        }
        *epoch = match how {
            Bump::ToKnown if !lost => known,
            _ => now.max(before + 1).max(known + 1),
        };
        let epoch = *epoch;
        if lost {
            self.histories.entry(key.clone()).or_default().era = Some(era);
        }
        (epoch, true)
    }
}
