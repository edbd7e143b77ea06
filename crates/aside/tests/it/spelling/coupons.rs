//! A repository that folds the spellings of a text.

use std::collections::BTreeMap;
use std::sync::Arc;

use aside::{
    Entity, Repository, Rows, Source, Write,
    repository::{Id, Index, Overloaded, Row},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::database::DatabaseError;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "coupon")]
pub(super) struct Coupon {
    #[entity(id)]
    pub(super) code: String,
    #[entity(index)]
    pub(super) shop: String,
    pub(super) percent: u32,
}

pub(super) fn coupon(code: &str, percent: u32) -> Coupon {
    Coupon {
        code: code.to_owned(),
        shop: "Books".to_owned(),
        percent,
    }
}

/// A table whose columns are compared without regard to case or to trailing
/// blanks.
#[derive(Clone, Default)]
pub(super) struct Coupons(Arc<Mutex<BTreeMap<String, Arc<Coupon>>>>);

fn folded(text: &str) -> String {
    text.trim_end().to_lowercase()
}

impl Source for Coupons {
    type Entity = Coupon;
    type Error = DatabaseError;

    async fn find_by_id(&self, id: &Id<Self>) -> Result<Option<Row<Self>>, DatabaseError> {
        Ok(self.0.lock().get(&folded(id)).cloned())
    }

    async fn find_many(&self, ids: &[Id<Self>]) -> Result<Vec<Option<Row<Self>>>, DatabaseError> {
        let rows = self.0.lock();
        Ok(ids
            .iter()
            .map(|id| rows.get(&folded(id)).cloned())
            .collect())
    }

    async fn find_by(&self, index: &Index<Self>) -> Result<Rows<Coupon>, DatabaseError> {
        let CouponIndex::Shop(shop) = index;
        let stands = |row: &&Arc<Coupon>| folded(&row.shop) == folded(shop);
        Ok(self.0.lock().values().filter(stands).cloned().collect())
    }

    async fn list_all(&self) -> Result<Rows<Coupon>, DatabaseError> {
        Ok(self.0.lock().values().cloned().collect())
    }

    fn overloaded(&self, _: Overloaded) -> DatabaseError {
        DatabaseError::Overloaded
    }
}

impl Repository for Coupons {
    async fn save_in(&self, row: Coupon, write: &mut Write) -> Result<Row<Self>, DatabaseError> {
        write.created(&row);
        let _ = write.before_commit().await;
        let row = Arc::new(row);
        self.0.lock().insert(folded(&row.code), Arc::clone(&row));
        Ok(row)
    }

    async fn update_in(
        &self,
        row: Coupon,
        write: &mut Write,
    ) -> Result<Option<Row<Self>>, DatabaseError> {
        let Some(before) = self.0.lock().get(&folded(&row.code)).cloned() else {
            return Ok(None);
        };
        write.updated(&*before, &row);
        let _ = write.before_commit().await;
        let row = Arc::new(row);
        self.0.lock().insert(folded(&row.code), Arc::clone(&row));
        Ok(Some(row))
    }

    async fn delete_in(&self, id: &String, write: &mut Write) -> Result<bool, DatabaseError> {
        let Some(before) = self.0.lock().get(&folded(id)).cloned() else {
            return Ok(false);
        };
        write.deleted(&*before);
        let _ = write.before_commit().await;
        Ok(self.0.lock().remove(&folded(id)).is_some())
    }
}
