//! The source of a table.

/// Defines a source: a type that reads the rows of a table.
///
/// The row derives diesel's `Queryable` and `Selectable`, and [`aside::Entity`]. Each
/// variant of the index is found by the column that follows it, and a list is in the
/// order of the id. For a join, an index of several columns or another order, implement
/// [`aside::Source`] by hand; [`aside::in_order`] sorts a batch.
///
/// The crate's documentation has an example.
#[macro_export]
macro_rules! source {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident: $row:ty {
            table: $table:expr,
            id: $id:expr,
            lists: $index:ident { $($variant:ident => $column:expr),* $(,)? } $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        $visibility struct $name($crate::Connections);

        impl $name {
            /// Reads over these connections.
            #[must_use]
            #[allow(dead_code)]
            $visibility fn new(connections: &$crate::Connections) -> Self {
                Self(connections.clone())
            }
        }

        const _: () = {
            use ::std::sync::Arc;
            use $crate::for_macros::{
                Entity, ExpressionMethods as _, OptionalExtension as _, Overloaded, Pg,
                QueryDsl as _, Rows, RunQueryDsl as _, SelectableHelper, Source, in_order,
            };

            type Id = <$row as Entity>::Id;

            impl Source for $name {
                type Entity = $row;
                type Error = $crate::Error;

                async fn find_by_id(
                    &self,
                    id: &Id,
                ) -> Result<Option<Arc<$row>>, $crate::Error> {
                    let mut connection = self.0.get().await?;
                    let find = $table.filter($id.eq(id.clone()));
                    let find = find.select(<$row as SelectableHelper<Pg>>::as_select());
                    let found: Option<$row> = find.first(&mut *connection).await.optional()?;
                    Ok(found.map(Arc::new))
                }

                async fn find_many(
                    &self,
                    ids: &[Id],
                ) -> Result<Vec<Option<Arc<$row>>>, $crate::Error> {
                    let mut connection = self.0.get().await?;
                    let find = $table.filter($id.eq_any(ids.to_vec()));
                    let find = find.select(<$row as SelectableHelper<Pg>>::as_select());
                    let rows: Vec<$row> = find.load(&mut *connection).await?;
                    Ok(in_order(ids, rows))
                }

                #[allow(unused_variables, unused_mut, unreachable_code)]
                async fn find_by(
                    &self,
                    index: &<$row as Entity>::Index,
                ) -> Result<Rows<$row>, $crate::Error> {
                    let mut connection = self.0.get().await?;
                    let rows: Vec<$row> = match *index {
                        $($index::$variant(ref value) => {
                            let find = $table.filter($column.eq(value.clone())).order($id);
                            let find = find.select(<$row as SelectableHelper<Pg>>::as_select());
                            find.load(&mut *connection).await?
                        })*
                    };
                    Ok(rows.into_iter().map(Arc::new).collect())
                }

                async fn list_all(&self) -> Result<Rows<$row>, $crate::Error> {
                    let mut connection = self.0.get().await?;
                    let find = $table.order($id);
                    let find = find.select(<$row as SelectableHelper<Pg>>::as_select());
                    let rows: Vec<$row> = find.load(&mut *connection).await?;
                    Ok(rows.into_iter().map(Arc::new).collect())
                }

                fn overloaded(&self, why: Overloaded) -> $crate::Error {
                    why.into()
                }
            }
        };
    };
}
