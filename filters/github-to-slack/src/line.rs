//! Text for Slack, in two forms at once: mrkdwn for a block, and plain for the notification.
//!
//! What must hold: what comes from a payload is escaped as Slack asks (`&`, `<`, `>`), so that none of it becomes a mention or a
//! link; a line never has more than [`TEXT_UNITS_MAX`] units, and is cut between characters, never inside a link or an escape.

/// How long a text in a block may be, in UTF-16 units: Slack's own limit is 3,000 characters, and it does not say of which kind.
pub const TEXT_UNITS_MAX: usize = 3_000;
/// How long the label of a link, and a word in bold or as code, may be.
pub const LABEL_UNITS_MAX: usize = 200;

/// Longer addresses are left out, and only the label stays.
const URL_BYTES_MAX: usize = 1_000;
/// How much of a comment or description a message shows.
const EXCERPT_UNITS_MAX: usize = 600;
const EXCERPT_LINES_MAX: usize = 10;

/// A text, built from left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    rich: String,
    plain: String,
    units_left: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { rich: String::new(), plain: String::new(), units_left: TEXT_UNITS_MAX }
    }
}

impl Line {
    /// Text from anywhere.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        for char in text.chars() {
            let mut buffer = [0; 4];
            let rich = match char {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                char => char.encode_utf8(&mut buffer),
            };
            if !self.push(rich, char) {
                break;
            }
        }
        self
    }

    /// A link; where the address is none that Slack could open, its label.
    #[must_use]
    pub fn link(self, url: &str, label: &str) -> Self {
        let label = one_line(label);
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        if !is_web || url.len() > URL_BYTES_MAX || url.contains(|char: char| char.is_whitespace() || char.is_control())
        {
            return self.text(&label);
        }
        let url = url.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C");
        let rich = format!("<{url}|{}>", Self::default().text(&label).rich);
        self.atom(&rich, &label)
    }

    /// Words in bold.
    #[must_use]
    pub fn bold(self, text: &str) -> Self {
        let text = one_line(text).replace('*', "∗");
        let rich = format!("*{}*", Self::default().text(&text).rich);
        self.atom(&rich, &text)
    }

    /// A name that is code: a branch, a path.
    #[must_use]
    pub fn code(self, text: &str) -> Self {
        let text = one_line(text).replace('`', "'");
        let rich = format!("`{}`", Self::default().text(&text).rich);
        self.atom(&rich, &text)
    }

    /// An emoji by its name, in the block only.
    #[must_use]
    pub fn emoji(self, name: &'static str) -> Self {
        self.atom(&format!(":{name}: "), "")
    }

    /// The beginning of a comment or description, as a quote. HTML comments, as in templates of pull requests, are left out.
    #[must_use]
    pub fn quote(mut self, text: &str) -> Self {
        let text = without_html_comments(text);
        let excerpt = cut(text.trim(), EXCERPT_UNITS_MAX);
        for (place, line) in excerpt.lines().take(EXCERPT_LINES_MAX).enumerate() {
            self = self
                .atom(if place == 0 { "> " } else { "\n> " }, if place == 0 { "" } else { "\n" })
                .text(line.trim_end());
        }
        if excerpt.lines().nth(EXCERPT_LINES_MAX).is_some() { self.atom("\n> …", "\n…") } else { self }
    }

    /// Another line, whole.
    #[must_use]
    pub fn append(self, other: Self) -> Self {
        self.atom(&other.rich, &other.plain)
    }

    /// Begins a new line.
    #[must_use]
    pub fn line_break(self) -> Self {
        if self.rich.is_empty() { self } else { self.atom("\n", "\n") }
    }

    /// The text for a block.
    #[must_use]
    pub fn rich(&self) -> &str {
        &self.rich
    }

    /// The text for a notification, not escaped.
    #[must_use]
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rich.is_empty()
    }

    /// All of it or, where there is no room, an ellipsis.
    fn atom(mut self, rich: &str, plain: &str) -> Self {
        let units = units(rich);
        if units >= self.units_left {
            self.end();
            return self;
        }
        self.units_left -= units;
        self.rich.push_str(rich);
        self.plain.push_str(plain);
        self
    }

    /// One character, or an ellipsis; whether there may be another.
    fn push(&mut self, rich: &str, plain: char) -> bool {
        let units = units(rich);
        if units >= self.units_left {
            self.end();
            return false;
        }
        self.units_left -= units;
        self.rich.push_str(rich);
        self.plain.push(plain);
        true
    }

    /// Closes the line with an ellipsis, for which there is always room once.
    fn end(&mut self) {
        if self.units_left > 0 {
            self.rich.push('…');
            self.plain.push('…');
            self.units_left = 0;
        }
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// At most this many UTF-16 units, the last an ellipsis where something was cut off.
pub(crate) fn cut(text: &str, units_max: usize) -> String {
    if units(text) <= units_max {
        return text.to_owned();
    }
    let mut left = units_max.saturating_sub(1);
    let fits = |char: &char| {
        left.checked_sub(char.len_utf16()).is_some_and(|rest| {
            left = rest;
            true
        })
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// The first line of a text.
pub(crate) fn first_line(text: &str) -> &str {
    text.trim_start().lines().next().unwrap_or_default()
}

/// A label: without line breaks, and bounded.
fn one_line(text: &str) -> String {
    cut(&text.replace(char::is_control, " "), LABEL_UNITS_MAX)
}

fn without_html_comments(text: &str) -> String {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((before, comment)) = rest.split_once("<!--") {
        kept.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_payload_is_markup() {
        let line = Line::default().text("<!channel> & <https://evil|x>").bold("<@U1>").code("a`<b");
        assert_eq!(line.rich(), "&lt;!channel&gt; &amp; &lt;https://evil|x&gt;*&lt;@U1&gt;*`a'&lt;b`");
        assert_eq!(line.plain(), "<!channel> & <https://evil|x><@U1>a'<b");
    }

    #[test]
    fn a_link_leads_where_it_says() {
        let rich = |url, label| Line::default().link(url, label).rich;
        assert_eq!(
            rich("https://a.example/?x=1&y=<2|3>", "a>b\nc"),
            "<https://a.example/?x=1&amp;y=%3C2%7C3%3E|a&gt;b c>"
        );
        for url in ["", "javascript:alert(1)", "https://a b", "ftp://a", &"https://a/".repeat(200)] {
            assert_eq!(rich(url, "label"), "label", "{url}");
        }
    }

    #[test]
    fn a_line_is_cut_between_characters_and_atoms() {
        let full = Line::default().text(&"&".repeat(5_000));
        assert_eq!(full.rich(), format!("{}…", "&amp;".repeat(599)));
        let wide = Line::default().text(&"🦀".repeat(5_000));
        assert_eq!((units(wide.rich()), wide.rich().ends_with("🦀…")), (2_999, true));
        let exact = Line::default().text(&"x".repeat(2_999));
        assert_eq!((exact.rich().len(), exact.clone().text("y").rich().ends_with("x…")), (2_999, true));
        let link = Line::default().text(&"x".repeat(2_990)).link("https://a.example", "label").text("more");
        assert_eq!(link.rich(), format!("{}…", "x".repeat(2_990)));
    }

    #[test]
    fn a_quote_is_short_and_has_no_html_comments() {
        let quote = |text: &str| Line::default().quote(text).rich;
        assert_eq!(quote("<!-- please\nread -->\r\nFixes #1\r\n\r\nBye <!-- open"), "> Fixes #1\n> \n> Bye");
        assert_eq!(quote(&"a\n".repeat(12)), format!("{}\n> …", ["> a"; 10].join("\n")));
        assert_eq!(units(&quote(&"a".repeat(5_000))), EXCERPT_UNITS_MAX + 2);
    }

    #[test]
    fn cuts_fall_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("🦀🦀", 3), "🦀…");
        assert_eq!(cut("🦀🦀", 2), "…");
    }
}
