//! Columns, and the ids that are composed of them.

/// The SQL of a value of a row.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Column(String),
    /// SQL in which [`ROW`] stands for the row.
    Sql(String),
}

/// The placeholder of the row in the SQL of a value.
pub(crate) const ROW: &str = "{row}";

/// The columns of an id or of an index value.
///
/// | columns | the id or value |
/// |---|---|
/// | `"id"` | one column |
/// | `["user_id", "article_id"]` | a tuple of several, in this order |
/// | `[("user", "user_id"), ("article", "article_id")]` | a struct: fields with their columns, in the order of the fields |
pub trait Columns {
    #[doc(hidden)]
    fn named(self) -> Named;
}

/// Columns by the form of the value that they are.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub enum Named {
    One(String),
    Tuple(Vec<String>),
    Struct(Vec<(String, String)>),
}

impl Columns for &str {
    fn named(self) -> Named {
        Named::One(self.to_owned())
    }
}

impl<const N: usize> Columns for [&str; N] {
    fn named(self) -> Named {
        Named::Tuple(self.map(str::to_owned).to_vec())
    }
}

impl<const N: usize> Columns for [(&str, &str); N] {
    fn named(self) -> Named {
        let owned = |(field, column): (&str, &str)| (field.to_owned(), column.to_owned());
        Named::Struct(self.map(owned).to_vec())
    }
}

impl Named {
    pub(crate) fn into_names(self) -> Vec<String> {
        match self {
            Self::One(column) => vec![column],
            Self::Tuple(columns) => columns,
            Self::Struct(pairs) => pairs.into_iter().map(|(_, column)| column).collect(),
        }
    }

    /// Returns the columns in the order of `fields`, or `None` if they are not
    /// one for each.
    pub(crate) fn in_order_of(self, fields: &[&str]) -> Option<Vec<String>> {
        let columns: Vec<String> = match self {
            Self::One(column) => vec![column],
            Self::Tuple(columns) => columns,
            Self::Struct(pairs) => {
                let column = |field: &&str| pairs.iter().find(|(name, _)| name == field);
                let known = fields.iter().map(column).collect::<Option<Vec<_>>>()?;
                known
                    .into_iter()
                    .map(|(_, column)| column.clone())
                    .collect()
            }
        };
        (columns.len() == fields.len()).then_some(columns)
    }
}

/// An id of one column, or the JSON text of several.
#[derive(Clone, Debug)]
pub(crate) enum Id {
    One(Value),
    Composed(Vec<Part>),
}

/// A part of the JSON text of a composed id.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Json(String),
    Value(Value),
}

impl Id {
    pub(crate) fn of(columns: Named) -> Self {
        let (mut parts, begin, end) = match columns {
            Named::One(column) => return Self::One(Value::Column(column)),
            Named::Tuple(columns) => {
                let columns = columns.into_iter();
                let parts: Vec<_> = columns.map(|column| (String::new(), column)).collect();
                (parts, "[", "]")
            }
            Named::Struct(pairs) => {
                let named = |(field, column)| (format!("\"{field}\":"), column);
                (pairs.into_iter().map(named).collect(), "{", "}")
            }
        };
        if let Some((first, _)) = parts.first_mut() {
            first.insert_str(0, begin);
        }
        for (following, _) in parts.iter_mut().skip(1) {
            following.insert(0, ',');
        }
        let mut composed = Vec::new();
        for (json, column) in parts {
            composed.push(Part::Json(json));
            composed.push(Part::Value(Value::Column(column)));
        }
        composed.push(Part::Json(end.to_owned()));
        Self::Composed(composed)
    }

    pub(crate) fn values(&self) -> Vec<&Value> {
        match self {
            Self::One(value) => vec![value],
            Self::Composed(parts) => {
                let value = |part| match part {
                    &Part::Json(_) => None,
                    Part::Value(value) => Some(value),
                };
                parts.iter().filter_map(value).collect()
            }
        }
    }
}
