//! The writer of the dependency, and the reader of its row.

use super::{
    Connection, Key, MESSAGE, Next, Node, OtherShard, Route, RowReader, RowStage, State, Writer,
    WriterStage,
};

impl State {
    /// Publishes at a node.
    fn publish(&mut self, node: Node) {
        if node == self.map && self.connection != Connection::Dead {
            self.channel.push(MESSAGE);
        }
    }

    /// The node that executes a command that is sent to `node`, and whether it followed
    /// ASK.
    fn executes(&self, node: Node) -> (Node, bool) {
        let route = match self.route(node) {
            Route::Moved | Route::NoAnswer => self.route(self.node()),
            route => route,
        };
        match route {
            Route::Here(node) => (node, false),
            _ => (Node::C, true),
        }
    }
}

impl OtherShard {
    pub(super) fn write(&self, at: &State, next: &mut Next<'_>) {
        let Writer {
            stage,
            at: node,
            version,
        } = at.writer;
        let mut to = *at;
        match stage {
            WriterStage::Idle if at.writes > 0 => {
                self.quarantine(at, Node::B, next);
                if at.route(Node::B) != Route::NoAnswer {
                    self.quarantine(at, Node::C, next);
                }
            }
            WriterStage::Idle => {}
            WriterStage::Asked => {
                to.writer.stage = WriterStage::Quarantined;
                to.publish(Node::B);
                next.to("W publishes at B, which gave the ASK", [], to);
            }
            WriterStage::Quarantined => {
                to.row += 1;
                to.writer.stage = WriterStage::Committed;
                to.writer.version = to.row;
                next.to("W commits v#", [to.row], to);
            }
            WriterStage::Committed => self.release(at, (node, version), next),
            WriterStage::Publishing => {
                to.publish(Node::B);
                to.returned = at.returned.max(version);
                to.writer = Writer::default();
                next.to("W publishes at B, returns", [], to);
            }
        }
    }

    fn quarantine(&self, at: &State, node: Node, next: &mut Next<'_>) {
        let mut to = *at;
        let (executed, asked) = at.executes(node);
        to.set_key(executed, Key::Quarantine);
        to.writes -= 1;
        to.publish(executed);
        to.writer = Writer {
            stage: match asked && self.rules.tells_asker {
                true => WriterStage::Asked,
                false => WriterStage::Quarantined,
            },
            at: executed,
            version: 0,
        };
        next.to("W QUARANTINE at node #", [executed as u8], to);
    }

    fn release(&self, at: &State, (node, version): (Node, u8), next: &mut Next<'_>) {
        let mut to = *at;
        let (executed, asked) = at.executes(node);
        let is_lost = at.key(executed) != Key::Quarantine;
        to.set_key(executed, Key::Absent);
        if is_lost {
            to.publish(executed);
        }
        let tells = is_lost || self.rules.tells_of_release;
        if tells && asked && self.rules.tells_asker {
            to.writer = Writer {
                stage: WriterStage::Publishing,
                at: executed,
                version,
            };
            next.to("W RELEASE at node # by ASK", [executed as u8], to);
        } else {
            to.writer = Writer::default();
            to.returned = at.returned.max(version);
            next.to("W RELEASE at node #, returns", [executed as u8], to);
        }
    }

    pub(super) fn read_row(&self, at: &State, next: &mut Next<'_>) {
        let RowReader {
            stage,
            may_begin,
            token,
            at: node,
        } = at.row_reader;
        let (mut to, owner) = (*at, at.node());
        match stage {
            RowStage::Idle => {
                let is_free = matches!(at.key(owner), Key::Absent | Key::Mark { .. });
                if may_begin && at.route(owner) == Route::Here(owner) && is_free {
                    let token = at.fresh();
                    to.set_key(owner, Key::Lease { stamp: token });
                    to.row_reader = RowReader {
                        stage: RowStage::Leased,
                        may_begin: false,
                        token,
                        at: owner,
                    };
                    next.to("X ACQUIRE", [], to);
                }
            }
            RowStage::Leased => {
                to.row_reader = RowReader::default();
                let lease = Key::Lease { stamp: token };
                if at.route(node) != Route::Here(node) {
                    if at.key(owner) == lease {
                        to.set_key(owner, Key::Absent);
                    }
                    next.to("X FILL is redirected, ABANDON", [], to);
                } else if at.key(node) == lease {
                    to.set_key(
                        node,
                        Key::Mark {
                            stamp: token,
                            history: node,
                        },
                    );
                    next.to("X FILL", [], to);
                } else {
                    next.to("X FILL is refused", [], to);
                }
            }
        }
    }
}
