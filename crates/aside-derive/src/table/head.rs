//! The struct's own attribute: `#[table("article", postgres)]`.

use syn::parse::ParseStream;
use syn::{DeriveInput, Ident, LitStr, Path, Token, parse_quote};

use crate::attribute::{self, Place, each_word_after, once};
use crate::errors::Errors;

const AT_STRUCT: Place = Place {
    attribute: "table",
    name: "the struct",
    words: &["postgres", "sqlite", "mysql", "order", "new", "crate"],
};

/// A database with its type in sqlx.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Postgres,
    Sqlite,
    MySql,
}

impl Database {
    fn of(word: &Ident) -> Option<Self> {
        match word.to_string().as_str() {
            "postgres" => Some(Self::Postgres),
            "sqlite" => Some(Self::Sqlite),
            "mysql" => Some(Self::MySql),
            _ => None,
        }
    }

    /// Returns the name of its type in sqlx.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres",
            Self::Sqlite => "Sqlite",
            Self::MySql => "MySql",
        }
    }
}

/// The contents of the struct's own attribute.
pub(super) struct Head {
    /// The table's name, which may be `schema.table`.
    pub(super) name: String,
    pub(super) databases: Vec<Database>,
    /// The SQL by which lists are sorted.
    pub(super) order: Option<LitStr>,
    /// The name of the struct of a new row.
    pub(super) new: Option<Ident>,
    /// The path of `aside_sqlx` in the user's crate.
    pub(super) library: Path,
}

impl Head {
    pub(super) fn read(input: &DeriveInput, errors: &mut Errors) -> Self {
        let mut name = None;
        let mut databases: Vec<Database> = Vec::new();
        let (mut order, mut new, mut library) = (None, None, None);
        let mut stands = false;
        let begin = |input: ParseStream<'_>| {
            stands = true;
            if !input.peek(LitStr) {
                return Ok(());
            }
            name = Some(input.parse::<LitStr>()?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
            Ok(())
        };
        each_word_after(&input.attrs, &AT_STRUCT, errors, begin, |word, input| {
            if let Some(database) = Database::of(word) {
                if databases.contains(&database) {
                    let message = format!("`{word}` is given twice");
                    return Err(syn::Error::new_spanned(word, message));
                }
                databases.push(database);
                return Ok(());
            }
            match word.to_string().as_str() {
                "order" => once(&mut order, word, attribute::text(word, input)?),
                "new" => {
                    let text = attribute::text(word, input)?;
                    let ident = text.parse::<Ident>().map_err(|_| {
                        syn::Error::new_spanned(&text, "`new` is the name of a type")
                    })?;
                    once(&mut new, word, ident)
                }
                _ => {
                    let of = "of `aside_sqlx`, such as \"my_cache::sqlx\"";
                    once(&mut library, word, attribute::path(word, input, of)?)
                }
            }
        });
        let name = checked_name(input, name.as_ref(), stands, errors);
        if databases.is_empty() && !name.is_empty() {
            errors.at(
                &input.ident,
                "a table needs its database: `#[table(\"...\", postgres)]`; there are `postgres`, \
                 `sqlite` and `mysql`, each with its feature of `aside-sqlx`",
            );
        }
        Self {
            name,
            databases,
            order,
            new,
            library: library.unwrap_or_else(|| parse_quote!(::aside_sqlx)),
        }
    }
}

/// Returns the table's name, or an empty one after a mistake.
fn checked_name(
    input: &DeriveInput,
    name: Option<&LitStr>,
    stands: bool,
    errors: &mut Errors,
) -> String {
    let Some(literal) = name else {
        let message = if stands {
            "`#[table(...)]` begins with the table's name in quotes: `#[table(\"...\", postgres)]`"
        } else {
            "a table needs its name and its database: add `#[table(\"...\", postgres)]`"
        };
        errors.at(&input.ident, message);
        return String::new();
    };
    let name = literal.value();
    if name.split('.').all(is_identifier) {
        return name;
    }
    errors.at(
        literal,
        format!(
            "{name:?} is no name of a table: it is made of letters, digits and `_`, and may have a \
             schema, as in \"blog.article\""
        ),
    );
    String::new()
}

/// Returns true if a name of a table or a column needs no escape between quotes.
pub(super) fn is_identifier(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_plain)
}
