//! A Sentinel's replies to clients.

use aside_redis::{WireReply, resp::Sent};
use bytes::Bytes;

use super::Sentinel;
use crate::simulation::commands::{array, error, integer, status, string};
use crate::simulation::host::{Host, Machine, Push};
use crate::simulation::sentinels::{PORT, SENTINEL_PORT, SERVICE, name_of, sentinel_name};

impl Host for Sentinel {
    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn execute(&self, _: u64, words: &[Bytes], _: &dyn Fn() -> Push) -> Sent {
        let text = |at: usize| String::from_utf8_lossy(words.get(at).map_or(b"", |it| it));
        let is_known = || text(2) == SERVICE;
        Sent::Reply(match (&*text(0), &*text(1)) {
            ("HELLO", _) => array(["server", "redis", "mode", "sentinel"].map(string)),
            ("CLIENT", _) => status("OK"),
            ("PING", _) => status("PONG"),
            ("SENTINEL", "MYID") => string(&run_id(self.number)),
            ("SENTINEL", "IS-MASTER-DOWN-BY-ADDR") => {
                self.vote(&text(2), &text(3), text(4).parse().unwrap_or(0))
            }
            ("SENTINEL", "GET-MASTER-ADDR-BY-NAME") if is_known() => {
                let named = self.view.lock().named();
                array([string(&name_of(named)), string(PORT)])
            }
            ("SENTINEL", "GET-MASTER-ADDR-BY-NAME") => WireReply::Nil,
            ("SENTINEL", "MASTER") if is_known() => self.primary(),
            ("SENTINEL", "SENTINELS") if is_known() => self.others(),
            ("SENTINEL", _) => error("ERR No such master with that name"),
            (unknown, _) => error(&format!("ERR unknown command '{unknown}'")),
        })
    }
}

impl Sentinel {
    fn primary(&self) -> WireReply {
        let view = self.view.lock();
        let mut flags = vec!["master"];
        if view.is_primary_down() {
            flags.push("s_down");
        }
        if view.is_failing_over() {
            flags.push("failover_in_progress");
        }
        fields(&[
            ("name", SERVICE),
            ("ip", &name_of(view.primary)),
            ("port", PORT),
            ("runid", &run_id(100 + view.primary)),
            ("flags", &flags.join(",")),
            ("config-epoch", &view.config_epoch.to_string()),
            ("num-other-sentinels", &(self.count - 1).to_string()),
            ("quorum", &view.majority().to_string()),
        ])
    }

    fn others(&self) -> WireReply {
        let others = (0..self.count).filter(|other| *other != self.number);
        array(others.map(|other| {
            let (name, id) = (sentinel_name(other), run_id(other));
            fields(&[
                ("name", &name),
                ("ip", &name),
                ("port", SENTINEL_PORT),
                ("runid", &id),
            ])
        }))
    }

    /// Returns the last vote about the primary, if it is at this address.
    fn vote(&self, host: &str, port: &str, epoch: u64) -> WireReply {
        let mut view = self.view.lock();
        if (host, port) != (&*name_of(view.primary), PORT) {
            return array([integer(0), string("*"), integer(0)]);
        }
        // Clients ask in epoch 0, in which no Sentinel votes.
        assert_eq!(epoch, 0, "a client asked for a vote");
        let vote = view.vote_for(usize::MAX, epoch);
        let leader = vote.leader.map_or_else(|| "*".to_owned(), run_id);
        let is_down = u64::from(view.is_primary_down());
        array([integer(is_down), string(&leader), integer(vote.epoch)])
    }
}

fn fields(pairs: &[(&str, &str)]) -> WireReply {
    let words = pairs.iter().flat_map(|(name, value)| [*name, *value]);
    array(words.map(string))
}

fn run_id(number: usize) -> String {
    format!("{:040x}", number + 1)
}
