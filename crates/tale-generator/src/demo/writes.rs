//! Act 3: the keys that a write invalidates.

use aside::{Freshness, Repository as _, Rows, Source as _};
use uuid::Uuid;

use super::DemoError;
use super::page::{Page, Row, spoken};
use super::stage::{Stage, timed};
use super::with::until_cached;
use crate::Tales;
use crate::domain::{Hero, HeroIndex, Language, Row as _};

pub(super) async fn show(stage: &Stage, tales: &Tales, page: &mut Page) -> Result<(), DemoError> {
    page.act(3, "writes invalidate");
    page.say(
        "A hero moves from `en` to `ru`. The write touches the row before and the row after, so \
         one list is left and the other entered; each is read from the database once.",
    );
    page.head();
    let heroes = &tales.heroes;
    let english = HeroIndex::Language(Language::En);
    let russian = HeroIndex::Language(Language::Ru);
    let read = async |index: &HeroIndex| -> Result<Rows<Hero>, DemoError> {
        until_cached(async || heroes.find_by_with(index, Freshness::Any).await).await
    };
    let english_before = read(&english).await?;
    let russian_before = read(&russian).await?;
    let hero = english_before.first().cloned();
    let hero = hero.ok_or(DemoError::Stuck("there is no hero with language `en`"))?;

    let mut draft = hero.draft();
    draft.language = Language::Ru;
    let before = stage.tally(&[tales]);
    let (moved, took) = timed(tales.replace_hero(hero.id, draft, None)).await;
    let moved = moved?;
    let told = stage.tally(&[tales]).since(before);
    page.row(&Row {
        what: "the write itself",
        measured: spoken(took),
        promised: "version + 1",
        hits: told.hits,
        loads: told.loads,
        held: moved.version == hero.version + 1,
    });

    let lists = [
        List {
            what: "the list of en",
            promised: "is left",
            index: english,
            rows_before: english_before.len(),
            is_in: false,
        },
        List {
            what: "the list of ru",
            promised: "is entered",
            index: russian,
            rows_before: russian_before.len(),
            is_in: true,
        },
    ];
    for list in lists {
        list.show(stage, tales, page, hero.id).await?;
    }

    let before = stage.tally(&[tales]);
    let row = heroes.find_by_id(&hero.id).await?;
    let told = stage.tally(&[tales]).since(before);
    let version = row.map_or(0, |row| row.version);
    page.row(&Row {
        what: "the hero by id",
        measured: format!("v{} -> v{version}", hero.version),
        promised: "the new version",
        hits: told.hits,
        loads: told.loads,
        held: version == moved.version,
    });
    an_absence_ends(stage, tales, page, &hero).await
}

/// A list that the write changed.
struct List {
    what: &'static str,
    promised: &'static str,
    index: HeroIndex,
    rows_before: usize,
    /// Whether the hero is in it after the write.
    is_in: bool,
}

impl List {
    async fn show(
        self,
        stage: &Stage,
        tales: &Tales,
        page: &mut Page,
        hero: Uuid,
    ) -> Result<(), DemoError> {
        let before = stage.tally(&[tales]);
        let rows = tales.heroes.find_by(&self.index).await?;
        let told = stage.tally(&[tales]).since(before);
        page.row(&Row {
            what: self.what,
            measured: format!("{} -> {} rows", self.rows_before, rows.len()),
            promised: self.promised,
            hits: told.hits,
            loads: told.loads,
            held: rows.iter().any(|row| row.id == hero) == self.is_in && told.loads == 1,
        });
        Ok(())
    }
}

/// A cached absence is useful too, and must end when the row is added.
async fn an_absence_ends(
    stage: &Stage,
    tales: &Tales,
    page: &mut Page,
    like: &Hero,
) -> Result<(), DemoError> {
    let heroes = &tales.heroes;
    let id = Uuid::new_v4();
    let before = stage.tally(&[tales]);
    let absent = until_cached(async || heroes.find_by_id_with(&id, Freshness::Any).await).await?;
    let told = stage.tally(&[tales]).since(before);
    page.row(&Row {
        what: "a hero that is absent",
        measured: if absent.is_none() { "absent" } else { "found" }.to_owned(),
        promised: "cached as well",
        hits: told.hits,
        loads: told.loads,
        held: absent.is_none() && 0 < told.hits,
    });
    let before = stage.tally(&[tales]);
    heroes.save(Hero::with_id(id, like.draft())).await?;
    let found = heroes.find_by_id(&id).await?;
    let told = stage.tally(&[tales]).since(before);
    page.row(&Row {
        what: "the same one, added",
        measured: if found.is_some() { "found" } else { "absent" }.to_owned(),
        promised: "absence ends",
        hits: told.hits,
        loads: told.loads,
        held: found.is_some(),
    });
    Ok(())
}
