//! A batch that loads nothing: rows that Redis has become local entries.

use std::collections::{HashMap, HashSet};

use crate::entity::lookup::LookupRef;
use crate::insight::statistics::Operation;
use crate::read::ReadPath;
use crate::read::batch::own::{Results, Wanted};
use crate::repository::Source;
use crate::tiers::breaking::Admissions;

impl<R: Source> ReadPath<R> {
    /// Reads rows that Redis has into the local tier, under the generations taken
    /// before. Returns those that it does not have. Each is a flight, so no older row
    /// follows a newer one; a row that another reader reads just now is left to it.
    pub(crate) async fn read_stored<'a>(
        &self,
        asked: &[LookupRef<'a, R::Entity>],
        operation: Operation,
    ) -> Vec<LookupRef<'a, R::Entity>> {
        self.ensure_epoch().await;
        let wanted = asked.iter().copied().enumerate();
        let wanted: Vec<Wanted<'a, R>> = wanted
            .filter(|(_, asked)| self.hit(*asked, |_| ()).is_none())
            .collect();
        let unread = wanted.iter().map(|wanted| (*wanted, None)).collect();
        let mut results: Results<R> = HashMap::new();
        let (own, others) = self.enter_flights(unread, true, &mut Admissions::default(), operation);
        // A reader that waits for one of the rest leads its flight from now on.
        drop(self.look_up(own, &mut results).await);
        let others: HashSet<usize> = others.into_iter().map(|(at, _)| at).collect();
        let is_left = |at: &usize| !results.contains_key(at) && !others.contains(at);
        let left = wanted.into_iter().filter(|(at, _)| is_left(at));
        left.map(|(_, asked)| asked).collect()
    }
}
