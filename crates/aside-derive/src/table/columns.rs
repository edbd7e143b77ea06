//! The columns of a table, and the value of which field each has.

use std::collections::BTreeMap;

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Data, DeriveInput, Field, Ident, LitStr, Member, Token, Type, parenthesized};

use super::head::is_identifier;
use crate::attribute::{self, Place, each_word, once};
use crate::errors::Errors;
use crate::index::transparent;
use crate::model::Entity;

const AT_FIELD: Place = Place {
    attribute: "table",
    name: "a field",
    words: &[
        "column",
        "columns",
        "generated",
        "database",
        "expr",
        "json",
        "as",
    ],
};

/// The place that a column's value comes from.
pub(super) enum Origin {
    /// The row that is written.
    Row,
    /// The database, if the row is new.
    Generated,
    /// The database, always.
    Database,
    /// An expression in SQL, which is only read.
    Expression(LitStr),
}

/// One field with its columns.
pub(super) struct Column {
    pub(super) field: Field,
    pub(super) ident: Ident,
    /// The name in SQL, with the part of the field for an id of several columns.
    pub(super) names: Vec<(String, Option<Member>)>,
    pub(super) origin: Origin,
    pub(super) is_json: bool,
    /// The type of the column, if the field's has no column.
    pub(super) column_type: Option<Type>,
    pub(super) is_id: bool,
    pub(super) is_version: bool,
    /// One of the id's columns, which the id writes.
    pub(super) is_part_of_id: bool,
    /// It is written by an insert alone, and never read.
    pub(super) is_never: bool,
}

impl Column {
    pub(super) fn ty(&self) -> &Type {
        &self.field.ty
    }

    /// Returns true if a new row without generated values has the field.
    pub(super) fn is_inserted(&self) -> bool {
        !self.is_part_of_id && matches!(self.origin, Origin::Row)
    }

    /// Returns true if a saved row has the field.
    pub(super) fn is_saved(&self) -> bool {
        !self.is_part_of_id && matches!(self.origin, Origin::Row | Origin::Generated)
    }

    /// Returns true if an update sets the field.
    pub(super) fn is_updated(&self) -> bool {
        self.is_saved() && !self.is_id && !self.is_version && !self.is_never
    }
}

/// Parses the fields, and records their mistakes.
pub(super) fn read(input: &DeriveInput, entity: &Entity, errors: &mut Errors) -> Vec<Column> {
    // The entity has refused all other data.
    let Data::Struct(data) = &input.data else {
        return Vec::new();
    };
    let mut columns: Vec<Column> = Vec::new();
    for field in &data.fields {
        let Some(ident) = &field.ident else { continue };
        let words = Words::read(field, errors);
        columns.push(words.into_column(field, ident, entity, errors));
    }
    mark_repeated(&mut columns, errors);
    for index in &entity.indexes {
        for part in &index.parts {
            if index.is_each {
                let message = format!(
                    "`{}` is a collection, which no column compares with one value: a table of \
                     its links is an entity itself",
                    part.name()
                );
                errors.at(&part.field, message);
            }
            let computed = columns.iter().find(|it| it.ident == part.field);
            if let Some(Origin::Expression(sql)) = computed.map(|it| &it.origin) {
                let message = format!(
                    "`{}` is computed, so no write knows which list a row leaves: an index needs a \
                     column",
                    part.name()
                );
                errors.at(sql, message);
            }
        }
    }
    columns
}

/// The words at one field.
#[derive(Default)]
struct Words {
    column: Option<LitStr>,
    columns: Option<Vec<Ident>>,
    /// The words that set the origin, of which one is allowed.
    origin: Option<(Ident, Origin)>,
    is_json: bool,
    column_type: Option<Type>,
}

impl Words {
    fn read(field: &Field, errors: &mut Errors) -> Self {
        let mut words = Self::default();
        each_word(&field.attrs, &AT_FIELD, errors, |word, input| {
            let origin = match word.to_string().as_str() {
                "column" => {
                    return once(&mut words.column, word, attribute::text(word, input)?);
                }
                "columns" => return once(&mut words.columns, word, names(word, input)?),
                "json" => {
                    words.is_json = true;
                    return Ok(());
                }
                "as" => return once(&mut words.column_type, word, column_type(word, input)?),
                "generated" => Origin::Generated,
                "database" => Origin::Database,
                _ => Origin::Expression(attribute::text(word, input)?),
            };
            if let Some((other, _)) = &words.origin {
                let message = format!(
                    "a field has one of `generated`, `database` and `expr`; this one has `{other}` \
                     already"
                );
                return Err(syn::Error::new_spanned(word, message));
            }
            words.origin = Some((word.clone(), origin));
            Ok(())
        });
        words
    }

    fn into_column(
        self,
        field: &Field,
        ident: &Ident,
        entity: &Entity,
        errors: &mut Errors,
    ) -> Column {
        let is_id = entity.id.as_ref() == Some(ident);
        let is_version = entity.version.as_ref() == Some(ident);
        if let Some((word, origin)) = &self.origin {
            refuse_origin(word, origin, ident, (is_id, is_version), errors);
        }
        if let Some(ty) = &self.column_type
            && (self.is_json || self.columns.is_some())
        {
            errors.at(
                ty,
                "`as` converts one column: it goes with neither `json` nor `columns`",
            );
        }
        let names = match (&self.column, &self.columns) {
            (Some(name), Some(_)) => {
                errors.at(name, "a field has either `column` or `columns`");
                Vec::new()
            }
            (None, Some(columns)) if is_id => parts(columns, &field.ty, errors),
            (None, Some(columns)) => {
                let message = format!(
                    "`{ident}` is one column; only the field with `#[entity(id)]` may have several"
                );
                errors.at(&columns[0], message);
                Vec::new()
            }
            (Some(name), None) => {
                check_name(&name.value(), name, errors);
                vec![(name.value(), None)]
            }
            (None, None) => {
                let name = ident.unraw().to_string();
                check_name(&name, ident, errors);
                vec![(name, None)]
            }
        };
        Column {
            ident: ident.clone(),
            field: field.clone(),
            names,
            origin: self.origin.map_or(Origin::Row, |(_, origin)| origin),
            is_json: self.is_json,
            column_type: self.column_type,
            is_id,
            is_version,
            is_part_of_id: false,
            is_never: entity.never.contains(ident),
        }
    }
}

/// Refuses an id that is not a column, and a version that is computed.
fn refuse_origin(
    word: &Ident,
    origin: &Origin,
    ident: &Ident,
    (is_id, is_version): (bool, bool),
    errors: &mut Errors,
) {
    let message = match origin {
        Origin::Expression(_) if is_id => {
            format!("`{ident}` is the id, by which rows are found: it must be a column")
        }
        Origin::Database if is_id => format!(
            "`{ident}` is the id, by which rows are written: write `generated` if the database \
             makes it for a new row"
        ),
        Origin::Expression(_) if is_version => {
            format!("`{ident}` is the version, which an update compares: it must be a column")
        }
        _ => return,
    };
    errors.at(word, message);
}

/// Parses the names in `columns(user_id, article_id)`.
fn names(word: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    let usage = "an id of several columns names them: `columns(user_id, article_id)`";
    let usage = || syn::Error::new_spanned(word, usage);
    if !input.peek(syn::token::Paren) {
        return Err(usage());
    }
    let list;
    parenthesized!(list in input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with(&list, Ident::parse_any)?;
    let names: Vec<Ident> = names.into_iter().collect();
    if names.is_empty() {
        return Err(usage());
    }
    Ok(names)
}

/// Parses the type in `as = "Millis"`.
fn column_type(word: &Ident, input: ParseStream<'_>) -> syn::Result<Type> {
    let text = attribute::text(word, input)?;
    text.parse()
        .map_err(|_| syn::Error::new_spanned(&text, "`as` names the type of the column"))
}

/// Returns the parts of an id of several columns: those of a tuple in order, and those of
/// a struct by name.
fn parts(columns: &[Ident], ty: &Type, errors: &mut Errors) -> Vec<(String, Option<Member>)> {
    let is_tuple = match transparent(ty) {
        Type::Tuple(tuple) if tuple.elems.len() == columns.len() => true,
        Type::Tuple(tuple) => {
            let message = format!(
                "the id has {} parts, and {} columns are named",
                tuple.elems.len(),
                columns.len()
            );
            errors.at(ty, message);
            return Vec::new();
        }
        _ => false,
    };
    let part = |(place, name): (usize, &Ident)| {
        let member = if is_tuple {
            Member::from(place)
        } else {
            Member::from(name.clone())
        };
        (name.unraw().to_string(), Some(member))
    };
    columns.iter().enumerate().map(part).collect()
}

fn check_name(name: &str, token: impl quote::ToTokens, errors: &mut Errors) {
    if !is_identifier(name) {
        let message = format!(
            "{name:?} is no name of a column: it is made of letters, digits and `_`; name it with \
             `#[table(column = \"...\")]`"
        );
        errors.at(token, message);
    }
}

/// Marks the fields that repeat a column of the id, and refuses other repetitions.
fn mark_repeated(columns: &mut [Column], errors: &mut Errors) {
    let is_of_id = |column: &Column| column.is_id && 1 < column.names.len();
    let of_id: Vec<String> = columns
        .iter()
        .filter(|column| is_of_id(column))
        .flat_map(|column| column.names.iter().map(|(name, _)| name.clone()))
        .collect();
    let mut taken: BTreeMap<String, Ident> = BTreeMap::new();
    for column in columns {
        if !is_of_id(column) && matches!(&column.names[..], [(name, _)] if of_id.contains(name)) {
            column.is_part_of_id = true;
            continue;
        }
        for (name, _) in &column.names {
            if let Some(other) = taken.insert(name.clone(), column.ident.clone()) {
                let message = format!("`{other}` has the column `{name}` already");
                errors.at(&column.ident, message);
            }
        }
    }
}
