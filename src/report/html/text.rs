//! Text as HTML: the one place where it is escaped.

use std::fmt::Write;

/// Text that a browser shows as it stands, also within quotes. Control characters, which HTML does not allow, become spaces.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A paragraph's text: code between backticks, and links for papers.
pub(super) fn prose(text: &str) -> String {
    let mut out = String::new();
    // A number and its sign stay on one line.
    let text = text.replace(" %", "\u{a0}%");
    for (i, part) in text.split('`').enumerate() {
        let last = i == text.matches('`').count();
        match i % 2 {
            // A backtick without another is one.
            1 if last => out += &format!("`{}", papers(&escape(part))),
            1 => out += &format!("<code>{}</code>", escape(part)),
            _ => out += &papers(&escape(part)),
        }
    }
    out
}

/// Escaped text with links at the numbers of papers.
fn papers(text: &str) -> String {
    const MARK: &str = "arXiv:";
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let (before, from) = rest.split_at(at);
        let number: String =
            from[MARK.len()..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let number = number.trim_end_matches('.');
        out += before;
        if number.is_empty() {
            out += MARK;
        } else {
            let _ = write!(
                out,
                "<a href=\"https://arxiv.org/abs/{number}\" rel=\"noreferrer\">{MARK}{number}</a>"
            );
        }
        rest = &from[MARK.len() + number.len()..];
    }
    out + rest
}

/// Equations, a line each: what follows a `_` or `^` is lowered or raised.
pub(super) fn equation(text: &str) -> String {
    const SIGNS: [(&str, &str); 7] = [
        (" - ", " \u{2212} "),
        ("= -", "= \u{2212}"),
        (" . ", " \u{b7} "),
        ("psi(", "\u{3c8}("),
        ("phi(", "\u{3c6}("),
        ("lambda", "\u{3bb}"),
        ("gamma", "\u{3b3}"),
    ];
    let lines = text.split(",  ").map(|line| {
        let line = escape(&SIGNS.iter().fold(line.to_owned(), |line, (word, sign)| line.replace(word, sign)));
        let mut out = String::new();
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            let tag = match c {
                '_' => "sub",
                '^' => "sup",
                c => {
                    out.push(c);
                    continue;
                }
            };
            let mut inner = String::new();
            while let Some(next) = chars.next_if(|n| n.is_alphanumeric()) {
                inner.push(next);
            }
            if inner.is_empty() {
                out.push(c);
            } else {
                let _ = write!(out, "<{tag}>{inner}</{tag}>");
            }
        }
        format!("<div>{out}</div>")
    });
    lines.collect()
}

/// JSON as a script element may hold it.
pub(super) fn json(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

/// Bytes as a browser takes them for a picture's source.
pub(super) fn png_url(png: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::from("data:image/png;base64,");
    out.reserve(png.len().div_ceil(3) * 4);
    for three in png.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            out.push(if digit <= three.len() { DIGITS[value as usize] as char } else { '=' });
        }
    }
    out
}

/// A number for people: four digits that matter, thousands apart.
///
/// ```
/// use ganvil::report::html::shown;
/// assert_eq!([shown(1.38629), shown(13000.0), shown(-0.5), shown(2e-9)], ["1.386", "13,000", "−0.5", "2.000e−9"]);
/// assert_eq!([shown(0.0), shown(f64::NAN)], ["0", "not finite"]);
/// ```
pub fn shown(v: f64) -> String {
    if !v.is_finite() {
        return "not finite".into();
    }
    let digits = if v == 0.0 { 0 } else { v.abs().log10().floor() as i32 };
    let text = match digits {
        -4..=14 => {
            let text = format!("{v:.*}", (3 - digits).max(0) as usize);
            let short =
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            thousands(short)
        }
        _ => format!("{v:.3e}"),
    };
    text.replace('-', "\u{2212}")
}

/// Commas between groups of three digits before the point, where there are more than four.
fn thousands(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let (sign, digits) = whole.split_at(whole.len() - whole.trim_start_matches('-').len());
    if digits.len() < 5 {
        return number.into();
    }
    let mut out = String::from(sign);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_that_is_text_becomes_markup() {
        let evil = "<img src=x onerror=alert(1)> \"a\" 'b' & \u{0}\u{1b}";
        assert_eq!(escape(evil), "&lt;img src=x onerror=alert(1)&gt; &quot;a&quot; &#39;b&#39; &amp;   ");
        for made in [prose(evil), equation(evil), prose(&format!("`{evil}`")), prose(&format!("`{evil}"))] {
            assert!(!made.contains("<img") && !made.contains('"'), "{made}");
        }
        let inside = json(&json!({"name": "</script><script>alert(1)</script><!--"}));
        assert!(!inside.contains('<'), "{inside}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&inside).unwrap()["name"],
            "</script><script>alert(1)</script><!--"
        );
    }

    #[test]
    fn prose_has_code_and_papers() {
        assert_eq!(prose("a `b <c>` d"), "a <code>b &lt;c&gt;</code> d");
        assert_eq!(prose("a ` b"), "a ` b");
        assert_eq!(
            prose("et al., 2014, arXiv:1406.2661."),
            "et al., 2014, <a href=\"https://arxiv.org/abs/1406.2661\" rel=\"noreferrer\">arXiv:1406.2661</a>."
        );
        assert_eq!(prose("arXiv: none"), "arXiv: none");
        assert_eq!(
            equation("L_D = -E e^t,  x_ = a - b"),
            "<div>L<sub>D</sub> = \u{2212}E e<sup>t</sup></div><div>x_ = a \u{2212} b</div>"
        );
    }

    /// The examples of RFC 4648, section 10.
    #[test]
    fn base64_is_that_of_the_standard() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in cases {
            assert_eq!(png_url(bytes.as_bytes()), format!("data:image/png;base64,{text}"));
        }
        assert!(png_url(&[0xfb, 0xff]).ends_with("+/8="));
    }

    #[test]
    fn numbers_are_short_and_apart() {
        let cases = [
            (1234567.0, "1,234,567"),
            (-54321.5, "\u{2212}54,322"),
            (9999.0, "9999"),
            (160.871, "160.9"),
            (0.00635, "0.00635"),
            (1.0, "1"),
            (1e15, "1.000e15"),
        ];
        cases.into_iter().for_each(|(v, text)| assert_eq!(shown(v), text));
    }
}
