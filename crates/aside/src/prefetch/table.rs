//! The table of successors: for each key, the keys that are read soon after it.
//!
//! A set-associative table of fixed size. Each key has a row with four candidates and
//! how often each has followed. A newcomer lowers the count of the least, and takes its
//! place at zero (a majority vote), so that accidents do not displace habits. Counts
//! are halved as they grow, so that habits can change.

use super::contexts::{Last, NONE};

/// The number of candidates of a key.
const SUCCESSORS: usize = 4;

/// The number of rows that a key may take.
const WAYS: usize = 4;

/// Visits at which the counts of a row are halved.
const HALVED_AT: u8 = 32;

/// A candidate counts from the second time on.
const SEEN_TWICE: u8 = 2;

/// The size of a row, for the memory limit.
pub(super) const ROW_BYTES: usize = size_of::<Row>();

/// The successors of one key.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Some bits of the key's hash; zero if the row is free.
    tag: u32,
    /// The place of its name among those of its kind.
    pub(super) name: u32,
    successors: [u32; SUCCESSORS],
    counts: [u8; SUCCESSORS],
    visits: u8,
    /// The number of its kind.
    pub(super) kind: u8,
    /// True if the key is in the buffer or on its way there.
    pub(super) is_ahead: bool,
    /// True if its value was too large to be fetched on a guess.
    pub(super) is_large: bool,
}

const FREE: Row = Row {
    tag: 0,
    name: NONE,
    successors: [NONE; SUCCESSORS],
    counts: [0; SUCCESSORS],
    visits: 0,
    kind: 0,
    is_ahead: false,
    is_large: false,
};

/// The place of a key's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The row of this key.
    Known(u32),
    /// A free row.
    Free(u32),
    /// The row of another key, which may be given up.
    Taken(u32),
}

pub(super) struct Table {
    rows: Vec<Row>,
    /// Which row of a set of busy rows is given up next.
    turn: u8,
}

impl Table {
    /// Creates a table of about `rows` rows.
    pub(super) fn new(rows: usize) -> Self {
        let sets = (rows / WAYS).max(1);
        Self {
            rows: vec![FREE; sets * WAYS],
            turn: 0,
        }
    }

    pub(super) fn row(&self, at: u32) -> &Row {
        &self.rows[at as usize]
    }

    pub(super) fn row_mut(&mut self, at: u32) -> &mut Row {
        &mut self.rows[at as usize]
    }

    fn set_of(&self, hash: u64) -> usize {
        let sets = (self.rows.len() / WAYS) as u64;
        // The upper half, scaled to the number of sets; the lower half is the tag.
        (((hash >> 32) * sets) >> 32) as usize * WAYS
    }

    /// Returns the row of a key.
    pub(super) fn find(&self, hash: u64) -> Option<u32> {
        let (begin, tag) = (self.set_of(hash), tag_of(hash));
        let set = &self.rows[begin..begin + WAYS];
        let way = set.iter().position(|row| row.tag == tag)?;
        Some((begin + way) as u32)
    }

    /// Returns the place of a key: its row, a free one, one of a key that teaches
    /// nothing, or one of the others in turn.
    pub(super) fn place(&mut self, hash: u64) -> Place {
        if let Some(known) = self.find(hash) {
            return Place::Known(known);
        }
        let begin = self.set_of(hash);
        let set = &self.rows[begin..begin + WAYS];
        let at = |way: usize| (begin + way) as u32;
        if let Some(free) = set.iter().position(|row| row.tag == 0) {
            return Place::Free(at(free));
        }
        let idle = |row: &Row| row.counts.iter().all(|count| *count < SEEN_TWICE);
        let way = set.iter().position(idle).unwrap_or_else(|| {
            self.turn = self.turn.wrapping_add(1);
            usize::from(self.turn) % WAYS
        });
        Place::Taken(at(way))
    }

    /// Gives a row to a key, with its name in its kind.
    pub(super) fn begin(&mut self, at: u32, hash: u64, kind: u8, name: u32) {
        self.rows[at as usize] = Row {
            tag: tag_of(hash),
            name,
            kind,
            ..FREE
        };
    }

    pub(super) fn clear_row(&mut self, at: u32) {
        self.rows[at as usize] = FREE;
    }

    /// Marks every key as neither in the buffer nor on its way there.
    pub(super) fn nothing_is_ahead(&mut self) {
        for row in &mut self.rows {
            row.is_ahead = false;
        }
    }

    /// Records that a key was read after those in `before`.
    pub(super) fn learn(&mut self, key: u32, before: Last) {
        let [last, one_before] = before;
        if last != NONE && last != key {
            self.row_mut(last).follow(key);
        }
        if one_before != NONE && one_before != key && one_before != last {
            self.row_mut(one_before).follow(key);
        }
        self.row_mut(key).visit();
    }

    /// Returns the successors of a key that follow in at least this share of its
    /// visits, the likeliest first, with their shares.
    pub(super) fn likely(&self, at: u32, share: f32) -> impl Iterator<Item = (u32, f32)> + use<> {
        let row = *self.row(at);
        let mut order = [0, 1, 2, 3];
        order.sort_by_key(|way: &usize| u8::MAX - row.counts[*way]);
        order.into_iter().filter_map(move |way| {
            let count = row.counts[way];
            let followed = f32::from(count) / f32::from(row.visits.max(1));
            (SEEN_TWICE <= count && share <= followed)
                .then(|| (row.successors[way], followed.min(1.0)))
        })
    }
}

impl Row {
    fn visit(&mut self) {
        self.visits += 1;
        if HALVED_AT <= self.visits {
            self.visits /= 2;
            for count in &mut self.counts {
                *count /= 2;
            }
        }
    }

    fn follow(&mut self, key: u32) {
        let known = self.successors.iter().position(|known| *known == key);
        if let Some(way) = known {
            self.counts[way] = self.counts[way].saturating_add(1);
            return;
        }
        let mut least = 0;
        for way in 1..SUCCESSORS {
            if self.counts[way] < self.counts[least] {
                least = way;
            }
        }
        match self.counts[least] {
            0 | 1 => {
                self.successors[least] = key;
                self.counts[least] = 1;
            }
            count => self.counts[least] = count - 1,
        }
    }
}

fn tag_of(hash: u64) -> u32 {
    // Zero is a free row.
    (hash as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with rows for keys of these hashes, at the returned places.
    fn table(hashes: [u64; 3]) -> (Table, [u32; 3]) {
        let mut table = Table::new(1_024);
        let places = hashes.map(|hash| match table.place(hash) {
            Place::Free(at) => {
                table.begin(at, hash, 0, 0);
                at
            }
            place => panic!("{place:?}"),
        });
        (table, places)
    }

    fn likely(table: &Table, at: u32, share: f32) -> Vec<u32> {
        table.likely(at, share).map(|(key, _)| key).collect()
    }

    #[test]
    fn a_row_has_half_a_line_of_the_processors_cache() {
        assert_eq!(ROW_BYTES, 32);
    }

    #[test]
    fn a_key_that_followed_twice_in_half_of_the_visits_is_likely() {
        let (mut table, [one, two, three]) = table([1, 2, 3]);
        let teach = |table: &mut Table, next| {
            table.learn(one, [NONE, NONE]);
            table.learn(next, [one, NONE]);
        };
        teach(&mut table, two);
        assert!(likely(&table, one, 0.5).is_empty());
        teach(&mut table, two);
        assert_eq!(likely(&table, one, 0.5), [two]);
        teach(&mut table, three);
        teach(&mut table, three);
        assert_eq!(likely(&table, one, 0.5), [two, three]);
        teach(&mut table, three);
        assert_eq!(likely(&table, one, 0.5), [three]);
    }

    #[test]
    fn both_of_the_last_two_keys_are_followed() {
        let (mut table, [one, two, three]) = table([1, 2, 3]);
        for _ in 0..2 {
            table.learn(one, [NONE, NONE]);
            table.learn(two, [one, NONE]);
            table.learn(three, [two, one]);
        }
        assert_eq!(likely(&table, one, 0.5), [two, three]);
        assert_eq!(likely(&table, two, 0.5), [three]);
    }

    #[test]
    fn a_key_does_not_follow_itself() {
        let (mut table, [one, ..]) = table([1, 2, 3]);
        for _ in 0..9 {
            table.learn(one, [one, one]);
        }
        assert!(likely(&table, one, 0.1).is_empty());
    }

    #[test]
    fn a_newcomer_lowers_the_least_candidate_before_it_takes_its_place() {
        let mut row = FREE;
        for key in [1, 1, 2, 2, 3, 3, 4, 4] {
            row.follow(key);
        }
        row.follow(5);
        assert!(row.successors.contains(&1) && !row.successors.contains(&5));
        row.follow(5);
        assert!(row.successors.contains(&5) && !row.successors.contains(&1));
    }

    #[test]
    fn counts_are_halved_with_the_visits() {
        let mut row = FREE;
        for _ in 0..HALVED_AT {
            row.visit();
            row.follow(7);
        }
        assert_eq!(row.visits, HALVED_AT / 2);
        assert!(row.counts[0] <= HALVED_AT / 2 + 1, "{}", row.counts[0]);
    }

    #[test]
    fn a_full_set_gives_up_a_row_that_teaches_nothing() {
        let mut table = Table::new(WAYS);
        let mut places = Vec::new();
        for hash in 1..=WAYS as u64 {
            let Place::Free(at) = table.place(hash) else {
                panic!("no free row");
            };
            table.begin(at, hash, 0, 0);
            places.push(at);
        }
        for at in &places[1..] {
            table.row_mut(*at).counts[0] = SEEN_TWICE;
        }
        assert_eq!(table.place(99), Place::Taken(places[0]));
        table.row_mut(places[0]).counts[0] = SEEN_TWICE;
        let (one, other) = (table.place(99), table.place(99));
        assert_ne!(one, other, "busy rows take turns");
    }
}
