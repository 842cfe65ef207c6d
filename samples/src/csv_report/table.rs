//! Reads a CSV file (RFC 4180) record by record into columns. It accepts any `Read` and holds at
//! most one record. The caller provides the bytes and receives the progress.

use std::io::{self, Read};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use functions::Failure;

use super::column::Column;

/// Maximum number of columns of a table.
pub const MAX_COLUMNS: usize = 256;
/// Maximum size of a record in bytes. A much longer record is usually a quote that is never closed.
pub const MAX_RECORD_BYTES: u64 = 1024 * 1024;

const BUFFER_BYTES: usize = 64 * 1024;

/// How to read the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) header: bool,
}

/// The result of reading a table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Table {
    /// Reads to the end. `progress` is called with bytes and rows each time new bytes have arrived.
    pub(super) fn read(
        source: impl Read,
        dialect: Dialect,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Self, Failure> {
        let bounded = Bounded {
            source,
            total: 0,
            since_record: 0,
        };
        let mut reader = ReaderBuilder::new()
            .delimiter(dialect.delimiter)
            .has_headers(false)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(bounded);
        let mut record = StringRecord::new();
        if !read_record(&mut reader, &mut record)? {
            return Err(Failure::new(
                "InvalidCsv",
                "the file is empty: there is not even a header",
            ));
        }
        let mut columns = columns(&record, dialect.header)?;
        let mut rows = 0;
        let mut told = 0;
        let mut more = if dialect.header {
            read_record(&mut reader, &mut record)?
        } else {
            true
        };
        while more {
            rows += 1;
            for (column, value) in columns.iter_mut().zip(&record) {
                column.add(value);
            }
            let total = reader.get_ref().total;
            if total != told {
                told = total;
                progress(total, rows);
            }
            more = read_record(&mut reader, &mut record)?;
        }
        Ok(Self {
            columns,
            rows,
            bytes: reader.get_ref().total,
        })
    }
}

fn columns(first: &StringRecord, header: bool) -> Result<Vec<Column>, Failure> {
    if first.len() > MAX_COLUMNS {
        let message = format!(
            "line 1 has {} columns, at most {MAX_COLUMNS} are read",
            first.len()
        );
        return Err(Failure::new("InvalidCsv", message));
    }
    let named = |(index, name): (usize, &str)| match name.trim() {
        name if header && !name.is_empty() => Column::new(name),
        _ => Column::new(&format!("column {}", index + 1)),
    };
    Ok(first.iter().enumerate().map(named).collect())
}

fn read_record<R: Read>(
    reader: &mut Reader<Bounded<R>>,
    record: &mut StringRecord,
) -> Result<bool, Failure> {
    reader.get_mut().since_record = 0;
    let line = reader.position().line();
    reader
        .read_record(record)
        .map_err(|error| explain(error, line))
}

fn explain(error: csv::Error, line: u64) -> Failure {
    let invalid = |message| Failure::new("InvalidCsv", message);
    match error.into_kind() {
        ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => {
            let line = pos.map_or(line, |pos| pos.line());
            invalid(format!(
                "line {line} has {len} fields, line 1 has {expected_len}; is a quote or delimiter missing?"
            ))
        }
        ErrorKind::Utf8 { pos, err } => {
            let (line, field) = (pos.map_or(line, |pos| pos.line()), err.field() + 1);
            invalid(format!(
                "line {line}, field {field} is not UTF-8; save the file as UTF-8"
            ))
        }
        ErrorKind::Io(error)
            if error
                .get_ref()
                .is_some_and(|inner| inner.is::<RecordTooLong>()) =>
        {
            invalid(format!(
                "the record that begins at line {line} is longer than {MAX_RECORD_BYTES} bytes; \
                 is a quote never closed?"
            ))
        }
        ErrorKind::Io(error) => match error.downcast::<functions::Error>() {
            Ok(error) => error.into(),
            Err(error) => Failure::new(
                "ServiceUnavailable",
                format!("reading failed near line {line}: {error}"),
            ),
        },
        other => invalid(format!("near line {line}: {other:?}")),
    }
}

/// A source that stops at a record over the limit instead of reading on.
struct Bounded<R> {
    source: R,
    total: u64,
    /// Number of bytes since the last record was complete.
    since_record: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("the record is too long")]
struct RecordTooLong;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // More bytes are requested only if all bytes so far belong to the open record, so the limit
        // is never too strict. Bytes that were buffered before it, at most 64 KiB, may be added.
        if self.since_record > MAX_RECORD_BYTES {
            return Err(io::Error::other(RecordTooLong));
        }
        let count = self.source.read(buffer)?;
        self.total += count as u64;
        self.since_record += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::column::Kind;
    use super::*;

    const COMMA: Dialect = Dialect {
        delimiter: b',',
        header: true,
    };

    fn read(text: &str) -> Result<Table, Failure> {
        Table::read(text.as_bytes(), COMMA, |_, _| {})
    }

    fn names(table: &Table) -> Vec<String> {
        table
            .columns
            .iter()
            .map(|column| column.report().name)
            .collect()
    }

    #[test]
    fn quotes_line_ends_and_byte_order_marks_are_read() {
        let table = read("\u{feff}a,\"b \"\"c\"\"\",\r\n1,\"x\ny\",3\r\n\r\n2,,4\r\n").unwrap();
        assert_eq!(names(&table), ["a", "b \"c\"", "column 3"]);
        assert_eq!(table.rows, 2);
        let second = table.columns[1].report();
        assert_eq!(
            (second.count, second.empty, second.top[0].value.as_str()),
            (1, 1, "x\ny")
        );
    }

    #[test]
    fn a_table_may_have_another_delimiter_and_no_header() {
        let dialect = Dialect {
            delimiter: b';',
            header: false,
        };
        let table = Table::read("1;a\n2;b".as_bytes(), dialect, |_, _| {}).unwrap();
        assert_eq!(
            (names(&table), table.rows),
            (vec!["column 1".into(), "column 2".into()], 2)
        );
        assert_eq!(table.columns[0].report().kind, Kind::Number);
    }

    #[test]
    fn a_header_alone_is_a_table_without_rows() {
        let table = read("a,b\n").unwrap();
        assert_eq!(
            (table.rows, table.columns[0].report().kind),
            (0, Kind::Empty)
        );
    }

    #[test]
    fn an_error_names_its_line() {
        let cases: [(&[u8], &str); 4] = [
            (b"", "the file is empty"),
            (b"a,b\n1,2\n3\n", "line 3 has 1 fields, line 1 has 2"),
            (b"a,b\n\n1,\"x\ny\"\n1,2,3\n", "line 5 has 3 fields"),
            (b"a,b\n1,2\n3,\xff\n", "line 3, field 2 is not UTF-8"),
        ];
        for (bytes, part) in cases {
            let failure = Table::read(bytes, COMMA, |_, _| {}).unwrap_err();
            assert_eq!(failure.name(), "InvalidCsv");
            assert!(failure.message().contains(part), "{failure}");
        }
    }

    #[test]
    fn a_table_over_the_limit_of_columns_is_refused() {
        let header = |count: usize| vec!["x"; count].join(",");
        assert!(read(&header(MAX_COLUMNS)).is_ok());
        assert_eq!(
            read(&header(MAX_COLUMNS + 1)).unwrap_err().name(),
            "InvalidCsv"
        );
    }

    #[test]
    fn a_record_over_the_limit_is_refused() {
        let longest = format!("a\n1\n{}\n2\n", "x".repeat(MAX_RECORD_BYTES as usize - 1));
        assert_eq!(read(&longest).unwrap().rows, 3);
        let unclosed = format!(
            "a\n1\n\"{}\n",
            "x,y\n".repeat(MAX_RECORD_BYTES as usize / 2)
        );
        let failure = read(&unclosed).unwrap_err();
        assert!(failure.message().contains("begins at line 3"), "{failure}");
    }

    #[test]
    fn progress_counts_every_byte_and_never_falls() {
        let text = format!("a\n{}", "12345\n".repeat(100_000));
        let mut seen = Vec::new();
        let table = Table::read(text.as_bytes(), COMMA, |bytes, rows| {
            seen.push((bytes, rows))
        })
        .unwrap();
        assert_eq!((table.bytes, table.rows), (text.len() as u64, 100_000));
        assert!(
            seen.len() >= text.len() / BUFFER_BYTES && seen.is_sorted(),
            "{}",
            seen.len()
        );
        assert_eq!(seen.last().unwrap().0, text.len() as u64);
    }

    #[test]
    fn an_interrupted_transfer_keeps_its_error_name() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other(functions::Error::Interrupted {
                    received: 1,
                    reason: "reset".into(),
                }))
            }
        }
        let failure = Table::read(Broken, COMMA, |_, _| {}).unwrap_err();
        assert_eq!(failure.name(), "ServiceUnavailable");
    }
}
