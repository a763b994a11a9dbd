//! The yardstick: SQLite's FTS5 over the same texts, English endings taken off, a subject's words counted twice.

use std::path::Path;

use carport_bench_dispatch::Error;
use rusqlite::{Connection, params};

use crate::facts::Told;

/// An index of facts.
pub(crate) struct Fts5 {
    db: Connection,
}

impl Fts5 {
    /// Of these facts, in memory or in a new file.
    pub(crate) fn of(facts: &[Told], path: Option<&Path>) -> Result<Self, Error> {
        let mut db = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        db.execute_batch(
            "CREATE VIRTUAL TABLE facts USING fts5(subject, body, tokenize = 'porter unicode61');
             INSERT INTO facts(facts, rank) VALUES('rank', 'bm25(2.0, 1.0)');",
        )?;
        let all = db.transaction()?;
        for (place, told) in facts.iter().enumerate() {
            all.prepare_cached("INSERT INTO facts(rowid, subject, body) VALUES (?, ?, ?)")?
                .execute(params![place, told.subject, told.body])?;
        }
        all.commit()?;
        db.execute_batch("INSERT INTO facts(facts) VALUES('optimize')")?;
        Ok(Self { db })
    }

    /// The places of the facts that fit best, the best first: any of the query's words will do.
    pub(crate) fn find(&self, text: &str, limit: usize) -> Result<Vec<usize>, Error> {
        let words = text.split(|letter: char| !letter.is_alphanumeric());
        let words = words.filter(|word| !word.is_empty()).map(|word| format!("\"{word}\""));
        let query = words.collect::<Vec<_>>().join(" OR ");
        let select =
            "SELECT rowid, subject, body FROM facts WHERE facts MATCH ? ORDER BY rank LIMIT ?";
        let mut select = self.db.prepare_cached(select)?;
        let rows = select.query_map(params![query, limit], |row| {
            row.get::<_, String>(1)?;
            row.get::<_, String>(2)?;
            row.get(0)
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
