//! An entity, parsed from its struct and validated.

use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Field, Ident, LitStr, Path, Type, Visibility, parse_quote};

use crate::attribute::{self, Place, each_word, once};
use crate::errors::Errors;
use crate::fields::Body;
use crate::fingerprint::Fingerprint;
use crate::index::{self, Declared, Index, Part, is_plain_name};
use crate::serde_attributes;

const AT_STRUCT: Place = Place {
    attribute: "entity",
    name: "the struct",
    words: &[
        "kind",
        "index",
        "unique",
        "index_enum",
        "list_all",
        "tracked",
        "dependents",
        "shape",
        "crate",
    ],
};

/// The parts from which the code of one entity is generated.
pub(crate) struct Entity {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    /// The path of `aside` in the user's crate.
    pub(crate) library: Path,
    pub(crate) kind: String,
    pub(crate) list_all: bool,
    /// Writes invalidate the key of a list that the kind does not have.
    pub(crate) is_tracked: bool,
    /// `None` after a mistake.
    pub(crate) id: Option<Ident>,
    pub(crate) id_type: Type,
    pub(crate) version: Option<Ident>,
    /// The function that returns the dependents of a row.
    pub(crate) dependents: Option<Path>,
    pub(crate) index_enum: Ident,
    pub(crate) indexes: Vec<Index>,
    /// The fingerprint, without the shapes of nested types.
    pub(crate) fingerprint: u64,
    /// The types whose shapes are mixed into it.
    pub(crate) nested: Vec<Type>,
    /// The fields that must not be stored.
    pub(crate) never: Vec<Ident>,
    /// Every field; true if serde writes the field as its type specifies.
    pub(crate) fields: Vec<(Ident, Type, bool)>,
    /// True if serde writes the struct field by field.
    pub(crate) is_plain: bool,
}

impl Entity {
    /// Parses a struct, and returns its mistakes. After a mistake the entity has what
    /// could be read; it is `None` if no impl would compile.
    pub(crate) fn read(input: &DeriveInput) -> (Option<Self>, Errors) {
        let mut errors = Errors::default();
        let is_generic = refuse_generics("an entity", input, &mut errors);
        let fields = named_fields(input, &mut errors);
        let mut head = Head::read(input, &mut errors);
        let Some(fields) = fields else {
            let body = Body::default();
            // serde refuses a union by itself.
            let is_union = matches!(input.data, Data::Union(_));
            let has_impl = !is_generic && !is_union;
            let entity = has_impl.then(|| Self::of(input, head, body, Vec::new()));
            return (entity, errors);
        };
        let mut body = Body::read(&fields, &mut errors);
        let kind = head.checked_kind(&input.ident, &mut errors);
        let declared = body.indexes.drain(..).chain(head.indexes.drain(..));
        let parts: Vec<Part> = fields
            .iter()
            .filter_map(|field| Some(Part::new(field.ident.as_ref()?, &field.ty)))
            .collect();
        let indexes = index::resolve(declared.collect(), &parts, &mut errors);
        if body.id.is_none() && !body.id_stands {
            errors.at(
                &input.ident,
                "an entity needs an id: mark the field that identifies a row with `#[entity(id)]`",
            );
        }
        let serde = serde_attributes::read(&input.attrs, &mut errors);
        let default = serde_attributes::has_default(&serde);
        let mut fingerprint = Fingerprint::of("aside entity");
        fingerprint.number(head.shape.unwrap_or(0));
        fingerprint.each(&serde);
        for field in &fields {
            let is_never = is_named_by(&body.never, field);
            add_field(&mut fingerprint, field, (default, is_never), &mut errors);
        }
        add_indexes(&mut fingerprint, &indexes);
        fingerprint.text(&kind);
        if is_generic {
            return (None, errors);
        }
        let mut entity = Self::of(input, head, body, indexes);
        entity.kind = kind;
        entity.fingerprint = fingerprint.finish();
        entity.is_plain = serde_attributes::are_plain(&serde);
        entity.fields = fields
            .iter()
            .filter_map(|field| {
                let own = serde_attributes::read(&field.attrs, &mut Errors::default());
                let is_plain = serde_attributes::are_plain(&own);
                Some((field.ident.clone()?, field.ty.clone(), is_plain))
            })
            .collect();
        (Some(entity), errors)
    }

    fn of(input: &DeriveInput, head: Head, body: Body, indexes: Vec<Index>) -> Self {
        let (id, id_type) = body.id.unzip();
        Self {
            ident: input.ident.clone(),
            visibility: input.vis.clone(),
            library: head.library.unwrap_or_else(|| parse_quote!(::aside)),
            kind: String::new(),
            list_all: head.list_all.unwrap_or(true),
            is_tracked: head.is_tracked,
            id,
            id_type: id_type.unwrap_or_else(|| parse_quote!(())),
            version: body.version,
            dependents: head.dependents,
            index_enum: head.index_enum.unwrap_or_else(|| {
                quote::format_ident!("{}Index", input.ident.unraw(), span = input.ident.span())
            }),
            indexes,
            fingerprint: 0,
            nested: body.nested,
            never: body.never,
            fields: Vec::new(),
            is_plain: false,
        }
    }
}

fn is_named_by(names: &[Ident], field: &Field) -> bool {
    field
        .ident
        .as_ref()
        .is_some_and(|ident| names.contains(ident))
}

/// The contents of the struct's own attributes.
#[derive(Default)]
struct Head {
    kind: Option<LitStr>,
    /// The word is present, though its value may be wrong.
    kind_stands: bool,
    index_enum: Option<Ident>,
    list_all: Option<bool>,
    is_tracked: bool,
    shape: Option<u64>,
    dependents: Option<Path>,
    library: Option<Path>,
    indexes: Vec<Declared>,
}

impl Head {
    fn read(input: &DeriveInput, errors: &mut Errors) -> Self {
        let mut head = Self::default();
        each_word(&input.attrs, &AT_STRUCT, errors, |word, input| {
            match word.to_string().as_str() {
                "kind" => {
                    head.kind_stands = true;
                    once(&mut head.kind, word, attribute::text(word, input)?)
                }
                "index" => {
                    head.indexes.extend(index::composites(word, input, false)?);
                    Ok(())
                }
                "unique" => {
                    head.indexes.extend(index::composites(word, input, true)?);
                    Ok(())
                }
                "index_enum" => {
                    let text = attribute::text(word, input)?;
                    let ident = text.parse::<Ident>().map_err(|_| {
                        syn::Error::new_spanned(&text, "`index_enum` is the name of a type")
                    })?;
                    once(&mut head.index_enum, word, ident)
                }
                "list_all" => once(&mut head.list_all, word, attribute::truth(word, input)?),
                "tracked" => {
                    head.is_tracked = true;
                    Ok(())
                }
                "dependents" => once(
                    &mut head.dependents,
                    word,
                    attribute::path(word, input, "of a function, such as \"shelves_of\"")?,
                ),
                "shape" => once(&mut head.shape, word, attribute::number(word, input)?),
                _ => once(
                    &mut head.library,
                    word,
                    attribute::path(word, input, "of this library, such as \"my_aside\"")?,
                ),
            }
        });
        head
    }

    fn checked_kind(&self, ident: &Ident, errors: &mut Errors) -> String {
        let Some(literal) = &self.kind else {
            if !self.kind_stands {
                errors.at(
                    ident,
                    "an entity needs a kind, the first part of its keys: \
                     add `#[entity(kind = \"...\")]`",
                );
            }
            return String::new();
        };
        let kind = literal.value();
        if !is_plain_name(&kind) {
            errors.at(
                literal,
                format!("{kind:?} cannot begin a key: a kind is made of a-z, 0-9, `_` and `-`"),
            );
        } else if kind == "aside" {
            errors.at(
                literal,
                "`aside` is reserved: the library keeps internal keys under it",
            );
        }
        kind
    }
}

/// Adds a field's name, type and serde attributes.
pub(crate) fn add_field(
    fingerprint: &mut Fingerprint,
    field: &Field,
    (default, is_never): (bool, bool),
    errors: &mut Errors,
) {
    let serde = serde_attributes::read(&field.attrs, errors);
    if !is_never {
        serde_attributes::refuse_skips(&serde, default, errors);
    }
    serde_attributes::refuse_one_way(&serde, errors);
    let name = field.ident.as_ref().map(|ident| ident.unraw().to_string());
    fingerprint.text(&name.unwrap_or_default());
    fingerprint.tokens(&field.ty);
    fingerprint.each(&serde);
}

/// Adds the indexes, because an index whose fields change gives its old keys a
/// new meaning.
fn add_indexes(fingerprint: &mut Fingerprint, indexes: &[Index]) {
    fingerprint.number(indexes.len() as u64);
    for index in indexes {
        fingerprint.text(&index.segment);
        fingerprint.number(index.parts.len() as u64);
        for part in &index.parts {
            fingerprint.text(&part.name());
        }
        if let Some(fold) = index.fold {
            fingerprint.text(fold.name());
        }
        if index.is_each {
            fingerprint.text("each");
        }
        if let Some(ids) = &index.ids {
            fingerprint.text("ids");
            for (field, is_reversed) in &ids.order {
                fingerprint.text(&field.unraw().to_string());
                fingerprint.number(u64::from(*is_reversed));
            }
        }
    }
}

/// Refuses generics, because a generic type has no single serialized form. Returns true
/// if there are some.
pub(crate) fn refuse_generics(what: &str, input: &DeriveInput, errors: &mut Errors) -> bool {
    let is_generic = !input.generics.params.is_empty();
    if is_generic {
        errors.at(
            &input.generics,
            format!(
                "{what} cannot be generic: it stands for one serialized form; \
                 write the type out, or implement the trait by hand"
            ),
        );
    }
    is_generic
}

fn named_fields<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Option<Vec<&'a Field>> {
    let what = match &input.data {
        Data::Struct(data) => match &data.fields {
            syn::Fields::Named(fields) => return Some(fields.named.iter().collect()),
            syn::Fields::Unnamed(_) => "a tuple struct",
            syn::Fields::Unit => "a unit struct",
        },
        Data::Enum(_) => "an enum",
        Data::Union(_) => "a union",
    };
    errors.at(
        &input.ident,
        format!(
            "{what} cannot be an entity: its id and indexes are fields with names; \
             use a struct with named fields"
        ),
    );
    None
}
