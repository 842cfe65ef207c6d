//! The cells of a terminal, for the control sequences that Jobcast writes: colours, moves of the
//! cursor, erased lines. Other sequences are ignored.

/// How a character looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// A colour from 0 to 7, as terminals number them.
    pub(crate) colour: Option<u8>,
    pub(crate) bold: bool,
    pub(crate) dim: bool,
}

/// A character and its look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) character: char,
    pub(crate) look: Look,
}

const EMPTY: Cell = Cell {
    character: ' ',
    look: Look {
        colour: None,
        bold: false,
        dim: false,
    },
};

/// What a terminal shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    columns: usize,
    rows: Vec<Vec<Cell>>,
    row: usize,
    /// Equal to the number of columns after a character in the last one: the next character begins
    /// a new line.
    column: usize,
    look: Look,
    /// The beginning of a sequence or character whose rest follows.
    pending: Vec<u8>,
}

impl Screen {
    pub(crate) fn new(columns: usize, rows: usize) -> Screen {
        Screen {
            columns,
            rows: vec![vec![EMPTY; columns]; rows],
            row: 0,
            column: 0,
            look: Look::default(),
            pending: Vec::new(),
        }
    }

    /// The lines, from the top.
    pub(crate) fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// A line's text, without the spaces at its end.
    #[cfg(test)]
    pub(crate) fn line(&self, row: usize) -> String {
        let text: String = self.rows[row].iter().map(|cell| cell.character).collect();
        text.trim_end().to_owned()
    }

    /// Shows these bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.pending);
        all.extend_from_slice(bytes);
        let valid = match std::str::from_utf8(&all) {
            Ok(_) => all.len(),
            Err(error) => error.valid_up_to(),
        };
        let mut text = std::str::from_utf8(&all[..valid]).expect("it is valid up to here");
        while let Some(first) = text.chars().next() {
            if first == '\u{1b}' {
                let Some(length) = self.sequence(text) else {
                    break;
                };
                text = &text[length..];
            } else {
                self.character(first);
                text = &text[first.len_utf8()..];
            }
        }
        let rest = text.len() + all.len() - valid;
        self.pending = all[all.len() - rest..].to_vec();
    }

    /// Obeys the sequence at the beginning of the text: its length, or nothing when it is not
    /// complete.
    fn sequence(&mut self, text: &str) -> Option<usize> {
        let rest = &text[1..];
        let Some(rest) = rest.strip_prefix('[') else {
            // A sequence of two characters.
            return rest.chars().next().map(|next| 1 + next.len_utf8());
        };
        let end = rest.find(|c: char| ('@'..='~').contains(&c))?;
        let (parameters, command) = (&rest[..end], rest.as_bytes()[end]);
        let numbers: Vec<usize> = parameters
            .split(';')
            .map(|number| number.parse().unwrap_or(0))
            .collect();
        let first = numbers.first().copied().unwrap_or(0);
        match command {
            b'A' => self.row = self.row.saturating_sub(first.max(1)),
            b'B' => self.row = (self.row + first.max(1)).min(self.rows.len() - 1),
            b'C' => self.column = (self.column + first.max(1)).min(self.columns - 1),
            b'D' => self.column = self.column.saturating_sub(first.max(1)),
            b'G' => self.column = first.max(1).min(self.columns) - 1,
            b'J' => {
                self.erase(self.row, self.column..self.columns);
                for row in self.row + 1..self.rows.len() {
                    self.erase(row, 0..self.columns);
                }
            }
            b'K' if first == 2 => self.erase(self.row, 0..self.columns),
            b'K' => self.erase(self.row, self.column..self.columns),
            b'm' => numbers.iter().for_each(|number| self.style(*number)),
            _ => {}
        }
        Some(2 + end + 1)
    }

    fn erase(&mut self, row: usize, columns: std::ops::Range<usize>) {
        let columns = columns.start.min(self.columns)..columns.end;
        self.rows[row][columns].fill(EMPTY);
    }

    fn style(&mut self, number: usize) {
        match number {
            0 => self.look = Look::default(),
            1 => self.look.bold = true,
            2 => self.look.dim = true,
            22 => (self.look.bold, self.look.dim) = (false, false),
            30..=37 => self.look.colour = u8::try_from(number - 30).ok(),
            90..=97 => self.look.colour = u8::try_from(number - 90).ok(),
            39 => self.look.colour = None,
            _ => {}
        }
    }

    fn character(&mut self, character: char) {
        match character {
            '\r' => self.column = 0,
            '\n' => self.line_feed(),
            c if c.is_control() => {}
            _ => {
                if self.column == self.columns {
                    self.column = 0;
                    self.line_feed();
                }
                let look = self.look;
                self.rows[self.row][self.column] = Cell { character, look };
                self.column += 1;
            }
        }
    }

    fn line_feed(&mut self) {
        if self.row + 1 < self.rows.len() {
            self.row += 1;
            return;
        }
        self.rows.remove(0);
        self.rows.push(vec![EMPTY; self.columns]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Screen {
        let mut screen = Screen::new(5, 3);
        screen.write(text.as_bytes());
        screen
    }

    #[test]
    fn a_full_line_wraps_with_the_next_character() {
        assert_eq!(shown("abcde").row, 0);
        let screen = shown("abcdef");
        assert_eq!(
            (screen.line(0), screen.line(1)),
            ("abcde".into(), "f".into())
        );
    }

    #[test]
    fn a_full_line_is_written_over_after_a_carriage_return() {
        assert_eq!(shown("abcde\rx").line(0), "xbcde");
    }

    #[test]
    fn a_line_is_erased_and_the_cursor_moves_up() {
        let screen = shown("one\r\ntwo\x1b[1A\r\x1b[2Kx");
        assert_eq!((screen.line(0), screen.line(1)), ("x".into(), "two".into()));
    }

    #[test]
    fn a_full_screen_scrolls() {
        let screen = shown("1\r\n2\r\n3\r\n4");
        assert_eq!((screen.line(0), screen.line(2)), ("2".into(), "4".into()));
    }

    #[test]
    fn a_look_ends_with_its_reset() {
        let screen = shown("\x1b[1m\x1b[32ma\x1b[0mb");
        let [a, b] = [screen.rows[0][0].look, screen.rows[0][1].look];
        assert_eq!((a.colour, a.bold), (Some(2), true));
        assert_eq!(b, Look::default());
    }

    #[test]
    fn bytes_may_be_cut_anywhere() {
        let text = "é\x1b[1;31m━\x1b[0m";
        for cut in 0..=text.len() {
            let mut screen = Screen::new(5, 3);
            let (first, second) = text.as_bytes().split_at(cut);
            screen.write(first);
            screen.write(second);
            assert_eq!(screen, shown(text), "cut at {cut}");
        }
    }
}
