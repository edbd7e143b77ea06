//! Changes of stories when their child or hero changes.
//!
//! The child or hero is locked before any of its stories, and a story is
//! attached to it only under that lock. So no story can join or leave between
//! the statements below.

use std::collections::HashMap;

use aside::Write;
use uuid::Uuid;

use super::super::columns::Present;
use super::super::statement::{Statement, Value};
use super::super::transaction::Transaction;
use crate::domain::{Child, Story, TaleError, now};

/// Up to this many stories are recorded one by one. Above it, the whole kind is
/// invalidated instead, and no story is loaded into memory.
const RECORDED_ONE_BY_ONE: usize = 1_000;

/// `$1`: the child's id.
pub(super) const OF_CHILD: Statement = Statement::both(select!(
    "stories WHERE child_id = $1 ORDER BY created_at, id"
));

struct Cascade {
    /// Locks the stories of `$1` by id, the order of every lock.
    lock: Statement,
    /// The stories of `$1`.
    read: Statement,
    /// Rewrites the stories of `$1` at the time `$2`.
    rewrite: Statement,
}

const LOCK_OF_CHILD: Statement = Statement::each(
    "SELECT id FROM stories WHERE child_id = $1 ORDER BY id",
    "SELECT id FROM stories WHERE child_id = $1 ORDER BY id FOR UPDATE",
);

const FOLLOW_NAME: Cascade = Cascade {
    lock: LOCK_OF_CHILD,
    read: OF_CHILD,
    rewrite: Statement::both(returning!(
        "UPDATE stories
            SET child_name = $3,
                updated_at = CASE WHEN updated_at < $2 THEN $2 ELSE updated_at END,
                version = version + 1
          WHERE child_id = $1"
    )),
};

const LEAVE_CHILD: Cascade = Cascade {
    lock: LOCK_OF_CHILD,
    read: OF_CHILD,
    rewrite: Statement::both(returning!(
        "UPDATE stories
            SET child_id = NULL,
                updated_at = CASE WHEN updated_at < $2 THEN $2 ELSE updated_at END,
                version = version + 1
          WHERE child_id = $1"
    )),
};

const LEAVE_HERO: Cascade = Cascade {
    lock: Statement::each(
        "SELECT id FROM stories WHERE hero_id = $1 ORDER BY id",
        "SELECT id FROM stories WHERE hero_id = $1 ORDER BY id FOR UPDATE",
    ),
    read: Statement::both(select!("stories WHERE hero_id = $1")),
    rewrite: Statement::both(returning!(
        "UPDATE stories
            SET hero_id = NULL,
                updated_at = CASE WHEN updated_at < $2 THEN $2 ELSE updated_at END,
                version = version + 1
          WHERE hero_id = $1"
    )),
};

/// Gives the stories of `child`, which is locked, its new name.
pub(in crate::sql) async fn follow_name(
    transaction: &mut Transaction,
    child: &Child,
    write: &mut Write,
) -> Result<(), TaleError> {
    let name = Value::text(&child.name);
    rewrite(transaction, &FOLLOW_NAME, child.id, Some(name), write).await
}

/// Removes the child, which is locked, from its stories; they keep its name.
pub(in crate::sql) async fn leave_child(
    transaction: &mut Transaction,
    child: Uuid,
    write: &mut Write,
) -> Result<(), TaleError> {
    rewrite(transaction, &LEAVE_CHILD, child, None, write).await
}

/// Removes the hero, which is locked, from its stories.
pub(in crate::sql) async fn leave_hero(
    transaction: &mut Transaction,
    hero: Uuid,
    write: &mut Write,
) -> Result<(), TaleError> {
    rewrite(transaction, &LEAVE_HERO, hero, None, write).await
}

async fn rewrite(
    transaction: &mut Transaction,
    cascade: &Cascade,
    owner: Uuid,
    name: Option<Value>,
    write: &mut Write,
) -> Result<(), TaleError> {
    let mut values = vec![Value::id(owner), Value::Time(now())];
    values.extend(name);
    let locked: Vec<Present> = transaction
        .fetch(cascade.lock, vec![Value::id(owner)], "story")
        .await?;
    if locked.is_empty() {
        return Ok(());
    }
    if RECORDED_ONE_BY_ONE < locked.len() {
        transaction
            .execute(cascade.rewrite, values, "story")
            .await?;
        write.whole_kind::<Story>();
        return Ok(());
    }
    let before: Vec<Story> = transaction
        .fetch(cascade.read, vec![Value::id(owner)], "story")
        .await?;
    let after: Vec<Story> = transaction.fetch(cascade.rewrite, values, "story").await?;
    let before: HashMap<Uuid, Story> = before.into_iter().map(|row| (row.id, row)).collect();
    for after in &after {
        match before.get(&after.id) {
            Some(before) => write.updated(before, after),
            // The lock rules this out, and invalidating too much is safe.
            None => write.whole_kind::<Story>(),
        }
    }
    Ok(())
}
