//! The statements that create the triggers of one kind on one table.

use super::dialect::{BYTES, Sqlite, UNKEYED};
use crate::triggers::{
    Dialect as _, KindKeys, MAX_KEYS_PER_STATEMENT, Value, identifier, literal, table,
    whole_kind_entry,
};

/// The number of rows whose keys are computed at installation.
const SAMPLE: usize = 100;

/// The events of the triggers, and their rows.
const EVENTS: [(&str, &str, &[&str]); 3] = [
    ("inserted", "AFTER INSERT", &["NEW"]),
    ("updated", "AFTER UPDATE", &["OLD", "NEW"]),
    ("deleted", "AFTER DELETE", &["OLD"]),
];

/// REPLACE deletes conflicting rows without firing a trigger for them.
const REPLACING: [(&str, &str); 2] = [
    ("replaced", "BEFORE INSERT"),
    ("replaced_by_update", "BEFORE UPDATE"),
];

/// The columns of a unique constraint, and the collations by which two rows
/// conflict.
pub(super) type Unique = Vec<(String, String)>;

/// The triggers of one kind on one table.
pub(super) struct TriggerSet<'a> {
    pub(super) table: &'a str,
    pub(super) kind: &'a KindKeys,
    pub(super) only: Option<&'a [String]>,
    pub(super) unique: &'a [Unique],
    pub(super) dialect: &'a Sqlite,
}

impl TriggerSet<'_> {
    /// Returns SQL that computes the keys of some rows.
    pub(super) fn check(&self) -> String {
        let mut values = self.kind.sql("r", self.dialect);
        values.extend(self.compared("r"));
        let (values, on) = (values.join(", "), table(self.table));
        format!("SELECT {values} FROM {on} AS r LIMIT {SAMPLE}")
    }

    /// Returns the statements by the names of the triggers.
    pub(super) fn statements(&self) -> Vec<(String, String)> {
        let mut statements = Vec::new();
        for (suffix, event, rows) in EVENTS {
            let keys = rows.iter().flat_map(|row| self.kind.sql(row, self.dialect));
            let keys: Vec<String> = keys.map(|key| format!("SELECT {key} AS key")).collect();
            let condition = (suffix == "updated").then(|| self.differs());
            statements.push(self.trigger(suffix, event, condition.flatten(), &keys));
        }
        if self.unique.is_empty() {
            return statements;
        }
        let in_the_way: Vec<String> = self.unique.iter().map(same).collect();
        let in_the_way = in_the_way.join(" OR ");
        for (suffix, event) in REPLACING {
            let keys = self.kind.sql("r", self.dialect).into_iter();
            let on = table(self.table);
            let keys: Vec<String> = keys
                .map(|key| format!("SELECT {key} AS key FROM {on} AS r WHERE {in_the_way}"))
                .collect();
            let condition = (suffix == "replaced_by_update").then(|| self.moves());
            statements.push(self.trigger(suffix, event, condition.flatten(), &keys));
        }
        statements
    }

    /// Returns the values by which a row before and after an UPDATE is compared.
    fn compared(&self, row: &str) -> Vec<String> {
        let Some(only) = self.only else {
            return Vec::new();
        };
        let columns = only.iter().map(|name| Value::Column(name.clone()));
        let mut values: Vec<String> = columns.map(|it| self.dialect.value(row, &it)).collect();
        values.extend(self.kind.values(row, self.dialect));
        values
    }

    /// Returns the condition under which an UPDATE changes a compared value.
    fn differs(&self) -> Option<String> {
        let values = self.compared("OLD").into_iter().zip(self.compared("NEW"));
        let differ: Vec<String> = values.map(|(old, new)| differ(&old, &new)).collect();
        (!differ.is_empty()).then(|| differ.join(" OR "))
    }

    /// Returns the condition under which an UPDATE may replace other rows, if
    /// not every UPDATE is recorded anyway.
    fn moves(&self) -> Option<String> {
        self.only?;
        let columns = self
            .unique
            .iter()
            .flatten()
            .map(|(name, _)| identifier(name));
        let differ: Vec<String> = columns
            .map(|name| differ(&format!("OLD.{name}"), &format!("NEW.{name}")))
            .collect();
        Some(differ.join(" OR "))
    }

    /// Returns a trigger that records keys, given as SELECTs.
    ///
    /// A key that is already in the journal gets a new row, because a process may
    /// be about to delete the old one. If there are many keys, the row of the kind
    /// replaces them. Row triggers cannot save more rows, because each row of a
    /// statement fires separately.
    fn trigger(
        &self,
        suffix: &str,
        event: &str,
        condition: Option<String>,
        keys: &[String],
    ) -> (String, String) {
        let name = format!(
            "cache_journal_of_{} on {} {suffix}",
            self.kind.kind, self.table
        );
        let condition = condition.map_or_else(String::new, |it| format!("AND ({it})"));
        let keys = keys.join(" UNION ");
        let whole_kind = whole_kind_entry(self.kind.kind);
        let keys = format!(
            "SELECT CASE WHEN instr(key, {UNKEYED}) THEN {whole_kind} ELSE key END
               FROM ({keys}) WHERE key IS NOT NULL"
        );
        // ';' is the character after ':'.
        let of_kind = format!(
            "{} <= key AND key < {}",
            literal(&format!("{}:", self.kind.prefix)),
            literal(&format!("{};", self.kind.prefix)),
        );
        let forgotten = format!("EXISTS (SELECT 1 FROM cache_journal WHERE key = {whole_kind})");
        let create = format!(
            "CREATE TRIGGER {name} {event} ON {on}
             WHEN NOT EXISTS (SELECT 1 FROM cache_journal_writer) {condition}
             BEGIN
                 DELETE FROM cache_journal WHERE key IN ({keys});
                 INSERT INTO cache_journal (key) {keys};
                 INSERT INTO cache_journal (key) SELECT {whole_kind}
                  WHERE {forgotten} OR {MAX_KEYS_PER_STATEMENT} < (
                      SELECT count(*) FROM (SELECT 1 FROM cache_journal WHERE {of_kind}
                                             LIMIT {MAX_KEYS_PER_STATEMENT} + 1));
                 DELETE FROM cache_journal WHERE {of_kind} AND {forgotten};
                 DELETE FROM cache_journal WHERE key = {whole_kind}
                    AND id < (SELECT max(id) FROM cache_journal WHERE key = {whole_kind});
             END",
            name = identifier(&name),
            on = table(self.table),
        );
        (name, create)
    }
}

/// Returns the condition under which two values are not the same, by bytes.
fn differ(old: &str, new: &str) -> String {
    format!("{old} IS NOT {new} {BYTES} OR typeof({old}) <> typeof({new})")
}

/// Returns the condition under which the row `r` conflicts with the new one.
fn same(columns: &Unique) -> String {
    let same: Vec<String> = columns
        .iter()
        .map(|(column, collation)| (identifier(column), identifier(collation)))
        .map(|(column, collation)| format!("r.{column} = NEW.{column} COLLATE {collation}"))
        .collect();
    format!("({})", same.join(" AND "))
}
