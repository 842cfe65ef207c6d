//! Lists: walks the index that suits the filter in the order of the ids, at most [`SCAN_ROWS`] rows
//! for one page. The columns of a filter are read from a separate index; only a matching job is
//! read whole.

use std::sync::Arc;

use job::filter::{Condition, equal_to};
use job::{Filter, Job, JobId, Status};
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::{Connection, Rows, Statement};

use super::rows;
use crate::store::range::Range;
use crate::store::{ListQuery, Page, SCAN_ROWS, Sort, StoreError};

/// Maximum number of rows that are read for one page through an index. Such rows are scattered over
/// the table, so each costs several times as much as a row that is read in table order, for which
/// the limit is [`SCAN_ROWS`].
const SCATTERED_ROWS: usize = 150;

/// A whole job by its key.
const WHOLE: &str = "SELECT job FROM jobs WHERE seq = ?1";

/// An index that ends in the id, by the equality of one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    Tag,
    Owner,
    Status,
    Type,
}

pub(super) fn list(connection: &Connection, query: &ListQuery) -> Result<Page, StoreError> {
    let Some(range) = Range::of(query) else {
        return Ok(Page::default());
    };
    if let Some(ids) = equal_to(&query.filter.id) {
        return by_ids(connection, query, ids, range);
    }
    // One index range for each value; without a suitable index, all jobs.
    let (from, by, values, most) = match choose(connection, &query.filter, range)? {
        Some((index, values)) => (index.outlines(), "entry.id", values, SCATTERED_ROWS),
        None => (ALL.to_owned(), "jobs.id", vec![None], SCAN_ROWS),
    };
    let order = match query.sort {
        Sort::Newest => "DESC",
        Sort::Oldest => "ASC",
    };
    let sql = format!("{} LIMIT {}", outlines_sql(&from, by, order), most + 1);
    // A connection keeps one prepared statement per text. The number at the end allows one for each
    // value.
    let mut statements = (0..values.len())
        .map(|place| connection.prepare_cached(&format!("{sql} -- {place}")))
        .collect::<Result<Vec<_>, _>>()?;
    let cursors = statements
        .iter_mut()
        .zip(&values)
        .map(|(statement, value)| {
            statement.query((value, range.least.as_bytes(), range.most.as_bytes()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut whole = connection.prepare_cached(WHOLE)?;
    Walk::new(cursors, query.sort)?.page(query, most, &mut whole)
}

fn outlines_sql(from: &str, by: &str, order: &str) -> String {
    let columns = rows::COLUMNS;
    format!("SELECT {columns} FROM {from} ORDER BY {by} {order}")
}

/// The outlines of all jobs.
const ALL: &str = "jobs INDEXED BY jobs_outline WHERE jobs.id BETWEEN ?2 AND ?3 AND ?1 IS NULL";

impl Index {
    /// Its table under the name `entry`, and its column.
    fn entries(self) -> (&'static str, &'static str) {
        match self {
            Index::Tag => ("tags AS entry", "tag"),
            Index::Owner => ("jobs AS entry INDEXED BY jobs_by_owner", "owner"),
            Index::Status => ("jobs AS entry INDEXED BY jobs_by_status", "status"),
            Index::Type => ("jobs AS entry INDEXED BY jobs_by_type", "type"),
        }
    }

    /// The outlines of the jobs with a value.
    fn outlines(self) -> String {
        let (entries, column) = self.entries();
        format!(
            "{entries} CROSS JOIN jobs INDEXED BY jobs_outline ON jobs.id = entry.id
             WHERE entry.{column} = ?1 AND entry.id BETWEEN ?2 AND ?3"
        )
    }

    /// Number of entries with a value, counted only as far as a page reads.
    fn count_sql(self) -> String {
        let (entries, column) = self.entries();
        format!(
            "SELECT count(*) FROM (SELECT 1 FROM {entries} WHERE entry.{column} = ?1 AND entry.id BETWEEN ?2 AND ?3 LIMIT {SCAN_ROWS})"
        )
    }
}

/// The values of a column for which an index is read.
type Values = Vec<Option<String>>;

/// The index with the fewest entries.
fn choose(
    connection: &Connection,
    filter: &Filter,
    range: Range,
) -> Result<Option<(Index, Values)>, StoreError> {
    let tags = one_of(&filter.tags);
    let statuses = equal_to(&filter.status).map(|statuses| {
        let names = statuses.into_iter().map(Status::as_str);
        names.map(str::to_owned).collect::<Vec<_>>()
    });
    let candidates: Vec<(Index, Values)> = [
        (Index::Tag, tags),
        (Index::Owner, equal_to(&filter.owner)),
        (Index::Status, statuses),
        (Index::Type, equal_to(&filter.job_type)),
    ]
    .into_iter()
    .filter_map(|(index, values)| {
        let mut values: Values = values?.into_iter().map(Some).collect();
        values.sort_unstable();
        values.dedup();
        Some((index, values))
    })
    .collect();
    if candidates.len() < 2 {
        return Ok(candidates.into_iter().next());
    }
    let mut best: Option<(usize, (Index, Values))> = None;
    for (index, values) in candidates {
        let mut statement = connection.prepare_cached(&index.count_sql())?;
        let mut count = 0;
        for value in &values {
            let (least, most) = (range.least.as_bytes(), range.most.as_bytes());
            count += statement.query_row((value, least, most), |row| row.get::<_, usize>(0))?;
            if count >= SCAN_ROWS {
                break;
            }
        }
        if best.as_ref().is_none_or(|(fewest, _)| count < *fewest) {
            best = Some((count, (index, values)));
        }
    }
    Ok(best.map(|(_, chosen)| chosen))
}

/// The tags of which a job must have one. If there are several such conditions, only one is used: a
/// job has many tags, and may meet each condition with another tag.
fn one_of(conditions: &[Condition<String>]) -> Option<Vec<String>> {
    conditions.iter().find_map(|condition| match condition {
        Condition::Contains(tag) | Condition::Eq(Some(tag)) => Some(vec![tag.clone()]),
        Condition::ContainsAny(tags) | Condition::In(tags) => Some(tags.clone()),
        _ => None,
    })
}

/// Jobs that are named by their ids.
fn by_ids(
    connection: &Connection,
    query: &ListQuery,
    mut ids: Vec<JobId>,
    range: Range,
) -> Result<Page, StoreError> {
    ids.retain(|id| range.holds(*id));
    ids.sort_unstable();
    ids.dedup();
    if query.sort == Sort::Newest {
        ids.reverse();
    }
    let mut page = Page::default();
    let mut last = None;
    for id in ids {
        if page.jobs.len() == query.limit {
            page.next = last;
            break;
        }
        let found = get(connection, id)?.filter(|job| query.filter.matches(job));
        page.jobs.extend(found);
        last = Some(id);
    }
    Ok(page)
}

pub(super) fn get(connection: &Connection, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT job FROM jobs WHERE id = ?1")?;
    let mut found = statement.query([id.as_bytes()])?;
    match found.next()? {
        Some(row) => rows::job(row.get_ref(0)?).map(Some),
        None => Ok(None),
    }
}

/// Several cursors over the same order of ids, walked as one.
struct Walk<'s> {
    cursors: Vec<Rows<'s>>,
    /// The current id of each cursor; `None` at its end.
    heads: Vec<Option<JobId>>,
    sort: Sort,
}

impl<'s> Walk<'s> {
    fn new(cursors: Vec<Rows<'s>>, sort: Sort) -> Result<Walk<'s>, StoreError> {
        let mut walk = Walk {
            heads: vec![None; cursors.len()],
            cursors,
            sort,
        };
        for place in 0..walk.cursors.len() {
            walk.advance(place)?;
        }
        Ok(walk)
    }

    fn advance(&mut self, place: usize) -> Result<(), StoreError> {
        let row = self.cursors[place].next()?;
        self.heads[place] = row.map(|row| rows::id(row.get_ref(0)?)).transpose()?;
        Ok(())
    }

    /// The cursor that is next in the order.
    fn first(&self) -> Option<(JobId, usize)> {
        let heads = self.heads.iter().zip(0..);
        let heads = heads.filter_map(|(head, place)| Some(((*head)?, place)));
        match self.sort {
            Sort::Newest => heads.max(),
            Sort::Oldest => heads.min(),
        }
    }

    /// `whole` reads a job by its key.
    fn page(
        mut self,
        query: &ListQuery,
        most: usize,
        whole: &mut Statement<'_>,
    ) -> Result<Page, StoreError> {
        let mut page = Page::default();
        let mut last = None;
        let mut looked_at = 0;
        while let Some((id, place)) = self.first() {
            // A job with two of the tags is in both cursors.
            if last != Some(id) {
                if page.jobs.len() == query.limit || looked_at == most {
                    page.next = last;
                    break;
                }
                looked_at += 1;
                if let Some(row) = self.cursors[place].get()
                    && query.filter.matches(&rows::outline(row, &query.filter)?)
                {
                    let mut found = whole.query([row.get::<_, i64>(rows::KEY_COLUMN)?])?;
                    // The cursors keep the snapshot of their read, so the row exists.
                    if let Some(row) = found.next()? {
                        page.jobs.push(rows::job(row.get_ref(0)?)?);
                    }
                }
                last = Some(id);
            }
            self.advance(place)?;
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn an_outline_is_read_from_an_index_alone() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in schema::MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        let by_index = [Index::Tag, Index::Owner, Index::Status, Index::Type];
        let by_index = by_index.map(|index| (index.outlines(), "entry.id"));
        for (from, by) in by_index.into_iter().chain([(ALL.to_owned(), "jobs.id")]) {
            for order in ["ASC", "DESC"] {
                let sql = format!("EXPLAIN QUERY PLAN {}", outlines_sql(&from, by, order));
                let mut statement = connection.prepare(&sql).unwrap();
                let plan = statement
                    .query_map(("x", [0u8; 16], [255u8; 16]), |row| row.get(3))
                    .unwrap()
                    .collect::<Result<Vec<String>, _>>()
                    .unwrap();
                assert!(
                    plan.iter().all(|step| step.contains("COVERING INDEX")
                        || step.contains("PRIMARY KEY")),
                    "{sql}: {plan:?}"
                );
            }
        }
    }
}
