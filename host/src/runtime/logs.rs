//! The lines that a module logs, kept within bounds.

use super::Config;
use crate::model::{LogLevel, LogLine};

/// The lines of one call. The first ones are kept, as many as the bounds allow; past them the last line of level `error` is
/// kept too (the words of a panic, mostly), cut at `reason_bytes_max`.
#[derive(Debug)]
pub(super) struct LogBuffer {
    lines: Vec<LogLine>,
    lines_left: usize,
    bytes_left: usize,
    last_error: Option<LogLine>,
    last_error_bytes_max: usize,
    cut: bool,
}

impl LogBuffer {
    pub(super) const fn new(config: &Config) -> Self {
        Self {
            lines: Vec::new(),
            lines_left: config.log_lines_max,
            bytes_left: config.log_bytes_max,
            last_error: None,
            last_error_bytes_max: config.reason_bytes_max,
            cut: false,
        }
    }

    pub(super) fn write(&mut self, level: LogLevel, mut line: String) {
        line.truncate(line.trim_end_matches(['\n', '\r']).len());
        let fits = line.len() <= self.bytes_left && self.lines_left > 0;
        self.cut |= !fits;
        if !fits && level == LogLevel::Error {
            self.last_error = Some(LogLine { level, line: cut(&line, self.last_error_bytes_max) });
        } else if self.lines_left > 0 && (fits || self.bytes_left > 0) {
            let line = cut(&line, self.bytes_left);
            self.lines_left -= 1;
            self.bytes_left -= line.len();
            self.lines.push(LogLine { level, line });
        }
    }

    /// The lines, and whether there were more.
    pub(super) fn finish(mut self) -> (Vec<LogLine>, bool) {
        self.lines.extend(self.last_error);
        (self.lines, self.cut)
    }
}

/// The beginning of `text`, at most `bytes_max` bytes, cut at a character. The result holds no more memory than it needs.
pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(config: &Config, lines: &[(LogLevel, &str)]) -> (Vec<String>, bool) {
        let mut buffer = LogBuffer::new(config);
        for (level, line) in lines {
            buffer.write(*level, (*line).to_owned());
        }
        let (lines, cut) = buffer.finish();
        (lines.into_iter().map(|line| line.line).collect(), cut)
    }

    #[test]
    fn lines_and_bytes_are_bounded_and_the_last_error_survives() {
        use LogLevel::{Error, Info};
        let config = Config { log_lines_max: 3, log_bytes_max: 6, reason_bytes_max: 4, ..Config::default() };
        assert_eq!(kept(&config, &[(Info, "ab\r\n"), (Error, "cd")]), (vec!["ab".into(), "cd".into()], false));
        assert_eq!(kept(&config, &[(Info, "abcdeäx")]), (vec!["abcde".into()], true), "cut at a character");
        let flood = [(Info, "a"), (Info, "b"), (Info, "c"), (Info, "d"), (Error, "first"), (Error, "second")];
        assert_eq!(kept(&config, &flood), (vec!["a".into(), "b".into(), "c".into(), "seco".into()], true));
    }
}
