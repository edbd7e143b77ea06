//! The statements of a table, written once.
//!
//! Parameters stand in the order in which they are bound, because MySQL's have no numbers.

use std::marker::PhantomData;
use std::sync::Arc;

use super::database::LIST;
use super::{Column, Table, Tables};

/// The statements of one table.
pub(super) struct Statements<E, D> {
    /// `SELECT columns FROM table`.
    pub(super) select: String,
    /// ` ORDER BY ...`.
    pub(super) order: String,
    pub(super) by_id: Arc<str>,
    pub(super) lock: Arc<str>,
    pub(super) share: Arc<str>,
    /// Inserts a row without the values that the database sets.
    pub(super) insert: Arc<str>,
    /// Inserts a row with its id.
    pub(super) save: Arc<str>,
    /// The same, unless its id is taken.
    pub(super) save_absent: Arc<str>,
    /// Sets all columns of a row; `None` if it has only an id.
    pub(super) update: Option<Arc<str>>,
    pub(super) delete: Arc<str>,
    /// Reads the row that the last INSERT made, if it could not return it.
    pub(super) inserted: Arc<str>,
    of: PhantomData<fn() -> (E, D)>,
}

impl<E: Table<D>, D: Tables> Statements<E, D> {
    pub(super) fn new() -> Self {
        let table = D::quote(E::NAME);
        let columns = selected::<D>(E::COLUMNS);
        let select = format!("SELECT {columns} FROM {table}");
        let order = match E::ORDER {
            Some(order) => format!(" ORDER BY {order}"),
            None => format!(" ORDER BY {}", names::<D>(|it| it.is_id, E::COLUMNS)),
        };
        let returning = if D::HAS_RETURNING {
            format!(" RETURNING {columns}")
        } else {
            String::new()
        };
        let by_id = format!("{select} WHERE {}", Self::id_from(1));
        let insert = |is_bound: fn(&Column) -> bool, conflict: &str| {
            let names = names::<D>(is_bound, E::COLUMNS);
            let values = parameters::<D>(E::COLUMNS.iter().filter(|it| is_bound(it)).count());
            match names.as_str() {
                "" => format!("INSERT INTO {table} {}{returning}", D::DEFAULT_VALUES).into(),
                _ => {
                    format!("INSERT INTO {table} ({names}) VALUES ({values}){conflict}{returning}")
                        .into()
                }
            }
        };
        let id = names::<D>(|it| it.is_id, E::COLUMNS);
        let absent = format!(" ON CONFLICT ({id}) DO NOTHING");
        let ids: Vec<&Column> = E::COLUMNS.iter().filter(|it| it.is_id).collect();
        let inserted = match &ids[..] {
            [id] => format!("{select} WHERE {} = LAST_INSERT_ID()", D::quote(id.name)),
            _ => by_id.clone(),
        };
        Self {
            order,
            share: format!("{by_id}{}", D::FOR_SHARE).into(),
            lock: format!("{by_id}{}", D::FOR_UPDATE).into(),
            by_id: by_id.into(),
            insert: insert(|it| it.is_inserted, ""),
            save: insert(|it| it.is_saved, ""),
            save_absent: insert(|it| it.is_saved, &absent),
            update: Self::update(&table, &returning),
            delete: format!("DELETE FROM {table} WHERE {}{returning}", Self::id_from(1)).into(),
            inserted: inserted.into(),
            select,
            of: PhantomData,
        }
    }

    /// Returns the UPDATE of a row. It compares the version, and increments it.
    fn update(table: &str, returning: &str) -> Option<Arc<str>> {
        let mut number = 0;
        let mut sets = Vec::new();
        for column in E::COLUMNS {
            let name = D::quote(column.name);
            if column.is_updated {
                number += 1;
                sets.push(format!("{name} = {}", D::parameter(number)));
            }
        }
        if sets.is_empty() {
            return None;
        }
        let id = Self::id_from(number + 1);
        number += E::COLUMNS.iter().filter(|it| it.is_id).count();
        let version = E::COLUMNS.iter().find(|it| it.is_version);
        let compared = version.map_or_else(String::new, |column| {
            let name = D::quote(column.name);
            // A version that is never saved is incremented by the database.
            if column.is_saved {
                sets.push(format!("{name} = {name} + 1"));
            }
            format!(" AND {name} = {}", D::parameter(number + 1))
        });
        let sets = sets.join(", ");
        Some(format!("UPDATE {table} SET {sets} WHERE {id}{compared}{returning}").into())
    }

    /// Returns the condition of an id, whose first parameter has this number.
    fn id_from(number: usize) -> String {
        let ids = E::COLUMNS.iter().filter(|it| it.is_id);
        let names: Vec<&str> = ids.map(|column| column.name).collect();
        equal::<D>(&names, number)
    }

    /// Returns the SELECT of the rows with one of `count` ids.
    pub(super) fn by_ids(&self, count: usize) -> Arc<str> {
        let ids: Vec<&Column> = E::COLUMNS.iter().filter(|it| it.is_id).collect();
        let condition = if let [id] = &ids[..] {
            format!("{} IN ({})", D::quote(id.name), parameters::<D>(count))
        } else {
            let each = (0..count).map(|place| Self::id_from(place * ids.len() + 1));
            let each: Vec<String> = each.map(|condition| format!("({condition})")).collect();
            each.join(" OR ")
        };
        format!("{} WHERE {condition}", self.select).into()
    }

    /// Returns the SELECT of `count` lists by the same columns. Each row has the number
    /// of its list in [`LIST`]; the database compares, by its own collation.
    pub(super) fn lists(columns: &[&str], count: usize) -> Arc<str> {
        let asked = (0..count).map(|list| {
            let values = (0..columns.len()).map(|place| {
                let parameter = D::parameter(list * columns.len() + place + 1);
                format!("{parameter} AS aside_value_{place}")
            });
            let values = values.collect::<Vec<_>>().join(", ");
            format!("SELECT {list} AS {LIST}, {values}")
        });
        let asked = asked.collect::<Vec<_>>().join(" UNION ALL ");
        let table = D::quote(E::NAME);
        let equal = columns
            .iter()
            .enumerate()
            .map(|(place, name)| format!("{table}.{} = aside_value_{place}", D::quote(name)));
        let equal = equal.collect::<Vec<_>>().join(" AND ");
        let selected = selected::<D>(E::COLUMNS);
        let order = match E::ORDER {
            Some(order) => order.to_owned(),
            None => names::<D>(|it| it.is_id, E::COLUMNS),
        };
        format!(
            "SELECT {LIST}, {selected} FROM ({asked}) AS aside_asked JOIN {table} ON {equal} \
             ORDER BY {LIST}, {order}"
        )
        .into()
    }
}

/// Returns the condition that these columns have the values of the parameters from this
/// number on.
pub(super) fn equal<D: Tables>(columns: &[&str], number: usize) -> String {
    let equal = columns.iter().enumerate().map(|(place, name)| {
        let name = D::quote(name);
        format!("{name} = {}", D::parameter(number + place))
    });
    equal.collect::<Vec<_>>().join(" AND ")
}

/// Returns the SQL of all columns that reads return.
pub(super) fn selected<D: Tables>(columns: &[Column]) -> String {
    let read = columns.iter().filter(|column| column.is_read);
    let selected = read.map(|column| {
        let name = D::quote(column.name);
        match column.expression {
            Some(sql) => format!("({sql}) AS {name}"),
            None => name,
        }
    });
    selected.collect::<Vec<_>>().join(", ")
}

pub(super) fn names<D: Tables>(is_named: impl Fn(&Column) -> bool, columns: &[Column]) -> String {
    let named = columns.iter().filter(|it| is_named(it));
    let names: Vec<String> = named.map(|it| D::quote(it.name)).collect();
    names.join(", ")
}

fn parameters<D: Tables>(count: usize) -> String {
    let parameters: Vec<String> = (1..=count).map(D::parameter).collect();
    parameters.join(", ")
}
