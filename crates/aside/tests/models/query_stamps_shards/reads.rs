//! Readers of the query.

use super::{Key, Next, Node, OtherShard, Query, Reader, ReaderStage, Route, State};

/// The reader whose step it is.
struct Turn<'a> {
    at: &'a State,
    /// True for R, which keeps entries.
    keeps: bool,
    reader: Reader,
}

impl Turn<'_> {
    fn state(&self, reader: Reader) -> State {
        let mut to = *self.at;
        match self.keeps {
            true => to.reader = reader,
            false => to.other = reader,
        }
        to
    }

    /// The same read at another stage, without its findings.
    fn at(&self, stage: ReaderStage) -> Reader {
        Reader {
            stage,
            is_current: self.reader.is_current,
            owed: self.reader.owed,
            node: self.reader.node,
            ..Reader::default()
        }
    }
}

impl OtherShard {
    /// The node that answers a look or a STAMP; `None` if it becomes a bypass.
    fn looks_at(&self, at: &State, node: Node) -> Option<Node> {
        match at.route(node) {
            Route::Here(node) => Some(node),
            Route::Ask if !self.rules.follows_no_ask => Some(Node::C),
            _ => None,
        }
    }

    /// The stamp that counts at a node, zero without one.
    fn stamp(&self, key: Key, node: Node) -> u8 {
        match key {
            Key::Lease { stamp } => stamp,
            Key::Mark { stamp, history } if history == node || !self.rules.compares_history => {
                stamp
            }
            Key::Mark { .. } | Key::Absent | Key::Quarantine => 0,
        }
    }

    pub(super) fn read(&self, at: &State, keeps: bool, next: &mut Next<'_>) {
        let reader = if keeps { at.reader } else { at.other };
        let turn = Turn { at, keeps, reader };
        let query = match at.query {
            value @ Query::Value { .. } => value,
            Query::Absent | Query::Lease(_) => Query::Absent,
        };
        match reader.stage {
            ReaderStage::Absent => {}
            ReaderStage::Idle => self.begin(&turn, next),
            ReaderStage::LooksFirst | ReaderStage::LooksSecond => {
                let Some(node) = self.looks_at(at, reader.node) else {
                    next.to("a look is redirected", [], turn.state(Reader::default()));
                    return;
                };
                let stamp = self.stamp(at.key(node), node);
                if reader.stage == ReaderStage::LooksSecond {
                    self.judge(&turn, reader.seen, stamp, next);
                } else {
                    let looked = Reader {
                        stamp,
                        ..turn.at(ReaderStage::GetsSecond)
                    };
                    next.to("looks at the dependency", [], turn.state(looked));
                }
            }
            ReaderStage::GetsQuery => {
                let got = Reader {
                    seen: query,
                    ..turn.at(ReaderStage::LooksSecond)
                };
                next.to("GET query", [], turn.state(got));
            }
            ReaderStage::GetsSecond => self.judge(&turn, query, reader.stamp, next),
            ReaderStage::Missed | ReaderStage::Stamping | ReaderStage::Filling => {
                self.miss(&turn, next);
            }
            ReaderStage::Keeping => {
                let mut to = turn.state(Reader::default());
                if reader.is_current {
                    to.entry = Some(reader.loaded);
                }
                next.to("keeps v# if current", [reader.loaded], to);
            }
        }
    }

    fn begin(&self, turn: &Turn<'_>, next: &mut Next<'_>) {
        let (owed, node) = match turn.keeps {
            true => (self.trust(turn.at), turn.at.map),
            false => (Some(0), turn.at.other_map),
        };
        let Some(owed) = owed else {
            return;
        };
        for stage in [ReaderStage::GetsQuery, ReaderStage::LooksFirst] {
            let begun = Reader {
                stage,
                is_current: true,
                owed,
                node,
                ..Reader::default()
            };
            next.to("begins", [], turn.state(begun));
        }
    }

    fn judge(&self, turn: &Turn<'_>, seen: Query, found: u8, next: &mut Next<'_>) {
        let reader = turn.reader;
        if let Query::Value {
            version,
            stamp,
            history,
        } = seen
            && found != 0
            && stamp == found
            && (history == reader.node || !self.rules.records_history)
        {
            if turn.keeps && version < reader.owed {
                let numbers = [version, reader.owed];
                next.0
                    .broken("R is served v#, and v# had returned", numbers);
            }
            let kept = Reader {
                loaded: version,
                ..turn.at(ReaderStage::Keeping)
            };
            let reader = if turn.keeps { kept } else { Reader::default() };
            next.to("is served v#", [version], turn.state(reader));
            return;
        }
        let missed = Reader {
            stamp: found,
            ..turn.at(ReaderStage::Missed)
        };
        next.to("a miss", [], turn.state(missed));
    }

    fn miss(&self, turn: &Turn<'_>, next: &mut Next<'_>) {
        let (at, reader) = (turn.at, turn.reader);
        match reader.stage {
            ReaderStage::Missed => {
                if let Query::Lease(_) = at.query {
                    next.to("loads without filling", [], turn.state(Reader::default()));
                    return;
                }
                let token = at.fresh();
                let mut to = turn.state(Reader {
                    stamp: reader.stamp,
                    token,
                    ..turn.at(ReaderStage::Stamping)
                });
                to.query = Query::Lease(token);
                next.to("ACQUIRE", [], to);
            }
            ReaderStage::Stamping => self.take_stamp(turn, next),
            _ => {
                let is_leased = at.query == Query::Lease(reader.token);
                let kept = Reader {
                    loaded: reader.loaded,
                    ..turn.at(ReaderStage::Keeping)
                };
                let mut to = match is_leased && turn.keeps {
                    true => turn.state(kept),
                    false => turn.state(Reader::default()),
                };
                if is_leased {
                    to.query = Query::Value {
                        version: reader.loaded,
                        stamp: reader.stamp,
                        history: reader.node,
                    };
                }
                next.to("FILL v#", [reader.loaded], to);
            }
        }
    }

    fn take_stamp(&self, turn: &Turn<'_>, next: &mut Next<'_>) {
        let (at, reader) = (turn.at, turn.reader);
        if reader.stamp != 0 {
            let loaded = Reader {
                stage: ReaderStage::Filling,
                loaded: at.row,
                ..reader
            };
            next.to("loads v#", [at.row], turn.state(loaded));
            return;
        }
        let node = self.looks_at(at, reader.node);
        let key = node.map(|node| at.key(node));
        let Some((node, key)) = node.zip(key).filter(|(_, key)| *key != Key::Quarantine) else {
            let mut to = turn.state(Reader::default());
            if at.query == Query::Lease(reader.token) {
                to.query = Query::Absent;
            }
            next.to("STAMP is refused, ABANDON", [], to);
            return;
        };
        let found = self.stamp(key, node);
        if found != 0 {
            let stamped = Reader {
                stamp: found,
                ..reader
            };
            next.to("STAMP: there", [], turn.state(stamped));
            return;
        }
        let stamp = at.fresh();
        let mut to = turn.state(Reader { stamp, ..reader });
        let history = match self.rules.follows_no_ask {
            true => reader.node,
            false => node,
        };
        to.set_key(node, Key::Mark { stamp, history });
        next.to("STAMP: a mark at node #", [node as u8], to);
    }
}
