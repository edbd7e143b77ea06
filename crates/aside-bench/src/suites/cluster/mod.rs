//! Three primaries beside one: hits in Redis, the cost of an idle instance, a dead
//! primary, and slots that move under writes.

mod stage;
mod dead;
mod idle;
mod resharding;
mod speed;

use crate::error::Wrong;
use crate::table::Table;

pub(crate) async fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let mut tables = speed::run(quick)?;
    tables.push(idle::run(quick).await?);
    tables.push(dead::run(quick).await?);
    tables.push(resharding::run(quick).await?);
    Ok(tables)
}
